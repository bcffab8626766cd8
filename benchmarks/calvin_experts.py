"""How well CALVIN's scripted experts do, in each scene and on each engine.

    python benchmarks/calvin_experts.py [--init-states 20] [--chains 20] [--noise 0.1] [--engines native calvin_env]

Writes docs/calvin_experts.md.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, median

from worldagen.config import EnvConfig
from worldagen.envs.base import Env, make_env
from worldagen.envs.calvin.engine import SCENES
from worldagen.envs.calvin.sequences import official_sequences
from worldagen.envs.experts import expert_tasks
from worldagen.envs.suites import prepare_env
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "calvin_experts.md"
STEP_LIMIT = 360
TEXT = """# CALVIN's scripted experts

Measured by `python benchmarks/calvin_experts.py {arguments}`:
successes in the initial states 0 to {last} of each task (CALVIN's own where it has any, else sampled), with Gaussian
noise of {noise} on the six arm values of every action and at most 360 control steps (30 a second). Steps: median of the
successes in the last column. Experts read poses, joints and contacts from the simulator; nothing in them depends on the
scene.

| task | {columns} | steps |
|---|{rules}---|
{rows}
| tasks at 80 % | {reached} | |

Chains: the first {chains} of CALVIN's 1,000 evaluation sequences in scene D, at most 360 steps a task.

| engine, assets | tasks in a row | 1 | 2 | 3 | 4 | 5 |
|---|---|---|---|---|---|---|
{chain_rows}
"""


def episode(spec: EnvSpec, task: str, init_state: int, noise: float, then: Sequence[str] = ()) -> EpisodeSpec:
    """Nobody looks, so the cameras draw at the start and the end only."""
    return EpisodeSpec(
        env=spec, task=task, then=tuple(then), init_state=init_state, seed=init_state, step_limit=STEP_LIMIT,
        actions_per_chunk=STEP_LIMIT, policy=PolicySpec(kind="expert", noise=noise),
    )  # fmt: skip


def measure_tasks(spec: EnvSpec, init_states: int, noise: float) -> dict[str, list[EpisodeResult]]:
    env = make_env(spec)
    results = {
        task: [_run(env, episode(spec, task, number, noise)) for number in range(init_states)]
        for task in expert_tasks(spec.suite)
    }
    env.close()
    return results


def measure_chains(spec: EnvSpec, chains: int, noise: float) -> list[int]:
    """How many tasks in a row each chain had."""
    env = make_env(spec)
    lengths = []
    for number, chain in enumerate(official_sequences()[:chains]):
        first, *then = chain.tasks
        run = replace(episode(spec, first, chain.init_state, noise, then), seed=number)
        lengths.append(_run(env, run).completed)
    env.close()
    return lengths


def _run(env: Env, spec: EpisodeSpec) -> EpisodeResult:
    return run_episode(env, ExpertPolicy(), spec).result


def table(columns: dict[str, dict[str, list[EpisodeResult]]], init_states: int) -> tuple[list[str], list[str]]:
    """Rows of the table, and for each column how many tasks reach 80 %."""
    rows, last = [], list(columns.values())[-1]
    for task in last:
        counts = [f"{sum(result.success for result in column[task])}/{init_states}" for column in columns.values()]
        steps = [result.steps for result in last[task] if result.success]
        rows.append(f"| `{task}` | {' | '.join(counts)} | {median(steps) if steps else '-'} |")
    reached = [
        sum(sum(result.success for result in results) >= 0.8 * init_states for results in column.values())
        for column in columns.values()
    ]
    return rows, [f"{number} of {len(last)}" for number in reached]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init-states", type=int, default=20)
    parser.add_argument("--chains", type=int, default=20)
    parser.add_argument("--noise", type=float, default=0.1)
    parser.add_argument("--engines", nargs="+", default=["native"], help="calvin_env is measured in scene D alone")
    args = parser.parse_args()
    columns, chain_rows = {}, []
    for engine in args.engines:
        for suite in SCENES if engine == "native" else SCENES[-1:]:
            spec = prepare_env(EnvConfig(suite=suite, engine=engine, image_size=64))
            name = f"{suite[-1].upper()} {engine}"
            columns[name] = measure_tasks(spec, args.init_states, args.noise)
            print(name, table({name: columns[name]}, args.init_states), flush=True)
        lengths = measure_chains(spec, args.chains, args.noise)
        rates = [f"{sum(length >= tasks for length in lengths) / len(lengths):.0%}" for tasks in range(1, 6)]
        chain_rows.append(f"| {engine}, {spec.assets} | {mean(lengths):.2f} | {' | '.join(rates)} |")
        print(chain_rows[-1], flush=True)
    rows, reached = table(columns, args.init_states)
    text = TEXT.format(
        arguments=f"--init-states {args.init_states} --chains {args.chains} --noise {args.noise} "
        f"--engines {' '.join(args.engines)}",
        last=args.init_states - 1, noise=args.noise, columns=" | ".join(columns), rules="---|" * len(columns),
        rows="\n".join(rows), reached=" | ".join(reached), chains=args.chains, chain_rows="\n".join(chain_rows),
    )  # fmt: skip
    PAGE.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
