"""What a sweep's numbers say, in words that they support: verdicts per arm, a headline, and what stays open."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from worldagen.evaluation import statistics
from worldagen.evaluation.statistics import PairedDifference, Rate
from worldagen.results import Arm, SweepResults

Verdict = Literal["control", "gain", "harm", "not distinguishable", "not evaluated", "failed"]


@dataclass(frozen=True)
class Finding:
    """One arm beside the control."""

    arm: Arm
    rate: Rate
    difference: PairedDifference | None
    """None for the control and for arms without evaluation."""
    verdict: Verdict
    error_change: float
    """Relative change of the held-out error on changed patches to the control's; NaN where one is not measured."""


@dataclass(frozen=True)
class Findings:
    """All arms of a sweep, judged together."""

    results: SweepResults
    control: Finding
    arms: tuple[Finding, ...]
    smallest_difference: float | None
    """Smallest true difference that a sweep of this size finds in 4 of 5 repeats; None if there is none."""

    @property
    def everything(self) -> tuple[Finding, ...]:
        return (self.control, *self.arms)

    @property
    def compared(self) -> tuple[Finding, ...]:
        """The arms that were evaluated beside the control."""
        return tuple(finding for finding in self.arms if finding.difference)

    @property
    def measured(self) -> tuple[Finding, ...]:
        """The arms with a held-out error beside the control's."""
        return tuple(finding for finding in self.arms if not math.isnan(finding.error_change))

    @property
    def best(self) -> Finding | None:
        """The adapted arm of highest success, as the results have it."""
        return next((each for each in self.compared if each.arm == self.results.best), None)

    @property
    def best_world_model(self) -> Finding | None:
        """The adapted arm of lowest held-out error on changed patches."""
        return min(self.measured, key=lambda each: each.error_change, default=None)

    def name(self, arm: Arm) -> str:
        """The arm's name, without the rank where all arms have the same."""
        if arm.steps == 0 or len({each.arm.rank for each in self.arms}) > 1:
            return arm.name
        return f"lr {arm.learning_rate:g}, {arm.steps} steps"

    def having(self, verdict: Verdict) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.arms if finding.verdict == verdict)


def judge(results: SweepResults) -> Findings:
    """Compare every arm with the control. Raises ValueError when an arm was evaluated on other episodes."""
    control = results.control
    evaluated = [arm for arm in results.arms if arm.outcomes and control.outcomes and not arm.failed]
    differences = statistics.holm([statistics.paired_difference(arm.outcomes, control.outcomes) for arm in evaluated])
    by_name = {arm.name: difference for arm, difference in zip(evaluated, differences, strict=True)}
    return Findings(
        results=results,
        control=_finding(control, None, control),
        arms=tuple(_finding(arm, by_name.get(arm.name), control) for arm in results.arms),
        smallest_difference=_smallest_difference(differences),
    )


def _finding(arm: Arm, difference: PairedDifference | None, control: Arm) -> Finding:
    change = math.nan
    if arm.measurement and control.measurement and arm is not control:
        change = arm.measurement.changed / control.measurement.changed - 1
    return Finding(arm, statistics.rate(arm.outcomes), difference, _verdict(arm, difference), change)


def _verdict(arm: Arm, difference: PairedDifference | None) -> Verdict:
    if arm.failed:
        return "failed"
    if arm.steps == 0:
        return "control"
    if difference is None:
        return "not evaluated"
    if not difference.distinguishable:
        return "not distinguishable"
    return "gain" if difference.value > 0 else "harm"


def _smallest_difference(differences: Sequence[PairedDifference]) -> float | None:
    """With as many episodes changing to and fro as was seen in the arms of this sweep."""
    if not differences:
        return None
    churn = sum(2 * min(each.gained, each.lost) / each.episodes for each in differences) / len(differences)
    return statistics.smallest_detectable_difference(differences[0].episodes, comparisons=len(differences), churn=churn)


def headline(findings: Findings) -> str:
    """One sentence on success: the thing that adaptation is for."""
    compared, gains, harms = findings.compared, findings.having("gain"), findings.having("harm")
    if not compared:
        return "Nothing can be said about success: no arm was evaluated beside the control"
    among = f"{len(compared)} evaluated arms" if len(compared) > 1 else "one evaluated arm"
    if gains and harms:
        return f"Adaptation helps at some budgets and harms at others: {len(gains)} gain, {len(harms)} lose, of {among}"
    if gains:
        best = max(gains, key=lambda each: each.rate.value)
        return f"Adaptation raises success in {len(gains)} of {among}: {_from_to(findings, best)}"
    if harms:
        worst = min(harms, key=lambda each: each.rate.value)
        return f"Adaptation harms the policy in {len(harms)} of {among} and helps in none: {_from_to(findings, worst)}"
    if not any(each.rate.successes for each in (findings.control, *compared)):
        return "Neither the control nor any arm solved an episode, so success says nothing here"
    if findings.smallest_difference is None:
        return "This sweep is too small to tell whether adaptation changes success"
    return "No arm’s success differs from the control beyond noise"


def statements(findings: Findings) -> list[str]:
    """What else must be known to believe the headline, most important first."""
    said = [_power(findings), _best_budget(findings), _world_model(findings), _baseline(findings), *_gaps(findings)]
    return [sentence for sentence in said if sentence]


def _power(findings: Findings) -> str:
    if not findings.compared:
        return ""
    episodes = findings.control.rate.episodes
    against = f"{episodes} paired episodes per arm"
    if len(findings.compared) > 1:
        against += f", corrected for {len(findings.compared)} comparisons"
    if findings.smallest_difference is None:
        return f"With {against}, this sweep is too small to find any effect on success, however large."
    return (
        f"With {against}, the smallest difference that this sweep would find in four of five repeats is about "
        f"{100 * findings.smallest_difference:.0f} points; smaller effects may exist and stay unseen."
    )


def _best_budget(findings: Findings) -> str:
    best = findings.best
    if best is None or best.difference is None:
        return ""
    seen = f"{findings.name(best.arm)} ({interval(best.difference)} against the control)"
    if best.verdict == "gain":
        return f"Best budget: {seen}. This gain is distinguishable from zero."
    if best.difference.value <= 0:
        return (
            f"No arm solved more episodes than the control, so no budget is worth adapting for; the nearest is {seen}."
        )
    return f"Most successful arm: {seen}. This is not distinguishable from zero, so no budget can be recommended."


def _world_model(findings: Findings) -> str:
    best, control = findings.best_world_model, findings.results.control.measurement
    if best is None or best.arm.measurement is None or control is None:
        return ""
    windows = findings.results.exploration.heldout_windows
    before, after, copy = control.changed, best.arm.measurement.changed, control.copy_changed
    values = f"{before:.3g} to {after:.3g}, copying the last frame {copy:.3g}"
    if best.error_change >= 0:
        return f"The world model did not improve in any arm (changed patches, {windows} held-out windows: {values})."
    return (
        f"The world model’s held-out error on changed patches falls by up to {-100 * best.error_change:.0f} % "
        f"({values}; {findings.name(best.arm)}; {windows} windows, one draw, no interval)."
    )


def _baseline(findings: Findings) -> str:
    measured, rate = findings.results.control.measurement, findings.control.rate
    if measured and measured.changed >= measured.copy_changed:
        return (
            "The pretrained world model is no better than copying the last frame on the patches that change; "
            "what adapts here is not yet a working world model."
        )
    if rate.successes == 0 and rate.episodes:
        return "The control never succeeds, so this sweep cannot show harm to the policy, only gains."
    if rate.successes == rate.episodes and rate.episodes:
        return "The control always succeeds, so this sweep cannot show gains, only harm."
    return ""


def _gaps(findings: Findings) -> list[str]:
    found = []
    if failed := findings.having("failed"):
        found.append(f"{len(failed)} of {len(findings.arms)} arms failed; the table below gives the reason.")
    if waiting := findings.having("not evaluated"):
        found.append(f"{len(waiting)} of {len(findings.arms)} arms were not evaluated.")
    broken = sum(not ended(outcome.status) for each in findings.everything for outcome in each.arm.outcomes)
    if broken:
        found.append(f"{broken} evaluation episodes crashed or timed out and count as failures.")
    if lost := findings.results.exploration.lost:
        found.append(f"{lost} exploratory episodes crashed or timed out and are missing.")
    return found


def ended(status: str) -> bool:
    """Whether an episode ran to its end."""
    return status in ("success", "failure")


def interval(difference: PairedDifference) -> str:
    """A difference with its interval, in percentage points."""
    return f"{points(difference.value)} points [{points(difference.low)}, {points(difference.high)}]"


def points(share: float) -> str:
    """A difference of rates in percentage points, signed, with a true minus sign."""
    rounded = round(100 * share)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"


def _from_to(findings: Findings, other: Finding) -> str:
    before, after = findings.control.rate.value, other.rate.value
    return f"{100 * before:.0f} to {100 * after:.0f} % at {findings.name(other.arm)}"
