"""How well CALVIN's scripted experts do, in each scene and on each engine.

    python benchmarks/calvin_experts.py [--engines native/primitive ...] [--init-states 20] [--chains 100] [--noise 0.1]

Writes docs/calvin_experts.md. Official assets and calvin_env need a checkout (CALVIN_ENV_ROOT). Every episode is noted
in --results as soon as it has run, and what is there is not run again, so an interrupted run goes on where it was.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, median

import numpy as np

from worldagen.config import EnvConfig
from worldagen.envs.calvin.engine import SCENES, Camera
from worldagen.envs.calvin.env import CalvinEnv
from worldagen.envs.calvin.sequences import official_sequences
from worldagen.envs.calvin.tasks import TASKS
from worldagen.envs.suites import prepare_env
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calvin_experts.md"
ENGINES = ("native/primitive", "native/official", "calvin_env")
STEP_LIMIT = 360
CHAIN = "chain"
"""In place of a task: one of CALVIN's evaluation sequences, by number."""
TEXT = """# CALVIN's scripted experts

Measured by `python benchmarks/calvin_experts.py {arguments}`: how many of the initial states 0 to {last} of each task
(CALVIN's own where it has any, else sampled) the expert solves, with Gaussian noise of {noise} on the six arm values
of every action and at most {limit} control steps (30 a second). Noise is the same on every engine. Experts read poses,
joints and contacts from the simulator; nothing in them depends on the scene.

A cell is the successes on {engines}; one number where all are equal. Steps: median of the successes on {first} in
scene D.

| task | {scenes} | steps |
|---|{rules}---|
{rows}

| engine | scene | tasks at 80 % or more | all episodes | farthest from {first} in one task |
|---|---|---|---|---|
{summary}

Chains: the first {chains} of CALVIN's 1,000 evaluation sequences in scene D, at most {limit} steps a task.

| engine | tasks in a row | 1 | 2 | 3 | 4 | 5 |
|---|---|---|---|---|---|---|
{chain_rows}
"""


@dataclass(frozen=True)
class Run:
    """One episode and how it went."""

    engine: str
    scene: str
    task: str
    number: int
    """Initial state, or position of a chain."""
    completed: int
    """Tasks in a row."""
    steps: int


class Blind(CalvinEnv):
    """Nobody looks: drawing would take longer than all the rest of an episode."""

    def _render(self, camera: Camera, size: int) -> np.ndarray:
        return np.zeros((size, size, 3), np.uint8)


def spec_of(engine: str, scene: str) -> EnvSpec:
    name, _, assets = engine.partition("/")
    return prepare_env(EnvConfig(suite=scene, engine=name, assets=assets or "official", image_size=16))


def runs(engine: str, scene: str, wanted: Iterable[tuple[str, int]], noise: float) -> Iterator[Run]:
    env = Blind(spec_of(engine, scene))
    for task, number in wanted:
        result = run_episode(env, ExpertPolicy(), episode(env.spec, task, number, noise)).result
        yield Run(engine, scene, task, number, result.completed, result.steps)
    env.close()


def episode(env: EnvSpec, task: str, number: int, noise: float) -> EpisodeSpec:
    spec = EpisodeSpec(
        env=env, task=task, init_state=number, seed=number, step_limit=STEP_LIMIT, actions_per_chunk=STEP_LIMIT,
        policy=PolicySpec(kind="expert", noise=noise),
    )  # fmt: skip
    if task != CHAIN:
        return spec
    chain = official_sequences()[number]
    return replace(spec, task=chain.tasks[0], then=chain.tasks[1:], init_state=chain.init_state)


def measure(engines: list[str], init_states: int, chains: int, noise: float, results: Path) -> list[Run]:
    """All runs asked for: those noted in `results`, and the others, which are noted there."""
    known = [Run(**json.loads(line)) for line in results.read_text().splitlines()] if results.exists() else []
    done = {(run.engine, run.scene, run.task, run.number): run for run in known}
    asked = []
    for engine, scene in product(engines, SCENES):
        wanted = list(product(TASKS, range(init_states)))
        wanted += product([CHAIN], range(chains)) if scene == SCENES[-1] else []
        missing = [key for key in wanted if (engine, scene, *key) not in done]
        with results.open("a", buffering=1) as file:
            for run in runs(engine, scene, missing, noise) if missing else ():
                done[run.engine, run.scene, run.task, run.number] = run
                print(json.dumps(asdict(run)), file=file)
        asked += [done[engine, scene, *key] for key in wanted]
        print(engine, scene, f"{mean(run.completed > 0 for run in asked if run.engine == engine):.1%}", flush=True)
    return asked


def successes(asked: list[Run]) -> dict[tuple[str, str, str], int]:
    """By engine, scene and task."""
    counts = {(run.engine, run.scene, run.task): 0 for run in asked if run.task != CHAIN}
    for run in asked:
        if run.task != CHAIN:
            counts[run.engine, run.scene, run.task] += run.completed
    return counts


def task_rows(asked: list[Run], engines: list[str]) -> Iterator[str]:
    counts = successes(asked)
    for task in TASKS:
        cells = [[counts[engine, scene, task] for engine in engines] for scene in SCENES]
        steps = [
            run.steps for run in asked if (run.engine, run.scene, run.task) == (engines[0], SCENES[-1], task)
            and run.completed
        ]  # fmt: skip
        texts = [str(cell[0]) if len(set(cell)) == 1 else " / ".join(map(str, cell)) for cell in cells]
        yield f"| `{task}` | {' | '.join(texts)} | {f'{median(steps):g}' if steps else '-'} |"


def summary_rows(asked: list[Run], engines: list[str], init_states: int) -> Iterator[str]:
    counts = successes(asked)
    for engine, scene in product(engines, SCENES):
        own = {task: counts[engine, scene, task] for task in TASKS}
        reached = sum(count >= 0.8 * init_states for count in own.values())
        far = max(TASKS, key=lambda task: abs(own[task] - counts[engines[0], scene, task]))
        points = 100 * (own[far] - counts[engines[0], scene, far]) / init_states
        yield (
            f"| {engine} | {scene[-1].upper()} | {reached} of {len(TASKS)} | "
            f"{sum(own.values()) / len(TASKS) / init_states:.1%} | "
            f"{f'{points:+.0f} points (`{far}`)' if points else 'equal'} |"
        )


def chain_rows(asked: list[Run], engines: list[str]) -> Iterator[str]:
    for engine in engines:
        lengths = [run.completed for run in asked if (run.engine, run.task) == (engine, CHAIN)]
        if lengths:
            rates = [f"{mean(length >= tasks for length in lengths):.0%}" for tasks in range(1, 6)]
            yield f"| {engine} | {mean(lengths):.2f} | {' | '.join(rates)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["native/primitive"])
    parser.add_argument("--init-states", type=int, default=20)
    parser.add_argument("--chains", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--results", type=Path, default=Path("calvin_experts.jsonl"))
    args = parser.parse_args()
    asked = measure(args.engines, args.init_states, args.chains, args.noise, args.results)
    text = TEXT.format(
        arguments=f"--init-states {args.init_states} --chains {args.chains} --noise {args.noise} "
        f"--engines {' '.join(args.engines)}",
        last=args.init_states - 1, noise=args.noise, limit=STEP_LIMIT, chains=args.chains,
        engines=", ".join(args.engines), first=args.engines[0], rules="---|" * len(SCENES),
        scenes=" | ".join(f"scene {scene[-1].upper()}" for scene in SCENES),
        rows="\n".join(task_rows(asked, args.engines)),
        summary="\n".join(summary_rows(asked, args.engines, args.init_states)),
        chain_rows="\n".join(chain_rows(asked, args.engines)),
    )  # fmt: skip
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
