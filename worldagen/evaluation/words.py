"""An evaluation in lines of text: what was run, success of each task or chain, whether an adapter made a difference."""

import math
from collections.abc import Mapping

from worldagen.arms import Outcome
from worldagen.config import Config
from worldagen.envs.suites import in_words
from worldagen.evaluation.chains import compare_lengths, summarise
from worldagen.evaluation.drawn_chains import describe_drawn_chains, runs_chains
from worldagen.evaluation.episodes import evaluated_tasks
from worldagen.evaluation.protocols import describe_protocol
from worldagen.evaluation.statistics import ALPHA, Rate, paired_difference, rate
from worldagen.types import GAVE_UP, EnvSpec


def report(config: Config, env: EnvSpec, fingerprint: str, outcomes: Mapping[str, tuple[Outcome, ...]]) -> list[str]:
    """What was run, what came of `outcomes` (of `base`, and of `adapted` if there is one), whether these differ."""
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
