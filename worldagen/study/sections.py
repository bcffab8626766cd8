"""The study's sections, made from its summary: what was run, what was found, and at which budgets."""

from collections.abc import Callable, Iterable, Mapping

from worldagen.evaluation.power import can_tell
from worldagen.report.figures import Picture
from worldagen.report.findings import Confirmed, Finding, Findings, method_name, steps
from worldagen.report.rule import predictors
from worldagen.report.words import correlation, interval, p_value
from worldagen.study import rule
from worldagen.study.cells import NONE, fine, listed, percent, power, success, tenths
from worldagen.study.document import Document, Plot, Section, Table
from worldagen.study.margins import margins
from worldagen.study.summary import SettingFindings, Study
from worldagen.study.words import sentences

MOST, FEW = 40, 5
"""Budgets over all settings: with more than MOST only the FEW highest and lowest are listed."""

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


def document(study: Study, pictures: Mapping[str, Picture], waiting: Iterable[str], command: str) -> Document:
    """The whole study in words, tables and pictures. `waiting` are settings that have no results yet."""
    missing = [f"No results yet of {', '.join(waiting)}."] if (waiting := list(waiting)) else []
    makers: list[tuple[Callable[[Study], Section | None], str]] = [  # each with the picture that it begins with
        (_what, ""),
        (_confirmation, "confirmations"),
        (_margins, ""),
        (_budgets, ""),
        (_search, "success"),
        (_world_model, "error"),
        (_prediction, "tradeoff"),
        (rule.section, ""),
        (_single, ""),
    ]
    made = ((make(study), name) for make, name in makers)
    return Document(
        title=f"Study {study.name}: does test-time training help?",
        findings=(*missing, *sentences(study)),
        sections=tuple(_illustrated(section, name, pictures) for section, name in made if section),
        origin=f"Written by `{command}`.",
    )


def _illustrated(section: Section, name: str, pictures: Mapping[str, Picture]) -> Section:
    if name not in pictures:
        return section
    return Section(section.title, (Plot(name, pictures[name], CAPTIONS[name]), *section.parts))


def _what(study: Study) -> Section:
    rows = [
        {
            "setting": each.name,
            "suite (assets)": f"{each.results.suite} ({each.results.assets})",
            "shift": each.shift,
            "control": success(each.findings.control.rate),
            "arms": str(len(each.findings.arms)),
            "episodes": str(each.findings.control.rate.episodes),
            "fresh episodes": str(each.confirmed.control.episodes) if each.confirmed else NONE,
            "explored": ", ".join(map(str, each.findings.explorations)),
            "steps": listed(sorted({arm.steps for arm in each.findings.arms})),
            "seeds": f"{each.results.config['seed']}; "
            f"{', '.join(map(str, each.results.config['ttt'].get('seeds', [0])))}",
            "finds": power(each.findings.smallest_difference),
        }
        for each in study.settings
    ]
    groups = [group for each in study.findings for group in each.groups]
    tasks = dict.fromkeys(task for each in study.settings for task in each.results.tasks)
    text = (
        f"Base weights `{', '.join(sorted({each.results.checkpoint for each in study.settings}))}`; methods "
        f"{', '.join(method_name(name) for name in study.methods)}; learning rates "
        f"{listed(sorted({each.learning_rate for each in groups}))}; ranks "
        f"{listed(sorted({each.rank for each in groups}))}; tasks "
        f"{', '.join(task.replace('_', ' ') for task in tasks)}."
    )
    note = (
        "Control: success of the base model in that setting, 95 % Wilson interval. Seeds: of the run; of the "
        "adaptation. Finds: smallest true difference that the search finds in four of five repeats, corrected for its "
        "number of arms."
    )
    return Section("What was run", (text, Table.of(rows, note)))


def _confirmation(study: Study) -> Section | None:
    if not study.confirmed:
        return None
    note = (
        "Best: of the search, which counts successes; of arms alike in that, the one of lowest held-out error, which "
        "is no evidence that it succeeds. Rule's choice: of the arms that the acceptance rule accepts, the "
        "one of lowest held-out error. Holm: over this table. Finds: smallest true difference found in four of five "
        "repeats, corrected likewise (Holm's first and strictest step)."
    )
    rows = [_confirmed_row(each, again) for each, again in study.again]
    return Section("On fresh initial states", (Table.of(rows, note),))


def _confirmed_row(setting: SettingFindings, again: Confirmed) -> dict[str, str]:
    alike = f" of {setting.findings.tied} alike" if setting.findings.tied > 1 else ""
    why = (again is setting.confirmed) * [f"best{alike}"] + (again is setting.chosen) * ["rule's choice"]
    searched = again.finding.difference
    return {
        "setting": setting.name,
        "arm": setting.findings.name(again.finding),
        "because": ", ".join(why),
        "rule": "accepts" if again.finding.accepted else "rejects",
        "in the search": interval(searched) if searched else NONE,
        "control, fresh": success(again.control),
        "arm, fresh": success(again.rate),
        "points, fresh": tenths(again.difference),
        "p": p_value(again.difference.p).removeprefix("= "),
        "p, Holm": p_value(again.difference.p_corrected).removeprefix("= "),
        "finds": power(again.smallest_difference),
    }


def _margins(study: Study) -> Section | None:
    found = margins(study)
    if not found:
        return None
    rows = [
        {
            "": each.name,
            "points to the control": tenths(each.difference),
            "held-out error": percent(each.error_change),
            "drift": f"{each.drift:.3f}",
            "rule accepts": f"{100 * each.accepted:.0f} %",
        }
        for each in found
    ]
    note = (
        f"Averages over those of the {len(study.budgets)} budgets evaluated in every setting that have what the row "
        f"says. Their intervals draw the {study.budgets[0].difference.episodes} initial states of the search and are "
        "not corrected; where few of these changed they are score intervals of as many wholly changed ones, too wide "
        "rather than too narrow. On the right the points of each setting."
    )
    left = Table.of(rows, note)
    right = [tuple(fine(value) for value in each.by_setting) for each in found]
    whole = Table(
        (*left.header, *(each.name for each in study.settings)),
        tuple((*row, *values) for row, values in zip(left.rows, right, strict=True)),
        note,
    )
    return Section("What each choice does, averaged over the others", (whole,))


def _budgets(study: Study) -> Section | None:
    if not study.budgets:
        return None
    ranked = sorted(study.budgets, key=lambda each: each.difference.value)
    shown = ranked[:FEW] + ranked[-FEW:] if len(ranked) > MOST else ranked
    left_out = f" Of these the {FEW} highest and the {FEW} lowest are shown." if len(ranked) > MOST else ""
    rows = [
        {
            "budget": each.name,
            "points to the control": tenths(each.difference),
            "gained, lost": f"{each.difference.gained}, {each.difference.lost}",
            "p, Holm": p_value(each.difference.p_corrected).removeprefix("= "),
            "held-out error": percent(each.error_change),
            "drift": f"{each.drift:.3f}",
            "rule accepts": f"{sum(found.accepted for found in each.found)} of {len(each.found)}",
        }
        for each in study.budgets
        if each in shown
    ]
    telling = can_tell(study.budgets[0].difference, len(study.budgets))
    note = (
        f"Each over the {study.budgets[0].difference.episodes} initial states of the search, averaged over the "
        f"{len(study.settings)} settings: gained, lost are states whose average rose, fell. Holm over the "
        f"{len(study.budgets)} budgets{'' if telling else ', which so few states can never pass'}.{left_out} What "
        "holds on average may not hold in each setting."
    )
    return Section("Budgets over all settings", (Table.of(rows, note),))


def _search(study: Study) -> Section:
    rows = [_method_row(each, method) for each in study.settings for method in each.findings.methods]
    note = (
        "Points to the control with 95 % intervals, not corrected for having picked the best and the worst of several. "
        "Gains and harms of arms that met fresh initial states are those of the table above, the others the search's. "
        "Largest budget without a loss: by steps times learning rate, the largest up to which no arm of the method (as "
        "many steps or fewer, at that rate or a lower one) solved fewer episodes of the search than the control."
    )
    return Section("Which methods and budgets gain, which harm", (Table.of(rows, note),))


def _method_row(setting: SettingFindings, method: str) -> dict[str, str]:
    findings = setting.findings
    own = findings.of_method(method)
    compared = [each for each in own if each.difference]
    verdicts = [each.verdict for each in own]
    return {
        "setting": setting.name,
        "method": method_name(method),
        "arms": str(len(own)),
        "gains, candidates": f"{verdicts.count('gain')}, {verdicts.count('candidate')}",
        "harms": str(verdicts.count("harm")),
        "failed": str(verdicts.count("failed")),
        "best": _budget(findings, max(compared, key=lambda each: each.rate.value, default=None)),
        "worst": _budget(findings, min(compared, key=lambda each: each.rate.value, default=None)),
        "largest budget without a loss": _lossless(compared),
    }


def _budget(findings: Findings, finding: Finding | None) -> str:
    if finding is None or finding.difference is None:
        return NONE
    return f"{interval(finding.difference)}: {findings.name(finding, method=False)}"


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


def _world_model(study: Study) -> Section | None:
    rows = []
    for each in study.settings:
        control, best, safe = each.findings.control, each.findings.best_world_model, each.lowest_accepted
        measured = each.results.control.measurement
        if measured is None or best is None:
            continue
        rows.append(
            {
                "setting": each.name,
                "cameras see it": "yes" if each.seen else "no",
                "base": f"{control.measured('changed'):.3f}",
                "copying": f"{measured.copy_changed:.3f}",
                "lowest": f"{best.measured('changed'):.3f} ({percent(best.error_change)})",
                "by": each.findings.name(best),
                "lowest accepted": f"{percent(safe.error_change)}" if safe else NONE,
                "accepted by": each.findings.name(safe) if safe else NONE,
            }
        )
    if not rows:
        return None
    note = "Mean squared error of the next observation on held-out exploration, patches that change, normalised pixels."
    return Section("What it does to the world model", (Table.of(rows, note),))


def _prediction(study: Study) -> Section | None:
    every = [("all", study.findings)]
    every += [(each.name, [each.findings]) for each in study.settings] if len(study.settings) > 1 else []
    rows = [
        {
            "setting": name,
            "change of held-out error and success": correlation(found.loss),
            "drift and success": correlation(found.drift),
        }
        for name, findings in every
        if (found := predictors(findings))
    ]
    if not rows:
        return None
    note = (
        "Spearman's rank correlations over arms; in the row `all` of their ranks within each setting, where success "
        "varied at all. Their 95 % intervals draw ways to adapt, whose step counts resemble "
        "each other, and initial states, on which all arms were measured, each by itself. Negative: a lower error, or "
        "less drift, goes with more success."
    )
    return Section("Can it be known without counting successes?", (Table.of(rows, note),))


def _single(study: Study) -> Section:
    rows = [
        {
            "setting": each.name,
            "report, in the study's folder": f"`{each.name}/report/index.html`",
            "environment steps": f"{each.results.exploration.environment_steps}",
            "coverage": _coverage(each.results.exploration.coverage),
            "longest adaptation": f"{max(arm.learn_seconds for arm in each.findings.arms):.0f} s"
            if each.findings.arms
            else NONE,
            "work": f"{sum(each.results.seconds.values()) / 60:.0f} min",
        }
        for each in study.settings
    ]
    return Section("Every setting by itself", (Table.of(rows, "Work: seconds of all processes added up."),))


def _coverage(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {share:.2f}" for name, share in shares.items()) or NONE
