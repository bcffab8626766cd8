"""The acceptance rule's record: what it would have let through, what it would have stopped, and what it cannot know."""

from dataclasses import dataclass
from statistics import fmean

from worldagen.evaluation import statistics
from worldagen.evaluation.correlation import Correlation, rank_correlation
from worldagen.report.findings import Finding, Findings

TOLERATED = 0.02
"""Loss of success that an accepted adaptation may cost."""


@dataclass(frozen=True)
class Record:
    """Evaluated budgets by what the rule makes of them. Where seeds disagree a budget is in neither list."""

    accepted: tuple[Finding, ...]
    rejected: tuple[Finding, ...]

    @property
    def losing(self) -> tuple[Finding, ...]:
        """Accepted budgets that were seen to lose more than is tolerated."""
        return tuple(each for each in self.accepted if each.difference and each.difference.value < -TOLERATED)

    @property
    def proven(self) -> tuple[Finding, ...]:
        """Accepted budgets whose whole interval lies above the tolerated loss."""
        return tuple(each for each in self.accepted if each.difference and each.difference.low > -TOLERATED)

    @property
    def harmful(self) -> tuple[Finding, ...]:
        """Accepted budgets that do worse than the control beyond noise."""
        return tuple(each for each in self.accepted if each.verdict == "harm")

    @property
    def averted(self) -> tuple[Finding, ...]:
        """Rejected budgets that do worse than the control beyond noise."""
        return tuple(each for each in self.rejected if each.verdict == "harm")

    @property
    def missed(self) -> tuple[Finding, ...]:
        """Rejected budgets that do better, or seem to."""
        return tuple(each for each in self.rejected if each.verdict in ("gain", "candidate"))

    @property
    def worst(self) -> Finding | None:
        """The accepted budget that did worst."""
        return min(self.accepted, key=_difference, default=None)


def record(compared: tuple[Finding, ...]) -> Record:
    """The rule's record over evaluated budgets, of one sweep or of several."""
    return Record(
        accepted=tuple(each for each in compared if each.accepted),
        rejected=tuple(each for each in compared if each.accepts == 0),
    )


def within(findings: Findings, drift: float) -> tuple[Finding, ...]:
    """What the rule would accept if its limit were `drift`: evaluated budgets whose held-out error fell by more than it
    asks for, and whose arm drift and share of flipped gripper commands are at most that (averages over the seeds)."""
    gain = findings.results.config["ttt"].get("accept_gain", 0.0)
    return tuple(
        each
        for each in findings.compared
        if each.error_change < -gain and all(each.measured(name) <= drift for name in ("arm_drift", "gripper_flips"))
    )


def mean_difference(found: tuple[Finding, ...]) -> float:
    """Average change of success over budgets; there must be one."""
    return fmean(_difference(each) for each in found)


def _difference(finding: Finding) -> float:
    assert finding.difference
    return finding.difference.value


@dataclass(frozen=True)
class Predictors:
    """Rank correlations of what can be measured without success with the change of success, over budgets."""

    loss: Correlation
    """Of the relative change of the held-out error: negative if a better world model goes with more success."""
    drift: Correlation
    """Of the policy's drift: negative if a moved policy goes with less success."""


def predictors(sweeps: list[Findings]) -> Predictors | None:
    """Over all evaluated budgets of the sweeps; None if there are none. The budgets of one way to adapt (its step
    counts) are one cluster, ranks are those within a sweep, and sweeps of one suite share their initial states."""
    found = [
        (each, (number, each.group), _changes(findings, each))
        for number, findings in enumerate(sweeps)
        for each in findings.compared
        if each in findings.measured
    ]
    if not found:
        return None
    clusters, changes = [cluster for _, cluster, _ in found], [change for _, _, change in found]
    settings = [number for number, _ in clusters]
    return Predictors(
        loss=rank_correlation([each.error_change for each, *_ in found], changes, clusters, settings),
        drift=rank_correlation([each.measured("arm_drift") for each, *_ in found], changes, clusters, settings),
    )


def _changes(findings: Findings, budget: Finding) -> dict[tuple[str, str, int], float]:
    """Change of success for each initial state, by suite, task and state."""
    results = findings.results
    control = results.control.outcomes
    pairs = sorted(each.pair for each in control)
    shares = statistics.changes([arm.outcomes for arm in budget.arms], control) / len(budget.arms)
    return {(results.suite, task, state): float(share) for (task, state, _), share in zip(pairs, shares, strict=True)}
