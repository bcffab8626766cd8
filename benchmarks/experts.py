"""How well the scripted experts do.

    python benchmarks/experts.py [--init-states 10] [--noise 0.1]

Writes docs/experts.md.
"""

import argparse
import time
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
HEADER = """# Scripted experts

Measured by `python benchmarks/experts.py --init-states {init_states} --noise {noise}`: initial states 0 to {last} of
each task of {suite}, {assets} assets, Gaussian noise of {noise} on the six arm values of every action, at most
{step_limit} control steps (20 a second). CPU seconds include reset and two 64-pixel images every five steps.

| task | success | median steps | CPU s per episode |
|---|---|---|---|
"""


def measure(env: Env, spec: EpisodeSpec, init_states: int) -> str:
    """A row of the table."""
    results, seconds = [], []
    for init_state in range(init_states):
        started = time.process_time()
        episode = run_episode(env, ExpertPolicy(), replace(spec, init_state=init_state, seed=init_state))
        seconds.append(time.process_time() - started)
        results.append(episode.result)
    steps = [result.steps for result in results if result.success]
    return (
        f"| `{spec.task}` | {len(steps)}/{init_states} | {median(steps) if steps else '-'} | {median(seconds):.1f} |\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init-states", type=int, default=10)
    parser.add_argument("--noise", type=float, default=0.1)
    args = parser.parse_args()
    env_spec = prepare_env(EnvConfig())
    env, tasks = make_env(env_spec), expert_tasks(env_spec.suite)
    policy = PolicySpec(kind="expert", noise=args.noise)
    spec = EpisodeSpec(env=env_spec, task="", init_state=0, seed=0, policy=policy, step_limit=150)
    header = HEADER.format(
        init_states=args.init_states,
        last=args.init_states - 1,
        noise=args.noise,
        suite=env_spec.suite,
        assets=env_spec.assets,
        step_limit=spec.step_limit,
    )
    rows = [measure(env, replace(spec, task=task), args.init_states) for task in tasks]
    without = [f"`{task}`" for task in task_infos(env_spec.suite) if task not in tasks]
    PAGE.write_text(header + "".join(rows) + f"\nNo expert yet: {', '.join(without)}.\n")
    print(PAGE.read_text())
    env.close()


if __name__ == "__main__":
    main()
