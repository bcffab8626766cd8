"""What a study found, in sentences that its numbers support."""

from worldagen.evaluation.power import can_tell, smallest_difference
from worldagen.evaluation.statistics import PairedDifference
from worldagen.report.findings import Confirmed, method_name
from worldagen.report.rule import TOLERATED, mean_difference, predictors
from worldagen.report.words import gave_up_in_words, interval, p_value, predictors_in_words
from worldagen.study.cells import fine, percent
from worldagen.study.summary import SettingFindings, Study


def sentences(study: Study) -> list[str]:
    """What was found, gains and harms alike."""
    said = [
        *_gains(study),
        *_all_together(study),
        *_unconfirmed(study),
        *_over_settings(study),
        *_harms(study),
        *_rule(study),
        *_reductions(study),
        *_gave_up(study),
    ]
    found = predictors(study.findings)
    return [*said, *(predictors_in_words(found) if found else [])]


def _gains(study: Study) -> list[str]:
    if not study.confirmed:
        return ["Nothing was confirmed on fresh initial states, so nothing here is called a gain."]
    best = [(each, each.confirmed) for each in study.settings if each.confirmed]
    chosen = [(each, each.chosen) for each in study.settings if each.chosen]
    said = [f"{_fresh('the best arm of the search', best)} (p < 0.05 after Holm over the {len(study.again)} there)."]
    kept = len(study.confirmed) - len(chosen)
    base = f"; in the other {kept} it keeps the base" if kept else ""
    return said + [f"{_fresh('what the acceptance rule chooses', chosen)} (likewise){base}."] * bool(chosen)


def _unconfirmed(study: Study) -> list[str]:
    """What averages over settings leave out."""
    left = [each for each in study.settings if not each.confirmed]
    if not left or not study.confirmed:
        return []
    kept = [each.name for each in left if len(each.findings.having("rejected")) == len(each.findings.arms)]
    why = f"; in {', '.join(kept)} the acceptance rule kept the base in every arm, so nothing changes" if kept else ""
    return [f"Not among these, for nothing was confirmed there: {', '.join(each.name for each in left)}{why}."]


def _fresh(who: str, there: list[tuple[SettingFindings, Confirmed]]) -> str:
    """In which settings it gains and harms on fresh initial states."""

    def listed(verdict: str) -> str:
        found = [(each, again) for each, again in there if again.verdict == verdict]
        named = [
            f"{each.name} {interval(again.difference)} by {each.findings.name(again.finding)}" for each, again in found
        ]
        return f"{len(found)}" + (f" ({'; '.join(named)})" if named else "")

    gains, harms = listed("gain"), listed("harm")
    return f"On fresh initial states {who} gains in {gains} of {len(there)} settings and harms in {harms}"


def _all_together(study: Study) -> list[str]:
    said = []
    if study.together and len(study.confirmed) > 1:
        which = "All settings" if len(study.confirmed) == len(study.settings) else f"{len(study.confirmed)} settings"
        said.append(f"{which} together, to search and then adapt changes success by {_together(study.together)}.")
    if study.chosen_together and len(study.confirmed) > 1:
        said.append(
            "To adapt by what the acceptance rule chooses, without counting successes, changes it by "
            f"{_together(study.chosen_together)}."
        )
    return said


def _together(found: PairedDifference) -> str:
    size = smallest_difference([found])
    power = f"it would find {100 * size:.1f} points in four of five repeats" if size else "too few to find anything"
    verdict = "" if found.distinguishable else ", not distinguishable from zero"
    return (
        f"{fine(found.value)} points [{fine(found.low)}, {fine(found.high)}] (p {p_value(found.p)}, not corrected"
        f"{verdict}; {found.episodes} initial states, each averaged over its settings; {power})"
    )


def _over_settings(study: Study) -> list[str]:
    if not study.budgets:
        return []
    states = study.budgets[0].difference.episodes
    if not can_tell(study.budgets[0].difference, len(study.budgets)):
        return [
            f"Over all settings together, {states} initial states of the search are too few to tell any of "
            f"{len(study.budgets)} budgets from the control."
        ]
    different = [each for each in study.budgets if each.difference.distinguishable]
    listed = [f"{each.name}: {fine(each.difference.value)} points" for each in different]
    return [
        f"Over all settings together, {len(different)} of {len(study.budgets)} budgets differ from the control beyond "
        "noise" + (f" ({'; '.join(listed)})." if listed else ".")
    ]


def _harms(study: Study) -> list[str]:
    counts = []
    for method in study.methods:
        own = [each for findings in study.findings for each in findings.of_method(method) if each.difference]
        harms = [each for each in own if each.verdict == "harm"]
        if own:
            counts.append(f"{method_name(method)} {len(harms)} of {len(own)}")
    where = "in the search (each setting's corrected by itself)" + ", or on fresh initial states" * bool(study.again)
    blind = [findings for findings in study.findings if findings.compared and findings.smallest_difference is None]
    hidden = f" In {len(blind)} of {len(study.findings)} settings the search is too small to show any." if blind else ""
    return [f"Harm beyond noise {where}, by method: {', '.join(counts)} arms.{hidden}"] if counts else []


def _rule(study: Study) -> list[str]:
    found = study.rule
    if not found.accepted:
        return []
    tested = [(each, again) for each, again in study.again if again.finding.accepted]
    lost = [f"{each.name} {interval(again.difference)}" for each, again in tested if _losing(again)]
    proven = [again for _, again in tested if again.difference.low > -TOLERATED]
    said = (
        f"The acceptance rule accepts {len(found.accepted)} of {len(study.compared)} arms, on average "
        f"{fine(mean_difference(found.accepted))} points; {len(found.losing)} of them were seen to lose more than "
        f"{100 * TOLERATED:.0f} points, {len(found.proven)} are shown at 95 % to lose less, "
        f"{len(found.harmful)} harm beyond noise. It averts {len(found.averted)} of "
        f"{len(found.averted) + len(found.harmful)} harms."
    )
    if tested:
        listed = f" ({', '.join(lost)})" if lost else ""
        said += (
            f" Fresh initial states tested {len(tested)} accepted arms: {len(lost)} lost more than that{listed}, "
            f"{len(proven)} are shown at 95 % to lose less."
        )
    return [said]


def _losing(again: Confirmed) -> bool:
    return again.difference.value < -TOLERATED


def _reductions(study: Study) -> list[str]:
    best = [(each, each.findings.best_world_model) for each in study.settings if each.seen]
    changes = [(each.name, found.error_change) for each, found in best if found]
    if not changes:
        return []
    below = [name for name, change in changes if change > -0.2]
    listed = ", ".join(f"{name} {percent(change)}" for name, change in changes)
    return [
        f"Held-out world-model error where cameras see the shift: {listed}"
        + (f"; less than 20 % in {', '.join(below)}." if below else ": at least 20 % in each.")
    ]


def _gave_up(study: Study) -> list[str]:
    found = [(each.name, *each.findings.gave_up) for each in study.settings]
    return [f"{name}: {gave_up_in_words(search, fresh)}" for name, search, fresh in found if search or fresh]
