"""The study's tables and sentences, made from its summary."""

import math
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise

from worldagen.evaluation.power import can_tell
from worldagen.evaluation.statistics import PairedDifference, Rate
from worldagen.report.figures import Picture
from worldagen.report.findings import Finding, Findings, method_name, steps
from worldagen.report.rule import TOLERATED, mean_difference, predictors, record, within
from worldagen.report.words import correlation, interval, p_value
from worldagen.study.document import Document, Plot, Section, Table
from worldagen.study.margins import margins
from worldagen.study.summary import SettingFindings, Study
from worldagen.study.words import fine, percent, sentences

NONE = "–"
MOST, FEW = 40, 5
"""Budgets over all settings: with more than MOST only the FEW highest and lowest are listed."""
LIMITS = (0.005, 0.01, 0.02, 0.05, 0.1, math.inf)
"""Limits on drift that are compared."""


def document(study: Study, pictures: Mapping[str, Picture], waiting: Iterable[str], command: str) -> Document:
    """The whole study in words, tables and pictures. `waiting` are settings that have no results yet."""
    missing = [f"No results yet of {', '.join(waiting)}."] if (waiting := list(waiting)) else []
    makers: list[Callable[[Study, Mapping[str, Picture]], Section | None]] = [
        _what, _confirmation, _margins, _budgets, _search, _world_model, _prediction, _rule, _single
    ]  # fmt: skip
    return Document(
        title=f"Study {study.name}: does test-time training help?",
        findings=(*missing, *sentences(study)),
        sections=tuple(section for make in makers if (section := make(study, pictures))),
        origin=f"Written by `{command}`.",
    )


def _what(study: Study, pictures: Mapping[str, Picture]) -> Section:
    rows = []
    for each in study.settings:
        results, findings = each.results, each.findings
        rows.append(
            (
                each.name,
                f"{results.suite} ({results.assets})",
                each.shift,
                _rate(findings.control.rate),
                str(len(findings.arms)),
                str(findings.control.rate.episodes),
                str(each.confirmed.control.episodes) if each.confirmed else NONE,
                ", ".join(map(str, findings.explorations)),
                _listed(sorted({arm.steps for arm in findings.arms})),
                f"{results.config['seed']}; {', '.join(map(str, results.config['ttt'].get('seeds', [0])))}",
                _power(findings.smallest_difference),
            )
        )
    header = (
        "setting", "suite (assets)", "shift", "control", "arms", "episodes", "fresh episodes", "explored", "steps",
        "seeds", "finds",
    )  # fmt: skip
    groups = [group for each in study.findings for group in each.groups]
    tasks = dict.fromkeys(task for each in study.settings for task in each.results.tasks)
    text = (
        f"Base weights `{', '.join(sorted({each.results.checkpoint for each in study.settings}))}`; methods "
        f"{', '.join(method_name(name) for name in study.methods)}; learning rates "
        f"{_listed(sorted({each.learning_rate for each in groups}))}; ranks "
        f"{_listed(sorted({each.rank for each in groups}))}; tasks "
        f"{', '.join(task.replace('_', ' ') for task in tasks)}."
    )
    note = (
        "Control: success of the base model in that setting, 95 % Wilson interval. Seeds: of the run; of the "
        "adaptation. Finds: smallest true difference that the search finds in four of five repeats, corrected for its "
        "number of arms."
    )
    return Section("What was run", (text, Table(header, tuple(rows), note)))


def _confirmation(study: Study, pictures: Mapping[str, Picture]) -> Section | None:
    if not study.confirmed:
        return None
    rows = []
    for each, again in study.again:
        alike = f" of {each.findings.tied} alike" if each.findings.tied > 1 else ""
        why = (again is each.confirmed) * [f"best{alike}"] + (again is each.chosen) * ["rule's choice"]
        rows.append(
            (
                each.name,
                each.findings.name(again.finding),
                ", ".join(why),
                "accepts" if again.finding.accepted else "rejects",
                interval(again.finding.difference) if again.finding.difference else NONE,
                _rate(again.control),
                _rate(again.rate),
                _tenths(again.difference),
                p_value(again.difference.p).removeprefix("= "),
                p_value(again.difference.p_corrected).removeprefix("= "),
                _power(again.smallest_difference),
            )
        )
    header = (
        "setting", "arm", "because", "rule", "in the search", "control, fresh", "arm, fresh", "points, fresh", "p",
        "p, Holm", "finds",
    )  # fmt: skip
    note = (
        "Best: of the search, which counts successes; of arms alike in that, the one of lowest held-out error, which "
        "is no evidence that it succeeds. Rule's choice: of the arms that the acceptance rule accepts, the "
        "one of lowest held-out error. Holm: over this table. Finds: smallest true difference found in four of five "
        "repeats, corrected likewise (Holm's first and strictest step)."
    )
    return Section("On fresh initial states", (*_plot("confirmations", pictures), Table(header, tuple(rows), note)))


def _search(study: Study, pictures: Mapping[str, Picture]) -> Section:
    rows = []
    for each in study.settings:
        for method in each.findings.methods:
            rows.append((each.name, *_method_row(each, method)))
    header = (
        "setting", "method", "arms", "gains, candidates", "harms", "failed", "best", "worst",
        "largest budget without a loss",
    )  # fmt: skip
    note = (
        "Points to the control with 95 % intervals, not corrected for having picked the best and the worst of several. "
        "Gains and harms of arms that met fresh initial states are those of the table above, the others the search's. "
        "Largest budget without a loss: by steps times learning rate, the largest up to which no arm of the method (as "
        "many steps or fewer, at that rate or a lower one) solved fewer episodes of the search than the control."
    )
    table = Table(header, tuple(rows), note)
    return Section("Which methods and budgets gain, which harm", (*_plot("success", pictures), table))


def _margins(study: Study, pictures: Mapping[str, Picture]) -> Section | None:
    rows = tuple(
        (
            each.name,
            _tenths(each.difference),
            percent(each.error_change),
            f"{each.drift:.3f}",
            f"{100 * each.accepted:.0f} %",
            *(fine(value) for value in each.by_setting),
        )
        for each in margins(study)
    )
    if not rows:
        return None
    header = (
        "", "points to the control", "held-out error", "drift", "rule accepts", *(each.name for each in study.settings)
    )  # fmt: skip
    note = (
        f"Averages over those of the {len(study.budgets)} budgets evaluated in every setting that have what the row "
        f"says. Their intervals draw the {study.budgets[0].difference.episodes} initial states of the search and are "
        "not corrected; where few of these changed they are score intervals of as many wholly changed ones, too wide "
        "rather than too narrow. On the right the points of each setting."
    )
    return Section("What each choice does, averaged over the others", (Table(header, rows, note),))


def _budgets(study: Study, pictures: Mapping[str, Picture]) -> Section | None:
    if not study.budgets:
        return None
    ranked = sorted(study.budgets, key=lambda each: each.difference.value)
    shown = ranked[:FEW] + ranked[-FEW:] if len(ranked) > MOST else ranked
    left_out = f" Of these the {FEW} highest and the {FEW} lowest are shown." if len(ranked) > MOST else ""
    rows = tuple(
        (
            each.name,
            _tenths(each.difference),
            f"{each.difference.gained}, {each.difference.lost}",
            p_value(each.difference.p_corrected).removeprefix("= "),
            percent(each.error_change),
            f"{each.drift:.3f}",
            f"{sum(found.accepted for found in each.found)} of {len(each.found)}",
        )
        for each in study.budgets
        if each in shown
    )
    header = ("budget", "points to the control", "gained, lost", "p, Holm", "held-out error", "drift", "rule accepts")
    telling = can_tell(study.budgets[0].difference, len(study.budgets))
    note = (
        f"Each over the {study.budgets[0].difference.episodes} initial states of the search, averaged over the "
        f"{len(study.settings)} settings: gained, lost are states whose average rose, fell. Holm over the "
        f"{len(study.budgets)} budgets{'' if telling else ', which so few states can never pass'}.{left_out} What "
        "holds on average may not hold in each setting."
    )
    return Section("Budgets over all settings", (Table(header, rows, note),))


def _method_row(setting: SettingFindings, method: str) -> tuple[str, ...]:
    findings = setting.findings
    own = findings.of_method(method)
    compared = [each for each in own if each.difference]
    best = max(compared, key=lambda each: each.rate.value, default=None)
    worst = min(compared, key=lambda each: each.rate.value, default=None)
    verdicts = [each.verdict for each in own]
    return (
        method_name(method),
        str(len(own)),
        f"{verdicts.count('gain')}, {verdicts.count('candidate')}",
        str(verdicts.count("harm")),
        str(verdicts.count("failed")),
        _budget(findings, best),
        _budget(findings, worst),
        _lossless(compared),
    )


def _lossless(compared: list[Finding]) -> str:
    losing = [each for each in compared if each.verdict == "harm" or (each.difference and each.difference.value < 0)]
    safe = [
        each
        for each in compared
        if not any(
            other.steps <= each.steps and other.group.learning_rate <= each.group.learning_rate for other in losing
        )
    ]
    largest = max(safe, key=lambda each: each.steps * each.group.learning_rate, default=None)
    return f"lr {largest.group.learning_rate:g}, {steps(largest.steps)}" if largest else "none"


def _world_model(study: Study, pictures: Mapping[str, Picture]) -> Section:
    rows = []
    for each in study.settings:
        control, best, safe = each.findings.control, each.findings.best_world_model, each.lowest_accepted
        measured = each.results.control.measurement
        if measured is None or best is None:
            continue
        rows.append(
            (
                each.name,
                "yes" if each.seen else "no",
                f"{control.measured('changed'):.3f}",
                f"{measured.copy_changed:.3f}",
                f"{best.measured('changed'):.3f} ({percent(best.error_change)})",
                each.findings.name(best),
                f"{percent(safe.error_change)}" if safe else NONE,
                each.findings.name(safe) if safe else NONE,
            )
        )
    header = (
        "setting", "cameras see it", "base", "copying", "lowest", "by", "lowest accepted", "by",
    )  # fmt: skip
    note = "Mean squared error of the next observation on held-out exploration, patches that change, normalised pixels."
    return Section("What it does to the world model", (*_plot("error", pictures), Table(header, tuple(rows), note)))


def _prediction(study: Study, pictures: Mapping[str, Picture]) -> Section | None:
    rows = []
    every = [("all", study.findings)]
    every += [(each.name, [each.findings]) for each in study.settings] if len(study.settings) > 1 else []
    for name, findings in every:
        if found := predictors(findings):
            rows.append((name, correlation(found.loss), correlation(found.drift)))
    if not rows:
        return None
    note = (
        "Spearman's rank correlations over arms; in the row `all` of their ranks within each setting, where success "
        "varied at all. Their 95 % intervals draw ways to adapt, whose step counts resemble "
        "each other, and initial states, on which all arms were measured, each by itself. Negative: a lower error, or "
        "less drift, goes with more success."
    )
    table = Table(("setting", "change of held-out error and success", "drift and success"), tuple(rows), note)
    return Section("Can it be known without counting successes?", (*_plot("tradeoff", pictures), table))


def _rule(study: Study, pictures: Mapping[str, Picture]) -> Section:
    rows = []
    for name, compared in [(each.name, each.findings.compared) for each in study.settings] + [("all", study.compared)]:
        found = record(compared)
        worst = interval(found.worst.difference) if found.worst and found.worst.difference else NONE
        rows.append(
            (
                name,
                f"{len(found.accepted)} of {len(compared)}",
                _mean(found.accepted),
                str(len(found.losing)),
                str(len(found.proven)),
                worst,
                _mean(found.rejected),
                f"{len(found.averted)} of {len(found.averted) + len(found.harmful)}",
                str(len(found.missed)),
            )
        )
    limit = f"{100 * TOLERATED:.0f} points"
    header = (
        "setting", "accepted", "their mean", f"lost more than {limit}", f"shown to lose less than {limit}",
        "worst accepted", "mean of the rejected", "harms averted", "gains or candidates missed",
    )  # fmt: skip
    gains, drifts = (
        _listed(sorted({scale * each.results.config["ttt"].get(name, 0.0) for each in study.settings}))
        for name, scale in (("accept_gain", 100), ("accept_drift", 1))
    )
    text = (
        f"The rule uses an adapter only if its held-out error on changed patches falls by more than {gains} % and the "
        f"policy's arm drift and share of flipped gripper commands are at most {drifts}. It knows nothing of success."
    )
    note = "Differences as seen in the search. Neither lost more nor shown to lose less: undecided at this sample size."
    return Section("The acceptance rule", (text, Table(header, tuple(rows), note), _limits(study)))


def _limits(study: Study) -> Table:
    """What other limits on drift would let through."""
    rows = []
    for low, limit in pairwise((-math.inf, *LIMITS)):
        found, before = (
            tuple(each for findings in study.findings for each in within(findings, most)) for most in (limit, low)
        )
        new = tuple(each for each in found if each not in before)
        rows.append(
            (
                f"{limit:g}" if math.isfinite(limit) else "none",
                f"{len(found)} of {len(study.compared)}",
                _mean(found),
                str(len([each for each in found if each.verdict == "harm"])),
                percent(min(each.error_change for each in found)) if found else NONE,
                str(len(new)),
                _mean(new),
            )
        )
    header = (
        "limit on drift", "accepted", "their mean", "harms among them", "lowest error", "new to the limit before",
        "their mean",
    )  # fmt: skip
    note = (
        "If the rule had another limit: points to the control in the search, and the largest fall of the held-out "
        "error that it would let through. To choose a limit for a suite of your own, read this table for that suite."
    )
    return Table(header, tuple(rows), note)


def _single(study: Study, pictures: Mapping[str, Picture]) -> Section:
    rows = tuple(
        (
            each.name,
            f"`{each.name}/report/index.html`",
            f"{each.results.exploration.environment_steps}",
            _coverage(each.results.exploration.coverage),
            f"{max(arm.learn_seconds for arm in each.findings.arms):.0f} s" if each.findings.arms else NONE,
            f"{sum(each.results.seconds.values()) / 60:.0f} min",
        )
        for each in study.settings
    )
    header = ("setting", "report, in the study's folder", "environment steps", "coverage", "longest adaptation", "work")
    return Section("Every setting by itself", (Table(header, rows, "Work: seconds of all processes added up."),))


def _coverage(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {share:.2f}" for name, share in shares.items()) or NONE


def _plot(name: str, pictures: Mapping[str, Picture]) -> tuple[Plot, ...]:
    return (Plot(name, pictures[name], CAPTIONS[name]),) if name in pictures else ()


CAPTIONS = {
    "confirmations": "The best arm of each search against the control on fresh initial states, 95 % intervals. Filled: "
    "distinguishable from zero, after Holm over the settings' rows; the rows of all settings together are not "
    "corrected. Square: the acceptance rule's choice, where it is another.",
    "success": "Change of success over TTT steps in the search, a line for each way to adapt.",
    "error": "Change of the held-out world-model error over TTT steps, a line for each way to adapt.",
    "tradeoff": "Change of success against change of the world-model error and against policy drift, a dot for each "
    "arm of every setting. Filled: the acceptance rule would use it.",
}
"""By the name of the picture."""


def _budget(findings: Findings, finding: Finding | None) -> str:
    if finding is None or finding.difference is None:
        return NONE
    return f"{interval(finding.difference)}: {findings.name(finding, method=False)}"


def _tenths(found: PairedDifference) -> str:
    return f"{fine(found.value)} [{fine(found.low)}, {fine(found.high)}]"


def _mean(found: tuple[Finding, ...]) -> str:
    return fine(mean_difference(found)) if found else NONE


def _rate(rate: Rate) -> str:
    if math.isnan(rate.value):
        return NONE
    return f"{100 * rate.value:.0f} % [{100 * rate.low:.0f}, {100 * rate.high:.0f}]"


def _power(size: float | None) -> str:
    return f"{100 * size:.0f} points" if size else "nothing"


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
