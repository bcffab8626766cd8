"""Evaluate a checkpoint on the evaluation episodes, and beside it an adapter: success rates with 95 % intervals."""

import hashlib
import math
from pathlib import Path

from worldagen.arms import Outcome
from worldagen.atomic import first_folder, write_text
from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config, ConfigError
from worldagen.envs.suites import in_words, prepare_env
from worldagen.evaluation.chains import compare_lengths, summarise
from worldagen.evaluation.drawn_chains import describe_drawn_chains, runs_chains
from worldagen.evaluation.episodes import evaluate, evaluated_tasks, evaluation_specs
from worldagen.evaluation.protocols import describe_protocol
from worldagen.evaluation.statistics import ALPHA, Rate, paired_difference, rate
from worldagen.models import adapter as adapters
from worldagen.models import checkpoint
from worldagen.rollout.inference import start_servers
from worldagen.rollout.pool import Pool
from worldagen.run_folder import open_run_folder
from worldagen.sweep.forecast import on_cpus, simulated_minutes
from worldagen.sweep.plan import given_checkpoint
from worldagen.types import GAVE_UP, EnvSpec, PolicySpec

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


def report(config: Config, env: EnvSpec, fingerprint: str, outcomes: dict[str, tuple[Outcome, ...]]) -> list[str]:
    """What was run, what came of it and, with an adapter, whether that made a difference."""
    lines = [f"{in_words(env)}, checkpoint {fingerprint}"]
    if config.evaluation.protocol:
        lines += describe_protocol(config, env)
    elif config.evaluation.chains:
        lines += describe_drawn_chains(config, env, evaluated_tasks(config))
    chains, length = runs_chains(config), config.evaluation.chain_length
    for name, found in outcomes.items():
        lines += chain_table(name, found, length) if chains else table(name, found)
    if broken := sum(each.status in GAVE_UP for found in outcomes.values() for each in found):
        lines.append(f"{broken} episodes crashed or timed out and count as failures")
        lines.append("(evaluation.retry_failed=true in the same run_dir tries them again)")
    if "adapted" in outcomes:
        compare = length_difference if chains else success_difference
        lines.append(compare(outcomes["adapted"], outcomes["base"]))
    return lines


def table(name: str, outcomes: tuple[Outcome, ...]) -> list[str]:
    """Success over all episodes and for each task, one line each."""
    rows = [(name, rate(outcomes))]
    for task in dict.fromkeys(outcome.task for outcome in outcomes):
        rows.append((f"  {task}", rate([outcome for outcome in outcomes if outcome.task == task])))
    return [_row(label, each) for label, each in rows]


def chain_table(name: str, outcomes: tuple[Outcome, ...], length: int) -> list[str]:
    """Chains that solved at least so many tasks in a row, and how many they solved on average."""
    summary = summarise(outcomes, length)
    rows = [_row(f"  {number} in a row", each) for number, each in enumerate(summary.in_a_row, start=1)]
    average = f"average length {summary.length:.2f} of {length} [{summary.low:.2f}, {summary.high:.2f}]"
    return [f"{name}: {len(outcomes)} chains, {average}", *rows]


def _row(label: str, found: Rate) -> str:
    return f"{label:45} {found.successes:4}/{found.episodes:<4} {found.value:6.1%} [{found.low:.1%}, {found.high:.1%}]"


def success_difference(adapted: tuple[Outcome, ...], base: tuple[Outcome, ...]) -> str:
    difference = paired_difference(adapted, base)
    return (
        f"adapted - base: {difference.value:+.1%} [{difference.low:+.1%}, {difference.high:+.1%}], "
        f"p = {difference.p:.2g} (exact McNemar): {_verdict(difference.distinguishable)}"
    )


def length_difference(adapted: tuple[Outcome, ...], base: tuple[Outcome, ...]) -> str:
    difference = compare_lengths(adapted, base)
    moved = f"{difference.further} chains got further, {difference.less_far} less far"
    if math.isnan(difference.p):
        return f"adapted - base: {difference.value:+.2f} tasks; {moved}: too much alike for an interval or a test"
    return (
        f"adapted - base: {difference.value:+.2f} tasks [{difference.low:+.2f}, {difference.high:+.2f}]; {moved}; "
        f"p = {difference.p:.2g} (paired t test): {_verdict(difference.p < ALPHA)}"
    )


def _verdict(different: bool) -> str:
    return "different" if different else "not distinguishable from zero"


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe)
