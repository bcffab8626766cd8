"""What the sweeps of a study say together: confirmations corrected for each other, and all as one comparison."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from worldagen.arms import Group
from worldagen.evaluation import statistics
from worldagen.evaluation.statistics import Comparison, PairedDifference, compare_over
from worldagen.report.findings import Confirmed, Finding, Findings, judge, settled
from worldagen.report.rule import Record, record
from worldagen.results import Confirmation, SweepResults

SEEN = ("camera", "light", "colour", "table_height", "sensor_noise")
"""Shifts that cameras see: what a world model is asked to make up for."""


@dataclass(frozen=True)
class SettingFindings:
    """One setting of the study."""

    name: str
    findings: Findings
    """What was run on fresh initial states is corrected over all that the study ran there."""

    @property
    def confirmed(self) -> Confirmed | None:
        """The best budget of the search on fresh initial states."""
        return self.findings.confirmed

    @property
    def chosen(self) -> Confirmed | None:
        """The acceptance rule's choice there; None where it chose none, so that the base stays."""
        return self.findings.chosen

    @property
    def shifts(self) -> dict[str, float]:
        """Name and strength of every shift that the setting has."""
        return {name: strength for name, strength in self.results.config["env"]["shifts"].items() if strength}

    @property
    def shift(self) -> str:
        draw = self.results.config["env"].get("shift_seed", 0)
        listed = ", ".join(f"{name} {strength:g}" for name, strength in self.shifts.items())
        listed += f" (draw {draw})" if listed and draw else ""
        return listed + (", explored without it" if self.explored_unshifted else "") or "none"

    @property
    def explored_unshifted(self) -> bool:
        """Whether this is a control, whose exploration did not meet the shift."""
        return bool(self.results.config["explore"].get("unshifted", False))

    @property
    def seen(self) -> bool:
        """Whether cameras see the shift in what was explored."""
        return bool(set(self.shifts) & set(SEEN)) and not self.explored_unshifted

    @property
    def results(self) -> SweepResults:
        return self.findings.results

    @property
    def lowest_accepted(self) -> Finding | None:
        """The budget of lowest held-out error among those that the acceptance rule accepts."""
        accepted = [each for each in self.findings.measured if each.accepted]
        return min(accepted, key=lambda each: each.error_change, default=None)


@dataclass(frozen=True)
class Budget:
    """One budget in all settings."""

    name: str
    found: tuple[Finding, ...]
    """One for each setting that evaluated it."""
    difference: PairedDifference
    """Over the initial states of these settings, corrected over the budgets."""

    @property
    def error_change(self) -> float:
        """Average over the settings."""
        return fmean(each.error_change for each in self.found)

    @property
    def drift(self) -> float:
        """Average over the settings."""
        return fmean(each.measured("arm_drift") for each in self.found)


@dataclass(frozen=True)
class Study:
    """All settings, in the order of the configuration."""

    name: str
    settings: tuple[SettingFindings, ...]
    together: PairedDifference | None
    """Search, then adapt by its best budget: over all settings as one comparison; None without confirmations."""
    chosen_together: PairedDifference | None
    """Adapt by the acceptance rule's choice, or keep the base where it has none: likewise; None without any choice."""
    budgets: tuple[Budget, ...]
    """The budgets that every setting evaluated, by method, exploration, learning rate, rank and steps."""

    @property
    def findings(self) -> list[Findings]:
        return [each.findings for each in self.settings]

    @property
    def compared(self) -> tuple[Finding, ...]:
        """The evaluated budgets of all settings."""
        return tuple(each for findings in self.findings for each in findings.compared)

    @property
    def rule(self) -> Record:
        return record(self.compared)

    @property
    def confirmed(self) -> tuple[SettingFindings, ...]:
        """The settings that have been confirmed."""
        return tuple(each for each in self.settings if each.confirmed)

    @property
    def again(self) -> list[tuple[SettingFindings, Confirmed]]:
        """All that was run on fresh initial states."""
        return [(each, again) for each in self.settings for again in each.findings.again]

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(method for findings in self.findings for method in findings.methods))


def summarise(name: str, results: Mapping[str, SweepResults]) -> Study:
    """Judge every sweep of a study, and all of them together. Raises ValueError as `judge` does."""
    findings = {setting: judge(found) for setting, found in results.items()}
    corrected = statistics.holm([again.difference for each in findings.values() for again in each.again])
    left, settings = iter(corrected), []
    for setting, each in findings.items():
        settings.append(SettingFindings(setting, settled(each, [next(left) for _ in each.again], len(corrected))))
    return Study(
        name=name,
        settings=tuple(settings),
        together=_together(list(results.values())),
        chosen_together=_chosen_together(list(results.values())),
        budgets=_budgets([each.findings for each in settings]),
    )


def _together(results: list[SweepResults]) -> PairedDifference | None:
    """The confirmations as one comparison: what one gets who searches and then adapts, whatever the setting."""
    found = [_comparison(each, each.confirmation) for each in results if each.confirmation]
    return compare_over(found) if found else None


def _chosen_together(results: list[SweepResults]) -> PairedDifference | None:
    """Likewise what one gets who follows the rule: where it chooses nothing the base stays, and nothing changes."""
    if not any(each.chosen for each in results):
        return None
    kept = [(each, each.confirmation) for each in results if each.confirmation and not each.chosen]
    return compare_over(
        [_comparison(each, each.chosen) for each in results if each.chosen]
        + [Comparison(each.suite, [there.control], there.control) for each, there in kept if there]
    )


def _comparison(results: SweepResults, fresh: Confirmation) -> Comparison:
    return Comparison(results.suite, [arm.outcomes for arm in fresh.arms], fresh.control)


def _budgets(settings: list[Findings]) -> tuple[Budget, ...]:
    """Empty with a single setting, which says all that there is to say itself."""
    by_budget: dict[tuple[Group, int], list[tuple[Findings, Finding]]] = {}
    for findings in settings:
        for each in findings.compared:
            by_budget.setdefault((each.group, each.steps), []).append((findings, each))
    shared = [own for own in by_budget.values() if len(own) == len(settings) > 1]
    differences = statistics.holm([_over_settings(own) for own in shared])
    return tuple(
        Budget(own[0][0].name(own[0][1]), tuple(each for _, each in own), difference)
        for own, difference in zip(shared, differences, strict=True)
    )


def _over_settings(own: list[tuple[Findings, Finding]]) -> PairedDifference:
    return compare_over(
        [
            Comparison(each.results.suite, [arm.outcomes for arm in found.arms], each.results.control.outcomes)
            for each, found in own
        ]
    )


def load_study(folder: Path, names: Sequence[str]) -> dict[str, SweepResults]:
    """The results of those settings that have any."""
    files = {name: folder / name / "results.json" for name in names}
    return {name: SweepResults.load(file) for name, file in files.items() if file.exists()}
