"""Evaluate a checkpoint on the evaluation episodes, and beside it an adapter: success rates with 95 % intervals."""

import json
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
    tasks, base = evaluated_tasks(config), given_checkpoint(config)
    fingerprint = checkpoint.fingerprint(base)
    adapter = given_adapter(config, fingerprint)
    folder = open_run_folder(config)
    env = prepare_env(config.env)
    connect(config)
    pool = Pool.start(config.pool, folder / "evaluation", start_servers(base, adapter.parent, config.inference))
    versions = {"base": "", "adapted": adapter.name} if config.evaluation.adapter else {"base": ""}
    outcomes = {}
    for name, version in versions.items():
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


def given_adapter(config: Config, base: str) -> Path:
    """The adapter folder that `config` names (the current folder if none).

    Raises ConfigError when it holds no adapter, or one of other weights than those with fingerprint `base`.
    """
    folder = Path(config.evaluation.adapter).expanduser().absolute()
    if not config.evaluation.adapter:
        return folder
    about = folder / "adapter.json"
    if not about.exists():
        raise ConfigError(f"evaluation.adapter={folder} holds no adapter (no adapter.json)")
    if (made_for := json.loads(about.read_text())["base"]) != base:
        raise ConfigError(f"evaluation.adapter={folder} was made for other weights ({made_for}, here {base})")
    return folder


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
