"""What a sweep's numbers say: each budget beside the control, over its adaptation seeds, with a verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import fmean
from typing import Literal

from worldagen.arms import Arm, Group, Outcome
from worldagen.evaluation import statistics
from worldagen.evaluation.power import smallest_difference
from worldagen.evaluation.statistics import PairedDifference, Rate
from worldagen.results import Confirmation, SweepResults, by_budget, moves_policy, was_evaluated
from worldagen.types import GAVE_UP

Verdict = Literal[
    "control",
    "gain",
    "candidate",
    "not confirmed",
    "harm",
    "not distinguishable",
    "rejected",
    "not evaluated",
    "failed",
]
"""A success distinguishable from the control's is a `candidate` until fresh initial states have confirmed it: then it
is a `gain`, or `not confirmed`. `rejected`: by the acceptance rule, so that the arm is the base model."""


@dataclass(frozen=True)
class Finding:
    """One budget of one way to adapt, beside the control."""

    arms: tuple[Arm, ...]
    """One for each adaptation seed; for the control, the one."""
    rate: Rate
    """Of nothing unless every seed was evaluated: the sound ones alone would flatter."""
    difference: PairedDifference | None
    """None for the control and for arms without evaluation."""
    verdict: Verdict
    error_change: float
    """Relative change of the held-out error on changed patches to the control's; NaN where one is not measured."""

    @property
    def arm(self) -> Arm:
        """The first seed's, for all that the seeds have in common."""
        return self.arms[0]

    @property
    def steps(self) -> int:
        return self.arm.steps

    @property
    def group(self) -> Group:
        return self.arm.group

    @property
    def error(self) -> str:
        """Why an arm failed; empty when none did."""
        return next((arm.error for arm in self.arms if arm.failed), "")

    @property
    def ended(self) -> str:
        """Why an arm was never run although nothing failed; empty when all were."""
        return next((arm.ended for arm in self.arms if arm.ended), "")

    @property
    def filmed(self) -> Arm | None:
        """The seed that there are videos of."""
        return next((arm for arm in self.arms if arm.videos), None)

    @property
    def is_measured(self) -> bool:
        """Whether every seed has a held-out measurement."""
        return all(arm.measurement for arm in self.arms)

    @property
    def accepts(self) -> int:
        """Seeds that the acceptance rule accepts."""
        return sum(arm.measurement is not None and not arm.failed and not arm.acceptance for arm in self.arms)

    @property
    def accepted(self) -> bool:
        """Whether the acceptance rule accepts every seed."""
        return self.accepts == len(self.arms)

    def measured(self, name: str) -> float:
        """A figure of the held-out measurement, averaged over the seeds; NaN when one of them has none."""
        values = [getattr(arm.measurement, name) if arm.measurement else math.nan for arm in self.arms]
        return fmean(values)

    @property
    def moves_policy(self) -> bool:
        """Whether the adapted policy differs from the base's at all."""
        return moves_policy(self.arms)

    @property
    def learn_seconds(self) -> float:
        return fmean(arm.learn_seconds for arm in self.arms)


@dataclass(frozen=True)
class Confirmed:
    """A budget of the search once more, on initial states that the search has not seen."""

    finding: Finding
    """Of the search."""
    control: Rate
    rate: Rate
    difference: PairedDifference
    """Corrected for all that is compared on these initial states."""
    smallest_difference: float | None
    """Smallest true difference found here in 4 of 5 repeats, corrected likewise; None if there is none."""

    @property
    def verdict(self) -> Verdict:
        """What these initial states alone say, whatever the search said."""
        if not self.difference.distinguishable:
            return "not distinguishable"
        return "gain" if self.difference.value > 0 else "harm"


@dataclass(frozen=True)
class Findings:
    """All budgets of a sweep, judged together."""

    results: SweepResults
    control: Finding
    arms: tuple[Finding, ...]
    smallest_difference: float | None
    """Smallest true difference that a sweep of this size finds in 4 of 5 repeats; None if there is none."""
    confirmed: Confirmed | None
    """The best budget."""
    chosen: Confirmed | None
    """The one that the acceptance rule chooses; often the same."""

    @property
    def everything(self) -> tuple[Finding, ...]:
        return (self.control, *self.arms)

    @property
    def compared(self) -> tuple[Finding, ...]:
        """The budgets that were evaluated beside the control."""
        return tuple(finding for finding in self.arms if finding.difference)

    @property
    def measured(self) -> tuple[Finding, ...]:
        """The budgets with a held-out error beside the control's."""
        return tuple(finding for finding in self.arms if not math.isnan(finding.error_change))

    @property
    def best(self) -> Finding | None:
        """The adapted budget of highest success, as the results have it."""
        best = self.results.best
        return next((each for each in self.compared if best and same_budget(each.arm, best)), None)

    @property
    def tied(self) -> int:
        """How many budgets that move the policy solved as many episodes as the best one, itself included; 0 without."""
        best = self.best
        return sum(each.rate.value == best.rate.value and each.moves_policy for each in self.compared) if best else 0

    @property
    def again(self) -> tuple[Confirmed, ...]:
        """What was run on fresh initial states, each budget once: the best, then the acceptance rule's choice."""
        best, chosen = self.confirmed, self.chosen
        other = chosen if chosen and not (best and best.finding is chosen.finding) else None
        return tuple(each for each in (best, other) if each)

    @property
    def best_world_model(self) -> Finding | None:
        """The adapted budget of lowest held-out error on changed patches."""
        return min(self.measured, key=lambda each: each.error_change, default=None)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        return tuple(sorted({each.group for each in self.arms}))

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.group.method for each in self.arms))

    @property
    def explorations(self) -> tuple[int, ...]:
        """Sizes of exploration, ascending."""
        return tuple(sorted({group.explored for group in self.groups}))

    @property
    def seeds(self) -> int:
        """Adaptation seeds of a budget."""
        return max((len(each.arms) for each in self.arms), default=1)

    @property
    def gave_up(self) -> tuple[int, int]:
        """Evaluation episodes that crashed or timed out: in the search, and on fresh initial states. Those that several
        arms share (of the control, where the rule rejects; of early stopping's best step) count once."""
        search = {arm.outcomes for each in self.everything for arm in each.arms}
        fresh = {own for each in self.results.confirmations for own in (each.control, *(a.outcomes for a in each.arms))}
        lost, lost_again = (sum(one.status in GAVE_UP for own in runs for one in own) for runs in (search, fresh))
        return lost, lost_again

    def name(self, finding: Finding, method: bool = True) -> str:
        """What tells a budget from the others: whatever all have in common is left out, and the `method` on request."""
        return "control" if finding.steps == 0 else f"{self.group_name(finding.group, method)}, {steps(finding.steps)}"

    def group_name(self, group: Group, method: bool = True) -> str:
        """A way to adapt, without what all have in common, but always with its learning rate."""
        parts = [f"lr {group.learning_rate:g}"]
        if method and len(self.methods) > 1:
            parts.insert(0, method_name(group.method))
        if len({each.rank for each in self.groups}) > 1:
            parts.append(f"rank {group.rank}")
        if len(self.explorations) > 1:
            parts.append(f"{group.explored} episodes")
        return ", ".join(parts)

    def having(self, *verdicts: Verdict) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.arms if finding.verdict in verdicts)

    def of_method(self, method: str) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.arms if finding.group.method == method)


def method_name(method: str) -> str:
    """A method in words; arms that name none were adapted plainly."""
    return (method or "plain").replace("_", " ")


def steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def same_budget(one: Arm, other: Arm) -> bool:
    """Whether two arms differ by their seed at most."""
    return _budget(one) == _budget(other)


def _budget(arm: Arm) -> tuple[Group, int]:
    """What the seeds of one budget have in common."""
    return arm.group, arm.steps


def judge(results: SweepResults) -> Findings:
    """Compare every budget with the control. Raises ValueError when an arm was evaluated on other episodes."""
    budgets = by_budget(results.arms)
    evaluated = [arms for arms in budgets if results.control.outcomes and was_evaluated(arms)]
    differences = statistics.holm([_compare(arms, results.control.outcomes) for arms in evaluated])
    found_of = {_budget(arms[0]): difference for arms, difference in zip(evaluated, differences, strict=True)}
    found = [_finding(arms, found_of.get(_budget(arms[0])), results) for arms in budgets]
    findings = Findings(
        results=results,
        control=_finding((results.control,), None, results),
        arms=tuple(found),
        smallest_difference=smallest_difference(differences),
        confirmed=_confirmed(results.confirmation, found),
        chosen=_confirmed(results.chosen, found),
    )
    return settled(findings, statistics.holm([each.difference for each in findings.again]), len(findings.again))


def settled(findings: Findings, differences: Sequence[PairedDifference], comparisons: int) -> Findings:
    """The findings with the verdicts that fresh initial states give.

    `differences` are those of `findings.again`, in its order, with p corrected over so many `comparisons`: the sweep's
    own, or all of a study.
    """
    fresh = {}
    for again, difference in zip(findings.again, differences, strict=True):
        told = replace(again, difference=difference, smallest_difference=smallest_difference([difference], comparisons))
        verdict = _verdict_after(told, best=again is findings.confirmed)
        fresh[_budget(again.finding.arm)] = replace(told, finding=replace(again.finding, verdict=verdict))
    return replace(
        findings,
        arms=tuple(fresh[key].finding if (key := _budget(each.arm)) in fresh else each for each in findings.arms),
        confirmed=fresh[_budget(findings.confirmed.finding.arm)] if findings.confirmed else None,
        chosen=fresh[_budget(findings.chosen.finding.arm)] if findings.chosen else None,
    )


def _compare(arms: Sequence[Arm], control: Sequence[Outcome]) -> PairedDifference:
    return statistics.compare([arm.outcomes for arm in arms], control)


def _finding(arms: tuple[Arm, ...], difference: PairedDifference | None, results: SweepResults) -> Finding:
    control, change = results.control, math.nan
    measured = arms[0].steps and all(arm.measurement for arm in arms)
    if measured and control.measurement and control.measurement.changed > 0:
        change = fmean(arm.measurement.changed for arm in arms if arm.measurement) / control.measurement.changed - 1
    return Finding(
        arms=arms,
        rate=statistics.rate(*(arm.outcomes for arm in arms if all(each.outcomes for each in arms))),
        difference=difference,
        verdict=_verdict(arms, difference),
        error_change=change,
    )


def _verdict(arms: Sequence[Arm], difference: PairedDifference | None) -> Verdict:
    """By the search alone."""
    if any(arm.failed for arm in arms):
        return "failed"
    if arms[0].steps == 0:
        return "control"
    if all(arm.accepted is False for arm in arms):
        return "rejected"
    if difference is None:
        return "not evaluated"
    if not difference.distinguishable:
        return "not distinguishable"
    return "candidate" if difference.value > 0 else "harm"


def _verdict_after(again: Confirmed, *, best: bool) -> Verdict:
    """Of search and fresh initial states together: a harm needs no confirmation, and is not undone by being undecided
    there."""
    if again.difference.distinguishable:
        return again.verdict
    search = _verdict(again.finding.arms, again.finding.difference)
    if search in ("rejected", "harm"):
        return search
    return "not confirmed" if best or search == "candidate" else search


def _confirmed(confirmation: Confirmation | None, found: Sequence[Finding]) -> Confirmed | None:
    if confirmation is None:
        return None
    finding = next(each for each in found if same_budget(each.arm, confirmation.arms[0]))
    difference = _compare(confirmation.arms, confirmation.control)
    return Confirmed(
        finding=finding,
        control=statistics.rate(confirmation.control),
        rate=statistics.rate(*(arm.outcomes for arm in confirmation.arms)),
        difference=difference,
        smallest_difference=smallest_difference([difference]),
    )
