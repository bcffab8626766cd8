"""How well the scripted experts do.

    python benchmarks/experts.py [--suite libero_goal ...] [--init-states 10] [--noise 0.1]

Writes docs/experts.md, a section for each suite. Sections of suites that are not measured stay as they are.
"""

import argparse
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from worldagen.config import EnvConfig
from worldagen.envs.base import Env, make_env
from worldagen.envs.experts import expert_tasks
from worldagen.envs.suites import prepare_env, task_infos
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EpisodeSpec, PolicySpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "experts.md"
SUITES = ("libero_goal", "libero_object", "libero_spatial", "libero_10")
STEP_LIMIT = 400
HEADER = f"""# Scripted experts

Written by `python benchmarks/experts.py`. An episode starts from one of the benchmark's initial states and is a failure
after {STEP_LIMIT} control steps. Noise is Gaussian, on the six arm values of every action. Steps are medians over the
successes; CPU seconds include the reset and no images.
"""
SECTION = """
## {suite}

`python benchmarks/experts.py --suite {suite} --init-states {init_states} --noise {noise}`: initial states 0 to {last}
of each task, {simulator}.

| task | success | steps | success with noise | steps | CPU s per episode |
|---|---|---|---|---|---|
"""


def measure(suite: str, init_states: int, noise: float) -> Iterator[str]:
    """The section of a suite, piece by piece."""
    env_spec = prepare_env(EnvConfig(suite=suite, image_size=16))
    env, tasks = make_env(env_spec), expert_tasks(suite)
    simulator = f"{env_spec.engine} {env_spec.assets} assets".strip()
    yield SECTION.format(suite=suite, init_states=init_states, noise=noise, last=init_states - 1, simulator=simulator)
    spec = EpisodeSpec(
        env=env_spec,
        task="",
        init_state=0,
        seed=0,
        policy=PolicySpec(kind="expert"),
        step_limit=STEP_LIMIT,
        actions_per_chunk=STEP_LIMIT,  # images are drawn between two chunks: none
    )
    for task in tasks:
        started = time.process_time()
        cells = [
            outcome(env, replace(spec, task=task, policy=replace(spec.policy, noise=sigma)), init_states)
            for sigma in (0.0, noise)
        ]
        seconds = (time.process_time() - started) / (2 * init_states)
        yield f"| `{task}` | {' | '.join(cells)} | {seconds:.1f} |\n"
    env.close()
    without = [f"`{task}`" for task in task_infos(suite) if task not in tasks]
    yield f"\nNo expert yet: {', '.join(without)}.\n" if without else ""


def outcome(env: Env, spec: EpisodeSpec, init_states: int) -> str:
    """The two cells of a row: successes and their median steps."""
    specs = [replace(spec, init_state=state, seed=state) for state in range(init_states)]
    results = [run_episode(env, ExpertPolicy(), one).result for one in specs]
    steps = [result.steps for result in results if result.success]
    return f"{len(steps)}/{init_states} | {median(steps):g}" if steps else f"0/{init_states} | -"


def sections() -> dict[str, str]:
    """Suite -> its section on the page as it is."""
    text = PAGE.read_text() if PAGE.exists() else ""
    return {part.split(maxsplit=1)[0]: f"## {part}" for part in re.split(r"(?m)^## ", text)[1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", nargs="+", choices=SUITES, default=SUITES)
    parser.add_argument("--init-states", type=int, default=10)
    parser.add_argument("--noise", type=float, default=0.1)
    args = parser.parse_args()
    for suite in args.suite:
        section = ""
        for piece in measure(suite, args.init_states, args.noise):
            print(piece, end="", flush=True)
            section += piece
        page = {**sections(), suite: section.strip() + "\n"}
        PAGE.write_text("\n".join([HEADER, *(page[name].strip() + "\n" for name in SUITES if name in page)]))


if __name__ == "__main__":
    main()
