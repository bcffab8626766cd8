"""Evaluate a checkpoint on the evaluation episodes, and beside it an adapter: success rates with 95 % intervals."""

from pathlib import Path

from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config, ConfigError
from worldagen.envs.suites import prepare_env
from worldagen.evaluation.episodes import evaluate, evaluated_tasks, evaluation_specs
from worldagen.evaluation.statistics import paired_difference, rate
from worldagen.models import checkpoint
from worldagen.results import Outcome
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.run_folder import open_run_folder
from worldagen.sweep.plan import given_checkpoint
from worldagen.types import PolicySpec


def run(config: Config) -> None:
    tasks, base, adapter = evaluated_tasks(config), given_checkpoint(config), given_adapter(config)
    folder = open_run_folder(config)
    connect(config)
    env = prepare_env(config.env)
    servers = start_servers(base, adapter.parent, config.inference)
    pool = Pool.start(config.pool, folder / "evaluation", servers)
    fingerprint = checkpoint.fingerprint(base)
    outcomes = {}
    for name, version in (("base", ""), ("adapted", adapter.name))[: 2 if config.evaluation.adapter else 1]:
        policy = PolicySpec(kind="learned", checkpoint=fingerprint, adapter=version)
        outcomes[name] = evaluate(pool, evaluation_specs(config, env, tasks, policy), name).outcomes
    pool.close()
    print(f"{env.suite}, {env.assets} assets, {env.visuals} visuals, checkpoint {fingerprint}")
    for name, found in outcomes.items():
        print("\n".join(table(name, found)))
    if "adapted" in outcomes:
        difference = paired_difference(outcomes["adapted"], outcomes["base"])
        print(
            f"adapted - base: {difference.value:+.1%} [{difference.low:+.1%}, {difference.high:+.1%}], "
            f"p = {difference.p:.2g} (exact McNemar): "
            + ("different" if difference.distinguishable else "not distinguishable from zero")
        )


def given_adapter(config: Config) -> Path:
    """The adapter folder that `config` names; the current folder when it names none."""
    adapter = Path(config.evaluation.adapter).expanduser().absolute()
    if config.evaluation.adapter and not (adapter / "adapter.json").exists():
        raise ConfigError(f"evaluation.adapter={config.evaluation.adapter} holds no adapter (no adapter.json)")
    return adapter


def table(name: str, outcomes: tuple[Outcome, ...]) -> list[str]:
    """Success over all episodes and for each task, one line each."""
    rows = [(name, rate(outcomes))]
    for task in dict.fromkeys(outcome.task for outcome in outcomes):
        rows.append((f"  {task}", rate([outcome for outcome in outcomes if outcome.task == task])))
    return [
        f"{label:45} {each.successes:4}/{each.episodes:<4} {each.value:6.1%} [{each.low:.1%}, {each.high:.1%}]"
        for label, each in rows
    ]


if __name__ == "__main__":
    main(run, doc=__doc__)
