"""Evaluate a checkpoint on the evaluation episodes, and beside it an adapter: success rates with 95 % intervals."""

from worldagen.atomic import write_text
from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config
from worldagen.envs.suites import check_env, prepare_env
from worldagen.evaluation.drawn_chains import runs_chains
from worldagen.evaluation.episodes import evaluate, evaluated_tasks, evaluation_specs
from worldagen.evaluation.words import report
from worldagen.models import checkpoint
from worldagen.models.given import given_adapter, given_checkpoint, keep_adapter
from worldagen.rollout.duration import in_words, simulated_minutes
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.run_folder import open_run_folder
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
    if adapter:
        versions["adapted"] = keep_adapter(adapter, folder / ADAPTERS)
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
    check_env(config.env)
    given_adapter(config, checkpoint.fingerprint(base))
    specs = evaluation_specs(config, EnvSpec(suite=config.env.suite), tasks, PolicySpec())
    policies, chained = 1 + bool(config.evaluation.adapter), runs_chains(config)
    steps = policies * sum(spec.step_limit * (1 + len(spec.then)) for spec in specs)
    return (
        f"run folder   {config.run_dir}\n"
        f"evaluation   {len(specs)} {'chains' if chained else 'episodes'} of {len(tasks)} tasks"
        f"{' with and without the adapter' * (policies - 1)}, {steps} control steps at most\n"
        f"time         {in_words(config, simulated_minutes(config, steps))}"
    )


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe)
