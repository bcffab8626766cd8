"""Findings in sentences that the numbers support: a headline, and what must be known to believe it."""

import math

from worldagen.evaluation.correlation import Correlation
from worldagen.evaluation.statistics import PairedDifference
from worldagen.report.findings import Confirmed, Finding, Findings
from worldagen.report.rule import TOLERATED, Predictors, record


def headline(findings: Findings) -> str:
    """One sentence on success: the thing that adaptation is for."""
    compared, harms = findings.compared, findings.having("harm")
    if findings.arms and len(findings.having("rejected")) == len(findings.arms):
        return f"The acceptance rule kept the base model in all {len(findings.arms)} arms, so success is the control’s"
    if not compared:
        return "Nothing can be said about success: no arm was evaluated beside the control"
    among = f"{len(compared)} evaluated arms" if len(compared) > 1 else "one evaluated arm"
    harming = f"; harm in {len(harms)} of {among}" if harms else ""
    if again := _fresh(findings, "gain"):
        return f"Adaptation helps, confirmed on fresh initial states: {_fresh_from_to(findings, again)}{harming}"
    if candidates := findings.having("candidate"):
        best = max(candidates, key=lambda each: each.rate.value)
        tested = "run on fresh initial states" if findings.again else "confirmed on fresh initial states"
        return (
            f"Adaptation may help: {len(candidates)} of {among} "
            f"{'are candidates' if len(candidates) > 1 else 'is a candidate'}, not {tested}, "
            f"{_from_to(findings, best)}{harming}"
        )
    if harms:
        worst = min(harms, key=lambda each: each.rate.value)
        again = _fresh(findings, "harm")
        shown = f"on fresh initial states {_fresh_from_to(findings, again)}" if again else _from_to(findings, worst)
        return f"Adaptation harms the policy in {len(harms)} of {among}, and no gain can be told from noise: {shown}"
    if not any(each.rate.successes for each in (findings.control, *compared)):
        return "Neither the control nor any arm solved an episode, so success says nothing here"
    if findings.smallest_difference is None:
        return "This sweep is too small to tell whether adaptation changes success"
    return "No arm’s success differs from the control beyond noise"


def statements(findings: Findings) -> list[str]:
    """What else must be known to believe the headline, most important first."""
    said = [
        _power(findings),
        confirmation(findings),
        choice(findings),
        _best_budget(findings),
        _ties(findings),
        _world_model(findings),
        rule_in_words(findings),
        *_circumstances(findings),
        *_baseline(findings),
        *_gaps(findings),
    ]
    return [sentence for sentence in said if sentence]


def _power(findings: Findings) -> str:
    if not findings.compared:
        return ""
    against = f"{findings.control.rate.episodes} paired episodes per arm"
    if findings.seeds > 1:
        against += f", averaged over {findings.seeds} adaptation seeds"
    if len(findings.compared) > 1:
        against += f", corrected for {len(findings.compared)} comparisons"
    if findings.smallest_difference is None:
        return f"With {against}, this sweep is too small to find any effect on success, however large."
    return (
        f"With {against}, the smallest difference that this sweep would find in four of five repeats is about "
        f"{100 * findings.smallest_difference:.0f} points; smaller effects may exist and stay unseen."
    )


def confirmation(findings: Findings) -> str:
    """What the fresh initial states said; empty when there were none."""
    again = findings.confirmed
    if again is None:
        return ""
    size = again.smallest_difference
    power = (
        f"a true difference of {100 * size:.0f} points would be found in four of five" if size else "too few to tell"
    )
    ending = {"gain": "a confirmed gain", "harm": "a harm"}.get(again.verdict, "not distinguishable from zero")
    count = len(findings.again)
    corrected = "one comparison" if count == 1 else f"corrected for {count} comparisons"
    return (
        f"On {again.control.episodes} fresh initial states {findings.name(again.finding)} makes "
        f"{interval(again.difference)}, p {p_value(again.difference.p_corrected)} ({corrected}; {power}): {ending}."
    )


def choice(findings: Findings) -> str:
    """What fresh initial states said of the budget that the acceptance rule chooses; empty when there were none."""
    again = findings.chosen
    if again is None:
        return ""
    if findings.confirmed and findings.confirmed.finding is again.finding:
        return "The acceptance rule, which counts no successes, chooses the same arm."
    return (
        f"The acceptance rule, which counts no successes, chooses {findings.name(again.finding)}: on the same fresh "
        f"initial states {interval(again.difference)}, p {p_value(again.difference.p_corrected)}."
    )


def _best_budget(findings: Findings) -> str:
    best = findings.best
    if best is None or best.difference is None or not best.rate.successes or findings.having("gain"):
        return ""
    seen = f"{findings.name(best)} ({interval(best.difference)} against the control)"
    if best.difference.value <= 0:
        return f"No arm solved more episodes than the control; the nearest is {seen}."
    if best.verdict == "candidate":
        return (
            f"Most successful arm: {seen}. A candidate only: it is the luckiest of {len(findings.compared)}, and fresh "
            "initial states have to confirm it (evaluation.confirm_episodes)."
        )
    if best.verdict == "not distinguishable":
        return f"Most successful arm: {seen}. This is not distinguishable from zero, so no budget can be recommended."
    return f"Most successful arm of the search: {seen}."


def _ties(findings: Findings) -> str:
    best = findings.best
    if best is None or findings.tied < 2 or not best.rate.successes:
        return ""
    return (
        f"{findings.tied} of {len(findings.compared)} arms solved as many episodes as {findings.name(best)}; it counts "
        "as the best because its held-out error is the lowest of these, which is no evidence that it succeeds."
    )


def _world_model(findings: Findings) -> str:
    best, control = findings.best_world_model, findings.results.control.measurement
    if best is None or control is None:
        return ""
    windows = findings.results.exploration.heldout_windows
    before, after, copy = control.changed, best.measured("changed"), control.copy_changed
    values = f"{before:.3g} to {after:.3g}, copying the last frame {copy:.3g}"
    if best.error_change >= 0:
        return f"The world model did not improve in any arm (changed patches, {windows} held-out windows: {values})."
    return (
        f"The world model’s held-out error on changed patches falls by up to {-100 * best.error_change:.0f} % "
        f"({values}; {findings.name(best)}; {windows} windows, one draw, no interval)."
    )


def rule_in_words(findings: Findings) -> str:
    """What the acceptance rule makes of the evaluated arms; empty when there are none."""
    found = record(findings.compared)
    if not findings.compared or findings.having("rejected"):
        count = len(findings.having("rejected"))
        return f"The acceptance rule kept the base model in {count} of {len(findings.arms)} arms." if count else ""
    said = f"The acceptance rule would accept {len(found.accepted)} of {len(findings.compared)} arms"
    if found.worst and found.worst.difference:
        said += (
            f", of which {len(found.losing)} lost more than {100 * TOLERATED:.0f} points "
            f"(the worst {interval(found.worst.difference)})"
        )
    if found.averted:
        said += f"; it would avert {len(found.averted)} of {len(found.averted) + len(found.harmful)} harms"
    return said + "."


def predictors_in_words(found: Predictors) -> list[str]:
    """Whether held-out world-model error and drift tell the change of success."""
    loss, drift = found.loss, found.drift
    errors, drifts = _tendency(loss, "lower error", loss.value < 0), _tendency(drift, "more drift", drift.value > 0)
    return [
        f"Held-out world-model error and success: {correlation(loss)}. {errors}",
        f"Policy drift and success: {correlation(drift)}. {drifts}",
    ]


def _tendency(found: Correlation, what: str, better: bool) -> str:
    if math.isnan(found.value):
        return "One of the two never varies."
    if not found.distinguishable:
        return f"Neither sign can be ruled out, so {what} says nothing about success here."
    return f"Arms of {what} tend to succeed {'more' if better else 'less'} often."


def correlation(found: Correlation) -> str:
    """A rank correlation with its interval."""
    if math.isnan(found.value):
        return "no rank correlation, for success or the other never varies"
    numbers = [f"{value:+.2f}".replace("-", "−") for value in (found.value, found.low, found.high)]
    between = (
        f" [{numbers[1]}, {numbers[2]}]" if not math.isnan(found.low) else ", too few ways to adapt for an interval"
    )
    return f"rank correlation {numbers[0]}{between} over {found.arms} arms of {found.clusters} ways to adapt"


def _circumstances(findings: Findings) -> list[str]:
    """Whose episodes these are, and where exploration was another world than evaluation."""
    said = []
    evaluation = findings.results.config["evaluation"]
    if name := evaluation.get("protocol", ""):
        limit = evaluation.get("limit", 0)
        part = f"its first {limit} episodes only" if limit else "all its episodes"
        said.append(f"Evaluation is that of the protocol {name}, {part}, with the assets, visuals and shifts below.")
    if findings.results.config["explore"].get("unshifted", False):
        said.append(
            "Exploration met the world without the shift that evaluation has: a control, in which a gain is not one of "
            "adapting to the shift; world-model errors and drift are those of the unshifted world."
        )
    return said


def _baseline(findings: Findings) -> list[str]:
    measured, rate, said = findings.results.control.measurement, findings.control.rate, []
    if measured and measured.changed >= measured.copy_changed > 0:
        said.append(
            "The pretrained world model is no better than copying the last frame on the patches that change; "
            "in this world, before adaptation, it does not work."
        )
    if rate.successes == 0 and rate.episodes:
        said.append("The control never succeeds, so this sweep cannot show harm to the policy, only gains.")
    if rate.successes == rate.episodes and rate.episodes:
        said.append("The control always succeeds, so this sweep cannot show gains, only harm.")
    return said


def _gaps(findings: Findings) -> list[str]:
    found = []
    if failed := findings.having("failed"):
        found.append(f"{len(failed)} of {len(findings.arms)} arms failed; the table below gives the reason.")
    if waiting := findings.having("not evaluated"):
        found.append(f"{len(waiting)} of {len(findings.arms)} arms were not evaluated.")
    search, fresh = findings.gave_up
    if search or fresh:
        found.append(gave_up_in_words(search, fresh))
    if lost := findings.results.exploration.lost:
        found.append(f"{lost} exploratory episodes crashed or timed out and are missing.")
    return found


def gave_up_in_words(search: int, fresh: int) -> str:
    """Episodes without an end of their own, of which there must be some."""
    there = f", {fresh} of them on fresh initial states" if fresh else ""
    return f"{search + fresh} evaluation episodes crashed or timed out and count as failures{there}."


def interval(difference: PairedDifference) -> str:
    """A difference with its interval, in percentage points."""
    return f"{points(difference.value)} points [{points(difference.low)}, {points(difference.high)}]"


def points(share: float) -> str:
    """A difference of rates in percentage points, signed, with a true minus sign."""
    rounded = round(100 * share)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"


def p_value(p: float) -> str:
    """With its sign of relation: `= 0.032`, `< 0.001`."""
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"


def _fresh(findings: Findings, verdict: str) -> Confirmed | None:
    """What fresh initial states gave that verdict; the first of them."""
    return next((each for each in findings.again if each.verdict == verdict), None)


def _fresh_from_to(findings: Findings, again: Confirmed) -> str:
    return f"{100 * again.control.value:.0f} to {100 * again.rate.value:.0f} % at {findings.name(again.finding)}"


def _from_to(findings: Findings, other: Finding) -> str:
    before, after = findings.control.rate.value, other.rate.value
    return f"{100 * before:.0f} to {100 * after:.0f} % at {findings.name(other)}"
