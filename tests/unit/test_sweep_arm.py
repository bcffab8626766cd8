"""Arms without Ray: which episodes are run, and which are known already; the confirmation; what ASHA ends."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.experiment import Trial

from tests.fake_suite import SUITE
from worldagen.arms import Arm, Measurement, Outcome
from worldagen.config import load
from worldagen.sweep.arm import load_arm, run_arms, run_control
from worldagen.sweep.confirmation import confirm
from worldagen.sweep.context import SweepContext
from worldagen.sweep.halving import Halving
from worldagen.sweep.plan import plan_unit, trials
from worldagen.sweep.run import TrialEnd, gather
from worldagen.sweep.trial import metrics, run_trial
from worldagen.ttt.explore import Explored
from worldagen.ttt.learner import AdaptationError
from worldagen.ttt.snapshot import Snapshot
from worldagen.types import EnvSpec, EpisodeResult, EpisodeSpec, PolicySpec

BASE = Measurement(all=0.1, changed=0.2, copy_all=0.1, copy_changed=0.3, changed_fraction=0.5)


@dataclass
class SolvingPool:
    """A pool in which adapters solve every episode and the base none."""

    ran: list[EpisodeSpec] = field(default_factory=list)
    calls: int = 0

    def run(self, specs: Sequence[EpisodeSpec], description: str = "") -> Iterator[EpisodeResult]:
        self.ran += specs
        self.calls += 1
        for spec in specs:
            status: Any = "success" if spec.policy.adapter else "failure"
            yield EpisodeResult(spec=spec, status=status, steps=9, seconds={"simulate": 1.0})


@dataclass
class Maker:
    """Snapshots of an adaptation that gains `gain` of the base's error, drifts, and may stop early or break."""

    gain: float = 0.1
    drift: float = 0.0
    stopped: int = 0
    breaks: int = 99

    def snapshot(self, steps: int) -> Snapshot:
        if steps >= self.breaks:
            raise AdaptationError(f"the loss of step {self.breaks} is nan")
        adapted = replace(BASE, changed=BASE.changed - self.gain, arm_drift=self.drift, update_norm=1.0)
        loss, stopped = (0.1,) * steps, self.stopped if steps >= self.stopped else 0
        measurement = adapted if steps else BASE
        return Snapshot(steps=steps, measurement=measurement, training_loss=loss, seconds=1.0, stopped=stopped)


def _explored(name: str) -> EpisodeResult:
    spec = EpisodeSpec(env=EnvSpec(suite=SUITE), task="push", init_state=0, seed=0, policy=PolicySpec())
    return EpisodeResult(spec=spec, status="failure", steps=20, trajectory=f"{name}.parquet")


def make_context(folder: Path, *overrides: str) -> SweepContext:
    config = load(
        overrides=[
            f"env.suite={SUITE}",
            "env.tasks=[push,pull]",
            "ttt.steps=[1,2,4]",
            "ttt.learning_rate=[1e-3,1e-2]",
            "evaluation.episodes_per_task=2",
            "explore.episodes=[2,3]",
            *overrides,
        ]
    )
    explored = tuple(_explored(name) for name in "abch")
    return SweepContext(
        config=config,
        folder=folder,
        unit=plan_unit(config),
        env=EnvSpec(suite=SUITE),
        checkpoint=folder,
        base="base",
        explored=Explored(explored[:3], explored[3:], folder),
    )


def run(
    context: SweepContext, pool: SolvingPool, maker: Maker, rounds: Sequence[Sequence[int]] = ((1, 2, 4),)
) -> tuple[Arm, list[Arm]]:
    """The control and the arms of the first trial; each round's step counts are evaluated together."""
    anything: Any = maker
    shared: Any = pool
    control = run_control(context, shared, anything)
    arms: list[Arm] = []
    for counts in rounds:
        previous = arms[-1] if arms else None
        arms += run_arms(context, shared, trials(context.config)[0], counts, anything, control, previous)
    return control, arms


def test_every_arm_runs_the_same_episodes_and_a_finished_one_nothing(tmp_path: Path) -> None:
    context, pool = make_context(tmp_path), SolvingPool()
    control, arms = run(context, pool, Maker())
    assert len(pool.ran) == 4 * 4 and len({spec.key for spec in pool.ran}) == 16
    for arm in arms:
        assert [each.pair for each in arm.outcomes] == [each.pair for each in control.outcomes]
        assert arm.success_rate == 1.0 and arm.accepted is None and not arm.acceptance
        assert (arm.method, arm.learning_rate, arm.explored, arm.seed) == ("plain", 1e-3, 2, 0)
    assert run(context, pool, Maker()) == (control, arms) and len(pool.ran) == 16


def test_a_trial_learns_from_the_first_of_the_explored_episodes(tmp_path: Path) -> None:
    context = make_context(tmp_path)
    small, large = (context.job(trial) for trial in trials(context.config)[:2])
    assert [path.stem for path in small.training] == ["a", "b"] and len(large.training) == 3
    assert small.version(0) == large.version(0) and small.version(1) != large.version(1)
    assert run(context, SolvingPool(), Maker())[1][0].budget.environment_steps == 40


def test_sizes_of_exploration_that_lost_episodes_made_alike_stay_apart(tmp_path: Path) -> None:
    context, pool, maker = make_context(tmp_path), SolvingPool(), Maker()
    episodes = context.explored.training_episodes
    lost = replace(episodes[2], status="crashed", trajectory="")
    context = replace(context, explored=replace(context.explored, training_episodes=(*episodes[:2], lost)))
    control, _ = run(context, pool, maker)
    both = [list(run_arms(context, pool, each, (4,), maker, control, None)) for each in trials(context.config)[:2]]  # type: ignore[arg-type]
    assert both[0][0].adapter == both[1][0].adapter and [arm.explored for (arm,) in both] == [2, 3]
    kept = [load_arm(context, trial, 4) for trial in trials(context.config)[:2]]
    assert [arm and arm.explored for arm in kept] == [2, 3]


def test_a_rejected_adapter_is_the_base_and_runs_no_episode(tmp_path: Path) -> None:
    context, pool = make_context(tmp_path, "ttt.accept=true", "ttt.accept_drift=0.01"), SolvingPool()
    control, arms = run(context, pool, Maker(drift=0.5))
    assert len(pool.ran) == 4
    for arm in arms:
        assert arm.accepted is False and "0.5" in arm.acceptance
        assert arm.outcomes == control.outcomes and not arm.seconds
    kept, _ = run(make_context(tmp_path / "other", "ttt.accept=true"), pool, Maker())
    assert kept.accepted is None, "the control is not judged"


def test_without_the_rule_its_verdict_is_only_noted(tmp_path: Path) -> None:
    pool = SolvingPool()
    _, arms = run(make_context(tmp_path), pool, Maker(drift=0.5))
    assert len(pool.ran) == 16
    assert all(arm.accepted is None and "0.5" in arm.acceptance for arm in arms)
    _, accepted = run(make_context(tmp_path / "other", "ttt.accept=true"), pool, Maker())
    assert all(arm.accepted and not arm.acceptance for arm in accepted)


@pytest.mark.parametrize("rounds", [((1, 2, 4),), ((1,), (2,), (4,))])
def test_what_early_stopping_kept_is_evaluated_once(tmp_path: Path, rounds: Sequence[Sequence[int]]) -> None:
    pool = SolvingPool()
    _, (before, stopped, after) = run(make_context(tmp_path), pool, Maker(stopped=2), rounds)
    assert (before.stopped, stopped.stopped, after.stopped) == (0, 2, 2)
    assert len(pool.ran) == 3 * 4 and after.outcomes == stopped.outcomes and not after.seconds


def test_step_counts_are_evaluated_together_or_one_by_one_alike(tmp_path: Path) -> None:
    pools = SolvingPool(), SolvingPool()
    together, one_by_one = (
        run(make_context(tmp_path / name), pool, Maker(), rounds)
        for name, pool, rounds in (("a", pools[0], ((1, 2, 4),)), ("b", pools[1], ((1,), (2,), (4,))))
    )
    assert together == one_by_one and pools[0].ran == pools[1].ran
    assert (pools[0].calls, pools[1].calls) == (2, 4), "the control, then all or each"


def test_arms_before_the_adaptation_broke_are_kept(tmp_path: Path) -> None:
    context, pool = make_context(tmp_path), SolvingPool()
    arms: list[Arm] = []
    with pytest.raises(AdaptationError, match="step 3"):
        arms += run(context, pool, Maker(breaks=3))[1]
    first, second, third = (load_arm(context, trials(context.config)[0], steps) for steps in (1, 2, 4))
    assert first and second and first.success_rate == second.success_rate == 1.0 and third is None


@pytest.mark.parametrize(("asha", "calls"), [([], 2), (["ttt.asha=drift"], 3)])
def test_a_trial_reports_every_step_count_and_then_what_broke_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asha: list[str], calls: int
) -> None:
    context, pool = make_context(tmp_path, *asha), SolvingPool()
    reported: list[dict[str, Any]] = []
    monkeypatch.setattr("worldagen.sweep.trial.SnapshotMaker", lambda job: Maker(breaks=3))
    monkeypatch.setattr("ray.tune.report", reported.append)
    anything: Any = pool
    run_trial(trials(context.config)[0]._asdict(), context=context, pool=anything)
    assert [report["ttt_steps"] for report in reported] == [0, 1, 2, 4]
    assert [report.get("success_rate") for report in reported] == [0.0, 1.0, 1.0, None]
    assert reported[-1]["error"] == "the loss of step 3 is nan" and pool.calls == calls


def test_the_best_group_meets_the_control_on_fresh_episodes(tmp_path: Path) -> None:
    context, pool = make_context(tmp_path, "evaluation.confirm_episodes=3"), SolvingPool()
    anything: Any = pool
    _, arms = run(context, pool, Maker())
    searched = {(spec.task, spec.init_state) for spec in pool.ran}
    rejected = replace(arms[0], seed=1, adapter="another", accepted=False)
    pool.ran.clear()
    found = confirm(context, anything, [arms[0], rejected])
    assert found is not None and found.group == arms[0].group and found.steps == 1
    assert len(pool.ran) == 12 and not {(spec.task, spec.init_state) for spec in pool.ran} & searched
    kept, dropped = found.arms
    assert [each.pair for each in kept.outcomes] == [each.pair for each in found.control]
    assert kept.success_rate == 1.0 and dropped.outcomes == found.control
    assert found.seconds == kept.seconds == {"simulate": 6.0} and not dropped.seconds
    assert confirm(context, anything, []) is None
    assert confirm(make_context(tmp_path), anything, arms) is None


def test_asha_ends_the_worse_half_also_when_the_better_one_ended_before_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, pool = make_context(tmp_path, "ttt.asha=drift"), SolvingPool()
    run(context, pool, Maker(drift=0.1))
    first, second, *_ = trials(context.config)
    monkeypatch.setattr(Halving, "context", context, raising=False)
    ended: Any = SimpleNamespace(trial_id="1", status=Trial.TERMINATED, config=first._asdict())
    fresh: Any = SimpleNamespace(trial_id="2", status=Trial.PENDING, config=second._asdict())
    for drift, decision in ((0.05, "CONTINUE"), (0.2, "STOP")):
        halving = Halving(context)
        halving.on_trial_add(None, ended)
        halving.on_trial_add(None, fresh)
        assert halving.on_trial_result(None, fresh, {"ttt_steps": 0, "arm_drift": 0.0}) == "CONTINUE"
        assert halving.on_trial_result(None, fresh, {"ttt_steps": 1, "arm_drift": drift}) == decision


def solving(status: str, measurement: Measurement = BASE) -> Arm:
    """An arm of a single episode."""
    outcome: Any = Outcome(task="push", init_state=0, seed=0, status=status, steps=9)  # type: ignore[arg-type]
    return Arm(steps=1, measurement=measurement, outcomes=(outcome,))


@pytest.mark.parametrize(
    ("measure", "better", "worse"),
    [
        ("heldout", solving("failure"), solving("success", replace(BASE, changed=0.3))),
        ("drift", solving("failure"), solving("success", replace(BASE, arm_drift=0.1))),
        ("success", solving("success", replace(BASE, changed=0.3, arm_drift=0.1)), solving("failure")),
    ],
)
def test_asha_ends_what_has_the_higher_error_or_drift_or_the_lower_success(
    measure: str, better: Arm, worse: Arm, tmp_path: Path
) -> None:
    context = make_context(tmp_path, f"ttt.asha={measure}")
    for first, second, decision in ((better, worse, "STOP"), (worse, better, "CONTINUE")):
        halving = Halving(context)
        one, other = (SimpleNamespace(trial_id=name, status=Trial.PENDING) for name in "12")
        for trial in (one, other):
            halving.on_trial_add(None, trial)  # type: ignore[arg-type]
        assert halving.on_trial_result(None, one, {"ttt_steps": 1, **metrics(first)}) == "CONTINUE"  # type: ignore[arg-type]
        assert halving.on_trial_result(None, other, {"ttt_steps": 1, **metrics(second)}) == decision  # type: ignore[arg-type]


def test_arms_that_asha_ended_are_no_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, pool = make_context(tmp_path, "ttt.asha=drift", "explore.episodes=2"), SolvingPool()
    control, _ = run(context, pool, Maker())
    monkeypatch.setattr("worldagen.sweep.run._facts", lambda *_: None)
    whole, half = trials(context.config)
    ends = {whole: TrialEnd(4, ""), half: TrialEnd(0, "")}
    results = gather(context, control, ends)
    assert [bool(arm.ended) for arm in results.arms] == [False] * 3 + [True] * 3 and not results.failed
    assert results.arms[4].ended == "ASHA ended its trial after 0 steps (ttt.asha=drift)"
    assert results.arms[4].trial == half and results.arms[4].steps == 2
    broken = gather(context, control, {**ends, half: TrialEnd(1, "the loss is NaN")})
    assert [arm.error for arm in broken.failed] == ["the loss is NaN"] * 3 and not broken.arms[4].ended
    gone = gather(context, control, {**ends, half: TrialEnd(4, "")}).failed
    assert len(gone) == 3 and gone[0].error.startswith("its file is gone from arms/; delete ")
