"""Evaluate a checkpoint on the evaluation episodes, and beside it an adapter: success rates with 95 % intervals."""

import hashlib
from pathlib import Path

from worldagen.atomic import first_folder, write_text
from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config, ConfigError
from worldagen.envs.suites import prepare_env
from worldagen.evaluation.drawn_chains import runs_chains
from worldagen.evaluation.episodes import evaluate, evaluated_tasks, evaluation_specs
from worldagen.evaluation.words import report
from worldagen.models import adapter as adapters
from worldagen.models import checkpoint
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.run_folder import open_run_folder
from worldagen.sweep.forecast import on_cpus, simulated_minutes
from worldagen.sweep.plan import given_checkpoint
from worldagen.types import EnvSpec, PolicySpec

ADAPTERS = "adapters"
"""Folder in the run folder."""


def run(config: Config) -> None:
    tasks, base = evaluated_tasks(config), given_checkpoint(config)
    fingerprint = checkpoint.fingerprint(base)
    adapter = given_adapter(config, fingerprint)
    folder = open_run_folder(config)
    env = prepare_env(config.env)
    connect(config)
    versions = {"base": ""}
    if config.evaluation.adapter:
        versions["adapted"] = keep(adapter, folder / ADAPTERS)
    servers = start_servers(base, folder / ADAPTERS, config.inference)
    pool = Pool.start(config.pool, folder / "evaluation", servers, config.evaluation.retry_failed)
    outcomes = {}
    for name, version in versions.items():
        policy = PolicySpec(kind="learned", checkpoint=fingerprint, adapter=version)
        outcomes[name] = evaluate(pool, evaluation_specs(config, env, tasks, policy), name).outcomes
    pool.close()
    text = "\n".join(report(config, env, fingerprint, outcomes))
    write_text(folder / "evaluation.txt", text + "\n")
    print(text)


def describe(config: Config) -> str:
    """What would be run. Starts nothing. Raises ConfigError as `run` does."""
    tasks, base = evaluated_tasks(config), given_checkpoint(config)
    given_adapter(config, checkpoint.fingerprint(base))
    specs = evaluation_specs(config, EnvSpec(suite=config.env.suite), tasks, PolicySpec())
    policies, chained = 1 + bool(config.evaluation.adapter), runs_chains(config)
    steps = policies * sum(spec.step_limit * (1 + len(spec.then)) for spec in specs)
    return (
        f"run folder   {config.run_dir}\n"
        f"evaluation   {len(specs)} {'chains' if chained else 'episodes'} of {len(tasks)} tasks"
        f"{' with and without the adapter' * (policies - 1)}, {steps} control steps at most\n"
        f"time         {on_cpus(config, simulated_minutes(config, steps))}"
    )


def given_adapter(config: Config, base: str) -> Path:
    """The adapter folder that `config` names (the current folder if none).

    Raises ConfigError when it holds no adapter, or one of other weights than those with fingerprint `base`.
    """
    folder = Path(config.evaluation.adapter).expanduser().absolute()
    if not config.evaluation.adapter:
        return folder
    try:
        made_for = adapters.describe(folder)["base"]
    except adapters.AdapterError as error:
        raise ConfigError(f"evaluation.adapter={error}") from error
    if made_for != base:
        raise ConfigError(f"evaluation.adapter={folder} was made for other weights ({made_for}, here {base})")
    return folder


def keep(adapter: Path, folder: Path) -> str:
    """Copy the adapter into `folder` under a name that is a key of its content; returns that name.

    Episodes are known by it: another adapter in the same place gets episodes of its own.
    """
    content = {name: (adapter / name).read_bytes() for name in adapters.FILES}
    version = hashlib.sha256(b"".join(content.values())).hexdigest()[:12]
    with first_folder(folder / version) as new:
        for name, data in content.items():
            (new / name).write_bytes(data)
    return version


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe)
