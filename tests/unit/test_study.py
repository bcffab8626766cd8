import dataclasses
import re
from pathlib import Path

import pytest

from pipelines import study as pipeline
from tests.synthetic_results import make_results
from tests.synthetic_study import EFFECTS, setting
from worldagen.arms import Arm
from worldagen.config import Config, ConfigError, StudyConfig, TTTConfig, load
from worldagen.envs.suites import configured_shifts
from worldagen.report.words import statements
from worldagen.results import SweepResults
from worldagen.study.document import Document, Section, Table, to_markdown
from worldagen.study.margins import margins
from worldagen.study.page import to_html
from worldagen.study.plan import setting_configs
from worldagen.study.sections import document
from worldagen.study.summary import Study, summarise
from worldagen.study.words import sentences
from worldagen.ttt.acceptance import verdict


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, SweepResults]:
    folder = tmp_path_factory.mktemp("study")
    return {name: setting(folder, name) for name in EFFECTS}


@pytest.fixture(scope="module")
def study(results: dict[str, SweepResults]) -> Study:
    return summarise("calvin", results)


def row(made: Document, section: str, first: str) -> tuple[str, ...]:
    """The row that begins with `first`."""
    found = next(each for each in made.sections if each.title.startswith(section))
    tables = [part for part in found.parts if isinstance(part, Table)]
    return next(cells for table in tables for cells in table.rows if cells[0] == first)


def test_a_setting_may_take_the_studys_shift_away() -> None:
    shifted = ["env.shifts.camera=1", "study.settings.same.ttt.steps=3"]
    configs = setting_configs(
        load(overrides=[*shifted, "study.settings.none={env: {shifts: {}}}", "study.settings.light.env.shifts.light=1"])
    )
    shifts = {name: each.env.shifts for name, each in configs.items()}
    assert shifts == {"same": {"camera": 1.0}, "none": {}, "light": {"light": 1.0}}
    control = load(overrides=["explore.unshifted=true", "study.settings.light.env.shifts.light=1"])
    assert setting_configs(control)["light"].explore.unshifted, "the study itself has no shift, its setting has"


def test_settings_differ_in_what_they_name_alone() -> None:
    config = load(
        overrides=["run_dir=runs/s", "study.settings.camera.env.shifts.camera=0.5", "study.settings.few.ttt.steps=3"]
    )
    configs = setting_configs(config)
    assert [each.run_dir for each in configs.values()] == ["runs/s/camera", "runs/s/few"]
    assert configs["camera"].env.shifts == {"camera": 0.5} and configs["few"].env.shifts == {}
    assert configs["few"].ttt.steps == [3] and configs["camera"].ttt.steps == config.ttt.steps
    assert all(each.study == StudyConfig() for each in configs.values()), "or a new setting would refuse old folders"


@pytest.mark.parametrize(
    "overrides,message",
    [
        ([], "study.settings is empty"),
        (["study.settings.camera.env.shfits.camera=1"], r"study\.settings\.camera: .*did you mean 'env\.shifts'"),
        (["study.settings.a.run_dir=runs/b"], "study.settings.a sets run_dir"),
        (["study.settings.a.ttt.rank=0"], "study.settings.a: ttt.rank"),
    ],
)
def test_impossible_settings_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        setting_configs(load(overrides=overrides))


def test_name_that_is_no_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="a setting's name is a folder's too"):
        setting_configs(Config(study=StudyConfig(settings={"../camera": {}})))


def test_study_needs_a_checkpoint() -> None:
    with pytest.raises(ConfigError, match="checkpoint is not set"):
        pipeline.run(load(overrides=["study.settings.camera.env.shifts.camera=0.5"]))


def test_confirmations_are_corrected_over_settings(study: Study) -> None:
    ps = {each.name: each.confirmed.difference for each in study.settings if each.confirmed}
    assert len(study.again) == 5, "three of the best, two of the rule's choices"
    smallest = min((each.difference for _, each in study.again), key=lambda each: each.p)
    assert smallest.p_corrected == pytest.approx(5 * smallest.p)
    assert all(each.p_corrected > each.p for each in ps.values() if each.p < 0.5)
    verdicts = {each.name: each.confirmed.finding.verdict for each in study.settings if each.confirmed}
    assert verdicts["camera_half"] == "gain" and verdicts["friction"] == "harm"


def test_correction_is_for_everything_that_fresh_states_tested(study: Study, results: dict[str, SweepResults]) -> None:
    alone = summarise("calvin", {name: dataclasses.replace(each, chosen=None) for name, each in results.items()})
    few, many = (next(each for each in made.settings if each.name == "friction").confirmed for made in (alone, study))
    assert few and many and many.difference.p_corrected > few.difference.p_corrected > few.difference.p


def test_the_acceptance_rules_choice_is_told(study: Study) -> None:
    assert study.chosen_together and study.chosen_together.episodes == 120
    two = [each.chosen.difference.value for each in study.settings if each.chosen]
    assert study.chosen_together.value == pytest.approx(sum(two) / 3), "unshifted, where it keeps the base, counts as 0"
    said = " ".join(sentences(study))
    assert "To adapt by what the acceptance rule chooses, without counting successes, changes it by −" in said
    assert "Fresh initial states tested 2 accepted arms: 1 lost more than that (camera_half −" in said
    made = document(study, {}, [], "python pipelines/study.py")
    assert row(made, "On fresh", "camera_half")[2] == "best of 2 alike"
    table = next(part for each in made.sections if each.title.startswith("On fresh") for part in each.parts)
    assert isinstance(table, Table) and [cells[2] for cells in table.rows].count("rule's choice") == 2


def test_what_was_not_confirmed_is_told_beside_the_averages(results: dict[str, SweepResults]) -> None:
    rejected = tuple(
        dataclasses.replace(arm, accepted=False, acceptance="drift", outcomes=results["unshifted"].control.outcomes)
        for arm in results["unshifted"].arms
    )
    kept = dataclasses.replace(results["unshifted"], arms=rejected, confirmation=None, chosen=None)
    said = " ".join(sentences(summarise("calvin", {**results, "unshifted": kept})))
    assert "2 settings together, to search and then adapt" in said
    assert "nothing was confirmed there: unshifted; in unshifted the acceptance rule kept the base in every arm" in said
    assert "Not among these" not in " ".join(sentences(summarise("calvin", results)))


def test_episodes_that_gave_up_are_told_of_the_search_and_of_fresh_states(results: dict[str, SweepResults]) -> None:
    def crash(arm: Arm, count: int) -> Arm:
        broken = [dataclasses.replace(one, status="timed_out") for one in arm.outcomes[:count]]
        return dataclasses.replace(arm, outcomes=(*broken, *arm.outcomes[count:]))

    given = results["camera_half"]
    assert given.confirmation
    fresh = dataclasses.replace(given.confirmation, arms=tuple(crash(arm, 3) for arm in given.confirmation.arms))
    broken = dataclasses.replace(
        given, arms=(crash(given.arms[0], 2), *given.arms[1:]), confirmation=fresh, chosen=None
    )
    study = summarise("calvin", {"camera_half": broken})
    said = "5 evaluation episodes crashed or timed out and count as failures, 3 of them on fresh initial states."
    assert said in statements(study.findings[0]) and f"camera_half: {said}" in sentences(study)
    shared = tuple(dataclasses.replace(arm, outcomes=broken.arms[0].outcomes) for arm in broken.arms)
    again = summarise("calvin", {"camera_half": dataclasses.replace(broken, arms=shared)})
    assert said in statements(again.findings[0]), "episodes that arms share count once"


def test_all_settings_together_are_one_comparison(study: Study) -> None:
    assert study.together and study.together.episodes == 120, "settings share their initial states"
    separate = [each.confirmed.difference.value for each in study.settings if each.confirmed]
    assert study.together.value == pytest.approx(sum(separate) / 3)


def test_budgets_are_compared_over_all_settings(study: Study) -> None:
    assert len(study.budgets) == 11, "the one that failed in a setting is not among them"
    worst = min(study.budgets, key=lambda each: each.difference.value)
    assert worst.name == "plain, lr 0.003, 64 steps" and worst.difference.distinguishable
    assert worst.difference.episodes == 30
    alone = [each.difference.value for each in worst.found if each.difference]
    assert worst.difference.value == pytest.approx(sum(alone) / 3)
    assert worst.difference.p_corrected > worst.difference.p
    made = document(study, {}, [], "python pipelines/study.py")
    assert row(made, "Budgets over all settings", worst.name)[1].startswith("−40.0 [")


def test_each_choice_is_averaged_over_the_others(study: Study) -> None:
    found = {each.name: each for each in margins(study)}
    assert list(found) == [
        "plain", "anchored", "lr 0.0003", "lr 0.003", "4 steps", "16 steps", "64 steps"
    ], "one rank and one exploration are no choice"  # fmt: skip
    for name, each in found.items():
        own = [budget for budget in study.budgets if name in budget.name.split(", ")]
        assert own and [len(budgets) for budgets in each.found] == [len(own)] * 3
        assert each.difference.value == pytest.approx(sum(budget.difference.value for budget in own) / len(own))
        assert each.error_change == pytest.approx(sum(budget.error_change for budget in own) / len(own))
        assert sum(each.by_setting) / 3 == pytest.approx(each.difference.value)
    assert found["64 steps"].difference.value < found["4 steps"].difference.value
    cells = row(document(study, {}, [], ""), "What each choice does", "64 steps")
    assert len(cells) == 5 + 3 and cells[1].startswith("−")


def test_many_budgets_are_not_all_listed(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worldagen.study.sections.MOST", 10)
    made = document(study, {}, [], "")
    (section,) = (each for each in made.sections if each.title.startswith("Budgets over"))
    (table,) = (part for part in section.parts if isinstance(part, Table))
    worst = min(study.budgets, key=lambda each: each.difference.value)
    assert len(table.rows) == 10 and worst.name in [cells[0] for cells in table.rows]
    assert "Holm over the 11 budgets" in table.note and "the 5 highest and the 5 lowest" in table.note


def test_findings_tell_gains_and_harms_alike(study: Study) -> None:
    said = " ".join(sentences(study))
    assert "the best arm of the search gains in 1 (camera_half +" in said
    assert "of 3 settings and harms in 1 (friction −" in said
    assert "what the acceptance rule chooses gains in 0 of 2 settings and harms in 1 (camera_half −" in said
    assert "; in the other 1 it keeps the base." in said
    assert re.search(r"plain \d+ of \d+, anchored 0 of \d+ arms", said)
    assert "Held-out world-model error where cameras see the shift: camera_half −33 %: at least 20 % in each." in said


def test_a_control_that_explored_without_the_shift_is_told_as_one(results: dict[str, SweepResults]) -> None:
    given = results["camera_half"]
    config = {**given.config, "explore": {**given.config["explore"], "unshifted": True}}
    study = summarise("calvin", {"camera_half": dataclasses.replace(given, config=config)})
    assert study.settings[0].shift == "camera 0.5, explored without it"
    assert "where cameras see the shift" not in " ".join(sentences(study)), "its error is that of the unshifted world"
    assert any("Exploration met the world without the shift" in each for each in statements(study.findings[0]))


def test_a_harm_of_the_search_is_no_harm_on_fresh_states(results: dict[str, SweepResults], tmp_path: Path) -> None:
    harmed = make_results(tmp_path, effect=-1.0, media=False, failed=False, confirmed=0.0)
    study = summarise("calvin", {"camera_half": results["camera_half"], "harmed": harmed})
    undecided = study.settings[1].confirmed
    assert undecided and undecided.finding.verdict == "harm" and undecided.verdict == "not distinguishable"
    said = sentences(study)[0]
    assert "gains in 1 (camera_half" in said and "and harms in 0" in said


def test_averages_over_settings_are_told_as_uncorrected_and_too_few_states_as_too_few(study: Study) -> None:
    said = " ".join(sentences(study))
    assert re.search(r"to search and then adapt changes success by .* \(p [=<] [\d.e-]+, not corrected", said)
    assert "budgets differ from the control beyond noise" in said
    few = dataclasses.replace(study.budgets[0].difference, episodes=8)
    budgets = tuple(dataclasses.replace(each, difference=few) for each in study.budgets)
    said = " ".join(sentences(dataclasses.replace(study, budgets=budgets)))
    assert f"8 initial states of the search are too few to tell any of {len(budgets)} budgets" in said


def test_reduction_that_falls_short_is_said(results: dict[str, SweepResults]) -> None:
    few = dataclasses.replace(results["camera_half"], arms=results["camera_half"].arms[:1], confirmation=None)
    said = " ".join(sentences(summarise("calvin", {"camera_half": few})))
    assert "less than 20 % in camera_half" in said
    assert "Nothing was confirmed on fresh initial states" in said


def test_rule_is_counted_over_all_settings(study: Study) -> None:
    rule = study.rule
    assert len(rule.accepted) + len(rule.rejected) == len(study.compared) == 35
    made = document(study, {}, [], "python pipelines/study.py")
    every = row(made, "The acceptance rule", "all")
    assert every[1] == f"{len(rule.accepted)} of 35"
    assert every[-2] == f"{len(rule.averted)} of {len(rule.averted) + len(rule.harmful)}"


def test_other_limits_are_told(results: dict[str, SweepResults]) -> None:
    """Beside the fall of the error that the rule asks for, here by a quarter."""
    asked = {
        name: dataclasses.replace(each, config={**each.config, "ttt": {**each.config["ttt"], "accept_gain": 0.25}})
        for name, each in results.items()
    }
    study = summarise("calvin", asked)
    made = document(study, {}, [], "python pipelines/study.py")
    better = [each for each in study.compared if each.error_change < -0.25]
    assert 0 < len(better) < len([each for each in study.compared if each.error_change < 0])
    drifts = [max(each.measured(name) for name in ("arm_drift", "gripper_flips")) for each in better]
    for limit in (0.01, 0.1):
        found = row(made, "The acceptance rule", f"{limit:g}")
        assert found[1] == f"{sum(drift <= limit for drift in drifts)} of {len(study.compared)}"
    every = row(made, "The acceptance rule", "none")
    harms = sum(each.verdict == "harm" for each in better)
    assert every[1].startswith(f"{len(drifts)} of") and every[3] == str(harms), (
        "without a limit on drift all harms are let through"
    )


def test_the_limits_row_of_the_rule_itself_is_what_it_accepts(study: Study) -> None:
    accepted = 0
    for findings in study.findings:
        base = findings.results.control.measurement
        measured = [each.arm.measurement for each in findings.compared]
        accepted += sum(not verdict(TTTConfig(), each, base) for each in measured if each and base)
    made = document(study, {}, [], "python pipelines/study.py")
    assert row(made, "The acceptance rule", f"{TTTConfig().accept_drift:g}")[1].startswith(f"{accepted} of")


def test_no_arm_within_the_largest_budget_without_a_loss_loses(tmp_path: Path) -> None:
    """Three seeds that solve as many as the control in sum lose nothing, whatever thirds add up to."""
    made = make_results(tmp_path, effect=-0.4, media=False, failed=False, seeds=(0, 1, 2))
    before = made.control.outcomes
    turned = {"success": "failure", "failure": "success"}
    lost, gained = (next(n for n, one in enumerate(before) if one.success == solved) for solved in (True, False))
    one_each = tuple(
        dataclasses.replace(one, status=turned[one.status]) if n in (lost, gained) else one
        for n, one in enumerate(before)
    )
    small = {arm.trial for arm in made.arms if arm.learning_rate == 3e-4}
    arms = tuple(
        dataclasses.replace(arm, outcomes=one_each if arm.seed else before)
        if arm.trial in small and arm.steps <= 16
        else arm
        for arm in made.arms
    )
    study = summarise("calvin", {"camera": dataclasses.replace(made, arms=arms)})
    shown = document(study, {}, [], "python pipelines/study.py")
    assert row(shown, "Which methods", "camera")[-1] == "lr 0.0003, 16 steps"


def test_cells_cannot_break_the_table() -> None:
    made = Document("t", (), (Section("s", (Table(("a", "b"), (("x|y", "<b>"),)),)),), "o")
    assert "| x\\|y | <b> |" in to_markdown(made)
    assert "&lt;b&gt;" in to_html(made)


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("calvin", "study_calvin"),
        ("calvin", "study_small"),
        ("libero", "study_libero"),
        ("libero", "study_libero_budgets"),
    ],
)
def test_shipped_studies_can_be_run(base: str, name: str) -> None:
    configs = setting_configs(load([f"configs/{base}.yaml", f"configs/{name}.yaml"]))
    shifted = [configured_shifts(each.env) for each in configs.values()]
    assert not shifted[0] and all(shifted[1:]), "the first is unshifted, a control for the others"
    kinds = {shift.name for shifts in shifted for shift in shifts}
    assert {"camera", "light", "colour", "action_scale"} <= kinds
    assert all(each.evaluation.confirm_episodes for each in configs.values())


@pytest.mark.parametrize(
    ("base", "name"), [("calvin", "study_gain"), ("libero", "study_camera"), ("libero", "study_camera_control")]
)
def test_shipped_second_looks_can_be_run(base: str, name: str) -> None:
    """One arm each, on fresh initial states of the same shift."""
    configs = setting_configs(load([f"configs/{base}.yaml", f"configs/{name}.yaml"]))
    for each in configs.values():
        assert configured_shifts(each.env) and each.evaluation.confirm_episodes >= 25
        assert len(each.ttt.method) == len(each.ttt.steps) == len(each.ttt.learning_rate) == 1
