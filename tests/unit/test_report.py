import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.synthetic_results import TASKS, make_results
from worldagen.arms import Arm
from worldagen.report.budgets import budget_curves
from worldagen.report.figures import draw
from worldagen.report.findings import judge
from worldagen.report.page import clips, duration, number, render, write_report
from worldagen.report.panels import apart
from worldagen.report.rule import predictors, record
from worldagen.report.theme import LIGHT
from worldagen.report.words import headline, statements
from worldagen.results import SweepResults

pytestmark = pytest.mark.usefixtures("coarse_pictures")

METRICS = {"validation/image_changed": 0.1234, "validation/copy_changed": 0.243}


class Page(HTMLParser):
    """What a page loads, and the text that a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.text: list[str] = []
        self.hidden = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden = tag == "style"
        self.loaded += [value or "" for name, value in attrs if name in ("src", "srcset", "href", "poster", "data")]

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def results(run_dir: Path) -> SweepResults:
    return make_results(run_dir)


@pytest.fixture(scope="module")
def html(run_dir: Path, results: SweepResults) -> str:
    about = {"format_version": 1, "fingerprint": results.checkpoint, "provenance": {"metrics": METRICS}}
    (run_dir / "checkpoint").mkdir()
    (run_dir / "checkpoint" / "config.json").write_text(json.dumps(about))
    return write_report(results, run_dir).read_text()


def bare_page(results: SweepResults) -> str:
    """The page's words without its pictures, which take seconds to draw."""
    return Page(render(judge(results), {}, Path("nowhere"))).words


def test_every_arm_is_there_even_the_failed_one(html: str) -> None:
    words = Page(html).words
    for name in ["control", *(f"lr {rate}, {steps} steps" for rate in ("0.0003", "0.003") for steps in (4, 16, 64))]:
        assert f"<th>{name}</th>" in html, f"{name} is missing from the table"
    assert "the loss of step 41 is nan; use a smaller ttt.learning_rate" in words
    assert "1 of 6 arms failed" in words


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    loaded = Page(html).loaded
    assert len(loaded) > 10
    assert [source[:40] for source in loaded if not source.startswith("data:")] == []
    assert not re.search(r"url\(|@import|<script|https?://", html)


def test_no_difference_is_said_to_be_none(html: str) -> None:
    words = Page(html).words
    assert "No arm’s success differs from the control beyond noise." in words
    assert "This is not distinguishable from zero, so no budget can be recommended." in words
    assert "30 paired episodes per arm, corrected for 5 comparisons, the smallest difference" in words


def test_pictures_lie_beside_the_page(html: str, run_dir: Path) -> None:
    names = {path.stem for path in (run_dir / "report").glob("*.png")}
    errors = {"error_changed", "error_all", "drift", "training_loss", "predictions"}
    assert names == {"success", "difference", "budget", "tradeoff", *errors}
    assert html.count("data:image/png") == 2 * len(names), "each for a light and for a dark page"
    assert html.count("data:video/mp4") == 2


def test_what_was_measured_on_is_told(html: str) -> None:
    words = Page(html).words
    for fact in ("libero_goal", "primitive", "light", "9f2c41d07a35be18", "0.123", "turn on the stove", "mlflow"):
        assert fact in words, fact
    assert "not with published benchmark scores" in words


def test_shifts_are_told(tmp_path: Path, html: str) -> None:
    results = make_results(tmp_path, media=False)
    shifted = {**results.config["env"], "shifts": {"camera": 0.5, "mass": 1.0}, "shift_seed": 3}
    page = bare_page(dataclasses.replace(results, config={**results.config, "env": shifted}))
    assert "camera 0.5, mass 1.0, seed 3" in Page(page).words
    assert "<dt>shifts</dt>" not in html


def test_official_assets_and_full_visuals_need_no_notice(tmp_path: Path) -> None:
    results = dataclasses.replace(make_results(tmp_path, media=False), assets="official", visuals="full")
    assert "published benchmark scores" not in bare_page(results)


def test_unconfirmed_gain_is_a_candidate(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, effect=0.5, media=False, failed=False))
    assert headline(findings).startswith("Adaptation may help: 6 of 6 evaluated arms are candidates, not confirmed")
    assert any("A candidate only: it is the luckiest of 6" in sentence for sentence in statements(findings))
    assert not findings.having("gain")


def test_confirmed_gain_is_the_headline(tmp_path: Path) -> None:
    results = make_results(tmp_path, effect=0.5, media=False, failed=False, confirmed=0.2)
    findings = judge(results)
    assert headline(findings).startswith("Adaptation helps, confirmed on fresh initial states: ")
    assert [findings.name(each) for each in findings.having("gain")] == ["lr 0.0003, 16 steps"]
    words = bare_page(results)
    assert "Does it hold on fresh initial states?" in words
    assert "On 120 fresh initial states lr 0.0003, 16 steps makes +" in words and "a confirmed gain" in words


def test_the_acceptance_rules_choice_is_shown_beside_the_best(tmp_path: Path) -> None:
    results = make_results(tmp_path, effect=0.5, media=False, failed=False, confirmed=0.2, chosen=-0.2)
    assert [
        len(judge(each).again) for each in (results, dataclasses.replace(results, chosen=results.confirmation))
    ] == [
        2,
        1,
    ]
    words = bare_page(results)
    assert "which counts no successes, chooses lr 0.0003, 4 steps: on the same fresh initial states −" in words
    assert "chosen by the acceptance rule" in words
    alone = bare_page(dataclasses.replace(results, chosen=results.confirmation))
    assert "chooses the same arm" in alone and "chosen by the acceptance rule" not in alone


def test_gain_that_fresh_states_do_not_show_is_none(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, effect=0.5, media=False, failed=False, confirmed=0.0))
    assert not findings.having("gain") and len(findings.having("not confirmed")) == 1
    assert any("one comparison" in sentence and "not distinguish" in sentence for sentence in statements(findings))


def test_a_harm_of_the_search_stays_one_where_fresh_states_are_undecided(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, effect=-1.0, media=False, failed=False, confirmed=0.0))
    assert findings.confirmed and findings.confirmed.verdict == "not distinguishable"
    assert findings.confirmed.finding.verdict == "harm"
    assert headline(findings).startswith("Adaptation harms") and "fresh initial states" not in headline(findings)
    assert any(each.startswith("On 120 fresh") and each.endswith("from zero.") for each in statements(findings))


def test_a_failed_arm_is_not_accepted(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False)
    broken = dataclasses.replace(results.arms[0], error="the pool is gone", outcomes=(), acceptance="")
    finding = judge(dataclasses.replace(results, arms=(broken, *results.arms[1:]))).arms[0]
    assert finding.arm.measurement and not finding.accepted


def test_a_choice_of_the_rule_that_harms_on_fresh_states_counts_against_the_rule(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False, confirmed=0.0, chosen=-0.4)
    findings = judge(results)
    assert findings.chosen and findings.chosen.finding.verdict == "harm"
    assert [each.verdict for each in record(findings.compared).harmful] == ["harm"]
    control, rate = findings.chosen.control.value, findings.chosen.rate.value
    shown = f"on fresh initial states {100 * control:.0f} to {100 * rate:.0f} % at lr 0.0003, 4 steps"
    assert headline(findings).endswith(f"no gain can be told from noise: {shown}")


def test_fresh_comparisons_are_corrected_for_each_other(tmp_path: Path) -> None:
    results = make_results(tmp_path, effect=0.5, media=False, failed=False, confirmed=0.2, chosen=0.0)
    best = judge(results).confirmed
    alone = judge(dataclasses.replace(results, chosen=None)).confirmed
    assert best and alone and best.difference.p_corrected == pytest.approx(2 * alone.difference.p_corrected)
    assert best.smallest_difference and alone.smallest_difference
    assert best.smallest_difference > alone.smallest_difference
    assert "corrected for 2 comparisons" in " ".join(statements(judge(results)))


def test_where_nothing_changes_in_the_heldout_episodes_no_arm_has_a_change_of_error(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False)
    assert results.control.measurement
    still = dataclasses.replace(results.control.measurement, changed=0.0)
    findings = judge(dataclasses.replace(results, control=dataclasses.replace(results.control, measurement=still)))
    assert findings.compared and not findings.measured and headline(findings)


def test_seeds_of_a_budget_are_one_arm(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False, seeds=(0, 1, 2))
    findings = judge(results)
    assert len(results.arms) == 18 and len(findings.arms) == 6
    assert all(each.difference and each.difference.seeds == 3 for each in findings.arms)
    assert findings.arms[0].rate.episodes == 90
    assert "the larger of two exact tests" in bare_page(results)


def test_budget_of_which_a_seed_failed_is_failed(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, media=False, seeds=(0, 1)))
    last = findings.arms[-1]
    assert last.verdict == "failed" and last.difference is None and "step 41 is nan" in last.error


def test_budget_of_which_a_seed_was_not_run_shows_no_figures(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False, seeds=(0, 1))
    second = next(arm for arm in results.arms if arm.steps == 4 and arm.seed == 1)
    ended = Arm(**second.trial._asdict(), steps=4, ended="ASHA ended its trial")
    arms = tuple(ended if arm is second else arm for arm in results.arms)
    findings = judge(dataclasses.replace(results, arms=arms))
    budget = next(each for each in findings.arms if ended in each.arms)
    assert (budget.verdict, budget.rate.episodes, budget.is_measured) == ("not evaluated", 0, False)
    html = render(findings, {}, tmp_path)
    assert not re.search(r"\bnan\b", html) and "ASHA ended its trial" in html


def test_films_are_those_of_the_seed_that_was_filmed(tmp_path: Path) -> None:
    results = make_results(tmp_path, failed=False, seeds=(0, 1))
    films = next(arm.videos for arm in results.arms if arm.videos)
    arms = tuple(
        dataclasses.replace(arm, videos=films if arm.seed == 1 and arm.steps == 16 else ()) for arm in results.arms
    )
    config = {**results.config, "evaluation": {**results.config["evaluation"], "videos": 1}}
    filmed = dataclasses.replace(results, arms=arms, config=config)
    assert [len(row) for row in clips(judge(filmed), tmp_path)] == [3]


def test_the_protocol_is_named_and_that_it_is_a_part(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False)
    evaluation = {**results.config["evaluation"], "protocol": "libero_community", "limit": 20}
    findings = judge(dataclasses.replace(results, config={**results.config, "evaluation": evaluation}))
    assert any("the protocol libero_community, its first 20 episodes only" in said for said in statements(findings))
    assert not any("protocol" in said for said in statements(judge(results)))


def test_ranks_are_told_apart(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False, methods=("plain", "anchored"))
    arms = tuple(dataclasses.replace(arm, rank=4 if arm.steps < 64 else 64) for arm in results.arms)
    html = render(judge(dataclasses.replace(results, arms=arms)), {}, tmp_path)
    side = html[html.index("The methods side by side") :]
    assert re.search(r"<small>lr [\de.-]+, rank (4|64), \d+ steps</small>", side)


def test_many_arms_are_told_method_by_method(tmp_path: Path) -> None:
    many = {"methods": ("plain", "anchored"), "explorations": (6, 36), "steps": (1, 2, 4, 8, 16, 32, 64)}
    results = make_results(tmp_path, effect=-0.4, media=False, failed=False, **many)
    html = render(judge(results), {}, tmp_path)
    assert html.count("<summary>plain: 28 arms, the most successful first</summary>") == 1
    assert "<th>plain, lr 0.0003, 36 episodes, 64 steps</th>" in html
    first, *others = re.findall(r"([−+]?\d+) <small>\[", html[html.index("<summary>anchored") :])
    assert int(first.replace("−", "-")) == max(int(each.replace("−", "-")) for each in [first, *others])
    words = Page(html).words
    assert "The methods side by side" in words and "6, 36 episodes" in words


def test_budgets_are_drawn_over_environment_steps_where_explorations_differ(tmp_path: Path) -> None:
    several, one = (
        budget_curves(judge(make_results(tmp_path, media=False, failed=False, explorations=explorations)), LIGHT)
        for explorations in ((6, 36), (12,))
    )
    assert [axes.get_xlabel() for axes in several.axes[3:]] == [
        "TTT steps",
        "wall clock of the adaptation, s",
        "environment steps",
    ]
    joined = [line.get_xdata() for line in several.axes[2].lines if line.get_linewidth() < 1]
    assert joined and all(set(each) == {6 * 120, 36 * 120} for each in joined), "joined over exploration, nothing else"
    dots = [line.get_color() for line in several.axes[2].lines if line.get_marker() != "None"]
    assert len(set(dots)) == 2, "of one method, a colour for each size of exploration"
    assert len(one.axes) == 4


def test_rule_is_shown_to_avert_harm(tmp_path: Path) -> None:
    results = make_results(tmp_path, effect=-0.4, media=False, failed=False, methods=("plain", "anchored"))
    findings = judge(results)
    found = record(findings.compared)
    assert found.averted and not found.harmful
    assert any(f"it would avert {len(found.averted)} of" in sentence for sentence in statements(findings))


def test_rejected_arms_are_the_base_model_and_no_comparison(tmp_path: Path) -> None:
    results = make_results(tmp_path, effect=-0.4, media=False, failed=False)
    control = results.control.outcomes
    arms = [
        dataclasses.replace(arm, accepted=not arm.acceptance, outcomes=control if arm.acceptance else arm.outcomes)
        for arm in results.arms
    ]
    findings = judge(dataclasses.replace(results, arms=tuple(arms)))
    rejected = findings.having("rejected")
    assert rejected and all(each.difference is None for each in rejected)
    assert f"kept the base model in {len(rejected)} of 6 arms" in " ".join(statements(findings))


def test_a_rule_that_keeps_the_base_everywhere_is_the_headline(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False, failed=False)
    kept = {"accepted": False, "acceptance": "the policy drifted by 0.2", "outcomes": results.control.outcomes}
    arms = tuple(dataclasses.replace(arm, **kept) for arm in results.arms)  # type: ignore[arg-type]
    words = bare_page(dataclasses.replace(results, arms=arms))
    assert "The acceptance rule kept the base model in all 6 arms, so success is the control’s." in words
    assert words.count("the base is kept: the policy drifted by 0.2") == 6


def test_drift_predicts_harm_in_the_made_up_sweep(tmp_path: Path) -> None:
    many = {"methods": ("plain", "anchored"), "explorations": (6, 36)}
    found = predictors([judge(make_results(tmp_path, effect=-0.4, media=False, failed=False, **many))])
    assert found and found.drift.value < -0.7 and found.drift.distinguishable
    assert found.drift.clusters == 8 and found.drift.arms == 24


def test_exploration_is_told(html: str) -> None:
    words = Page(html).words
    assert "coverage: tool cells 309.00 coverage: gripper switches 0.50" in words
    assert "driven by policy 2, random 1" in words


def test_harm_is_the_headline(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, effect=-0.5, media=False, failed=False))
    assert headline(findings).startswith("Adaptation harms the policy in")
    assert "no gain can be told from noise" in headline(findings)
    assert any(sentence.startswith("No arm solved more episodes") for sentence in statements(findings))


def test_arms_that_solve_as_many_as_the_best_are_told(tmp_path: Path) -> None:
    equal = judge(make_results(tmp_path, base_rate=2.0, media=False, failed=False))
    assert equal.best and equal.best is equal.best_world_model
    told = f"6 of 6 arms solved as many episodes as {equal.name(equal.best)};"
    assert any(sentence.startswith(told) for sentence in statements(equal))
    still = dataclasses.replace(equal.results.arms[-1].measurement, arm_drift=0.0, gripper_flips=0.0)
    arms = (*equal.results.arms[:-1], dataclasses.replace(equal.results.arms[-1], measurement=still))
    assert judge(dataclasses.replace(equal.results, arms=arms)).tied == 5, (
        "one that leaves the policy alone is no rival"
    )
    spread = judge(make_results(tmp_path, effect=0.4, per_task=40, media=False, failed=False))
    assert spread.tied == 1 and not any("solved as many" in sentence for sentence in statements(spread))


def test_too_few_episodes_are_said_to_be_too_few(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, per_task=1, media=False))
    assert headline(findings) == "This sweep is too small to tell whether adaptation changes success"
    assert "too small to find any effect" in statements(findings)[0]


def test_no_success_anywhere_is_said(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, base_rate=-1.0, media=False))
    assert headline(findings) == "Neither the control nor any arm solved an episode, so success says nothing here"


def test_control_without_success_cannot_show_harm(tmp_path: Path) -> None:
    findings = judge(make_results(tmp_path, base_rate=-0.1, effect=0.4, media=False))
    assert any("cannot show harm" in sentence for sentence in statements(findings))


def test_world_model_worse_than_copying_is_said(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False)
    assert results.control.measurement
    weak = dataclasses.replace(results.control.measurement, changed=0.3)
    results = dataclasses.replace(results, control=dataclasses.replace(results.control, measurement=weak))
    assert any("no better than copying the last frame" in sentence for sentence in statements(judge(results)))


def test_world_model_that_got_worse_is_not_called_better(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False)
    arms = [arm for arm in results.arms if arm.measurement]
    worse = [
        dataclasses.replace(arm, measurement=dataclasses.replace(arm.measurement, changed=0.5))
        for arm in arms  # type: ignore[type-var]
    ]
    findings = judge(dataclasses.replace(results, arms=tuple(worse)))
    assert any("did not improve in any arm" in sentence for sentence in statements(findings))


def test_all_arms_failed_still_gives_a_page(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False)
    failed = tuple(dataclasses.replace(results.arms[-1], steps=arm.steps) for arm in results.arms)
    results = dataclasses.replace(results, arms=failed)
    assert draw(judge(results), tmp_path) == {}
    assert "Nothing can be said about success" in bare_page(results)


def test_arms_on_other_episodes_are_refused(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False)
    short = dataclasses.replace(results.arms[0], outcomes=results.arms[0].outcomes[:-1])
    with pytest.raises(ValueError, match="different episodes"):
        judge(dataclasses.replace(results, arms=(short, *results.arms[1:])))


def test_text_from_outside_is_escaped(tmp_path: Path) -> None:
    results = make_results(tmp_path, media=False)
    nasty = dataclasses.replace(results.arms[-1], error="<script>alert(1)</script>")
    html = render(judge(dataclasses.replace(results, arms=(*results.arms[:-1], nasty))), {}, tmp_path)
    assert "<script>" not in html


def test_clips_tell_task_and_ending(run_dir: Path, results: SweepResults) -> None:
    (row,) = clips(judge(results), run_dir)
    assert [clip.caption.split(":")[0] for clip in row] == ["Before (control)", "After (lr 0.0003, 16 steps)"]
    assert all(TASKS[0].replace("_", " ") in clip.caption and "solved" in clip.caption for clip in row)
    without = dataclasses.replace(results, control=dataclasses.replace(results.control, videos=("a.mp4", "b.mp4")))
    assert clips(judge(without), run_dir) == [], "rows would not show the same episode"


def test_labels_are_moved_apart_but_keep_their_order() -> None:
    placed = apart({"a": 0.50, "b": 0.51, "c": 0.52, "d": 0.9}, gap=0.1)
    assert placed["a"] + 0.099 < placed["b"] < placed["c"] - 0.099
    assert placed["d"] == 0.9
    assert abs(placed["b"] - 0.51) < 0.01


@pytest.mark.parametrize("seconds,text", [(1.26, "1.3 s"), (42.4, "42 s"), (190, "3 min 10 s"), (7500, "2 h 5 min")])
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    "value,text", [(0.09041, "0.090"), (0.000123, "0.000123"), (0.0, "0.000"), (1234.5, "1.23e+03")]
)
def test_number(value: float, text: str) -> None:
    assert number(value) == text


def test_other_checkpoint_does_not_lend_its_figures(tmp_path: Path, html: str) -> None:
    results = make_results(tmp_path, media=False)
    about = {"format_version": 1, "fingerprint": "of another", "provenance": {"metrics": METRICS}}
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "config.json").write_text(json.dumps(about))
    assert "0.123" in Page(html).words
    assert "its validation is not at hand" in Page(render(judge(results), {}, tmp_path)).words


def test_whoever_wants_an_arms_adapter_finds_its_version(html: str, results: SweepResults) -> None:
    for arm in results.arms:
        if arm.adapter:
            assert f"<code>{arm.adapter}</code>" in html, arm.name
