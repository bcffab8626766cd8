"""Shifts as numbers, in a configuration, and between a policy and any simulator."""

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.fakes import SUITE, FakeEnv, spec
from worldagen.config import ConfigError, EnvConfig, load
from worldagen.envs import shifts as numbers
from worldagen.envs.base import make_env, possible_shifts
from worldagen.envs.suites import in_words, prepare_env
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import RandomPolicy
from worldagen.types import EnvSpec, EpisodeSpec, Shift, StepOut


class NoisyEnv(FakeEnv):
    """Makes a shift of its own, and tells experts where the point is."""

    SHIFTS = ("wind",)

    def expert(self, spec: EpisodeSpec) -> Iterator[np.ndarray]:
        while True:
            yield np.array([*np.clip(-self.position[:6], -1, 1), 1.0], np.float32)


NOISY = "tests.unit.test_shifts:NoisyEnv"


def shifted(name: str, strength: float, seed: int = 0, **changes: object) -> EpisodeSpec:
    """An episode of the fake simulator under one shift."""
    plain = spec(**changes)  # type: ignore[arg-type]
    shift = Shift(name=name, strength=strength, seed=seed)
    return dataclasses.replace(plain, env=dataclasses.replace(plain.env, shifts=(shift,)))


def moves(episode: EpisodeSpec, actions: np.ndarray) -> tuple[StepOut, np.ndarray]:
    """What `actions` (n, 7) did, and how far each moved the point, in actions: (n, 7)."""
    env, places = make_env(episode.env), []
    env.reset(episode)

    def watched() -> Iterator[np.ndarray]:
        for action in actions:
            places.append(env.position.copy())  # type: ignore[attr-defined]
            yield action

    out = env.step(watched())
    places.append(env.position.copy())  # type: ignore[attr-defined]
    return out, 10 * np.diff(places, axis=0)


ACTIONS = np.random.default_rng(0).uniform(-0.5, 0.5, (6, 7)).astype(np.float32)


@pytest.mark.parametrize("name", ["friction", "mass", "action_scale"])
def test_ratios_grow_by_powers_and_odd_seeds_divide(name: str) -> None:
    whole = numbers.ratio(Shift(name=name, strength=1))
    assert whole > 1.2
    assert numbers.ratio(Shift(name=name, strength=0.5)) == pytest.approx(math.sqrt(whole))
    assert numbers.ratio(Shift(name=name, strength=1, seed=7)) == pytest.approx(1 / whole)


def test_a_camera_circles_what_it_looks_at_in_proportion_to_the_strength() -> None:
    position = np.array([2.0, 0.0, 1.0])
    behind = position / np.linalg.norm(position)
    right = np.array([0.0, 1.0, 0.0])
    axes = np.stack([right, np.cross(behind, right), behind], axis=1)
    angles = []
    for strength in (0.5, 1.0):
        turn = numbers.camera_turn(Shift(name="camera", strength=strength, seed=4))
        place, turned = turn.applied(position, axes)
        np.testing.assert_allclose(turned @ turned.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(place, np.linalg.norm(position) * turned[:, 2], err_msg="it still looks there")
        assert place[1] > 0.1, "even seeds: to the right"
        angles.append((turn.azimuth, turn.elevation, turn.roll))
    np.testing.assert_allclose(angles[1], 2 * np.array(angles[0]))
    assert numbers.camera_turn(Shift(name="camera", strength=1, seed=5)).azimuth == -angles[1][0]


def test_new_colours_depend_on_seed_and_surface() -> None:
    grey = np.full((2, 3), 0.5)
    one = numbers.repainted(grey, Shift(name="colour", strength=1), "table")
    assert one.min() >= 0 and one.max() <= 1 and np.ptp(one[0]) > 0.3
    half = numbers.repainted(grey, Shift(name="colour", strength=0.5), "table")
    np.testing.assert_allclose(half - grey, (one - grey) / 2)
    assert not np.allclose(one, numbers.repainted(grey, Shift(name="colour", strength=1), "floor"))
    assert not np.allclose(one, numbers.repainted(grey, Shift(name="colour", strength=1, seed=1), "table"))
    assert numbers.repainted(grey, Shift(name="colour", strength=9), "table").max() <= 1


def test_actions_are_scaled_and_the_commanded_ones_recorded() -> None:
    out, moved = moves(shifted("action_scale", 1.0), ACTIONS)
    np.testing.assert_allclose(moved[:, :6], np.clip(1.6 * ACTIONS[:, :6], -1, 1), atol=1e-6)
    np.testing.assert_allclose(moved[:, 6], ACTIONS[:, 6], atol=1e-6, err_msg="the gripper's command is not scaled")
    np.testing.assert_array_equal(out.actions, ACTIONS)


@pytest.mark.parametrize(("strength", "weights"), [(1.0, [0, 0, 1]), (0.5, [0, 1]), (0.75, [0, 0.5, 0.5])])
def test_actions_are_delayed_also_by_part_of_a_step(strength: float, weights: list[float]) -> None:
    out, moved = moves(shifted("action_delay", strength), ACTIONS)
    expected = np.stack([np.convolve(ACTIONS[:, axis], weights)[:6] for axis in range(6)], axis=1)
    np.testing.assert_allclose(moved[:, :6], expected, atol=1e-6)
    steps = round(2 * strength)
    np.testing.assert_allclose(moved[:, 6], [*[1] * steps, *ACTIONS[: 6 - steps, 6]], atol=1e-6)
    np.testing.assert_array_equal(out.actions, ACTIONS)


def test_an_impossible_command_is_refused_even_if_scaling_would_mend_it() -> None:
    env = make_env(shifted("action_scale", 1.0, seed=1).env)
    env.reset(shifted("action_scale", 1.0, seed=1))
    with pytest.raises(ValueError, match="must lie in"):
        env.step([np.full(7, 1.2)])


def test_each_episode_starts_with_an_empty_delay_line() -> None:
    episode = shifted("action_delay", 1.0)
    env = make_env(episode.env)
    digests = []
    for _ in range(2):
        digests.append(run_episode(env, RandomPolicy(), episode).result.digest)
    assert digests[0] == digests[1]


def test_a_chain_goes_on_with_the_actions_that_are_on_their_way() -> None:
    episode = shifted("action_delay", 0.5)
    env = make_env(episode.env)
    env.reset(episode)
    env.step(ACTIONS[:1])
    env.next_task("pull")
    before = env.position.copy()  # type: ignore[attr-defined]
    env.step(ACTIONS[1:2])
    assert env.task == "pull"
    np.testing.assert_allclose(env.position - before, 0.1 * ACTIONS[0], atol=1e-6)  # type: ignore[attr-defined]


def test_noise_changes_what_is_seen_and_nothing_else() -> None:
    episode = shifted("sensor_noise", 1.0, image_size=32, step_limit=20, record="trajectory")
    noisy = run_episode(make_env(episode.env), RandomPolicy(), episode)
    plain_spec = dataclasses.replace(episode, env=dataclasses.replace(episode.env, shifts=()))
    plain = run_episode(make_env(plain_spec.env), RandomPolicy(), plain_spec)
    assert noisy.result.digest == plain.result.digest
    seen, shown = noisy.trajectory, plain.trajectory
    assert seen is not None and shown is not None
    error = seen.primary.astype(float) - shown.primary
    assert (error[-1] != error[-2]).mean() > 0.9, "every frame has its own"
    assert not np.array_equal(seen.primary - shown.primary, seen.wrist - shown.wrist)
    bright = run_episode(make_env(episode.env), RandomPolicy(), dataclasses.replace(episode, step_limit=200))
    assert 20 < (bright.trajectory.primary[-1] - 200.0).std() < 30  # type: ignore[union-attr]
    deviation = np.abs(seen.state - shown.state).mean(0)
    assert 0 < deviation[:3].max() < 0.01 < deviation[3:6].max() < 0.05 and deviation[6] == 0


def test_noise_is_that_of_the_episode_and_does_not_change_when_it_is_filmed() -> None:
    episode = shifted("sensor_noise", 0.5, record="trajectory")
    filmed = dataclasses.replace(episode, record="video")
    env = make_env(episode.env)
    first, film = run_episode(env, RandomPolicy(), episode), run_episode(env, RandomPolicy(), filmed)
    assert first.trajectory is not None and film.trajectory is not None
    np.testing.assert_array_equal(first.trajectory.primary, film.trajectory.primary)
    np.testing.assert_array_equal(film.frames[5], film.trajectory.primary[1])
    other_spec = shifted("sensor_noise", 0.5, seed=1, record="trajectory")
    with pytest.raises(ValueError, match="this simulator was built with"):
        env.reset(other_spec)
    other = run_episode(make_env(other_spec.env), RandomPolicy(), other_spec)
    assert not np.array_equal(first.trajectory.primary[0], other.trajectory.primary[0])  # type: ignore[union-attr]


def test_strength_zero_is_no_shift_and_the_order_does_not_matter() -> None:
    assert type(make_env(shifted("sensor_noise", 0.0).env)) is FakeEnv
    names = {"action_delay": 0.4, "sensor_noise": 0.5, "action_scale": 1.0}
    specs = [
        dataclasses.replace(
            spec(record="trajectory"),
            env=EnvSpec(
                suite=SUITE, image_size=8, shifts=tuple(Shift(name=name, strength=names[name]) for name in order)
            ),
        )
        for order in (sorted(names), sorted(names, reverse=True))
    ]
    one, other = (run_episode(make_env(each.env), RandomPolicy(), each) for each in specs)
    assert one.result.digest == other.result.digest
    np.testing.assert_array_equal(one.trajectory.primary, other.trajectory.primary)  # type: ignore[union-attr]


def test_experts_and_others_still_reach_the_simulator() -> None:
    episode = shifted("action_delay", 0.5)
    episode = dataclasses.replace(episode, env=dataclasses.replace(episode.env, suite=NOISY))
    env = make_env(episode.env)
    env.reset(episode)
    env.step(iter(env.expert(episode)).__next__() for _ in range(30))  # type: ignore[attr-defined]
    assert np.abs(env.position[:6]).max() < 0.5  # type: ignore[attr-defined]
    assert (env.task, env.instruction) == ("push", "push the point")
    with pytest.raises(AttributeError, match="nothing"):
        env.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_configuration_gives_sorted_shifts_without_those_of_no_strength() -> None:
    given = ["shifts.sensor_noise=0.5", "shifts.action_delay=1", "shift_seed=3", "shifts.action_scale=0"]
    config = load([], [f"env.suite={SUITE}", *(f"env.{setting}" for setting in given)])
    assert prepare_env(config.env).shifts == (
        Shift(name="action_delay", strength=1.0, seed=3),
        Shift(name="sensor_noise", strength=0.5, seed=3),
    )
    assert prepare_env(EnvConfig(suite=SUITE)).shifts == ()


def test_the_page_tells_of_every_shift() -> None:
    page = Path("docs/shifts.md").read_text()
    for name, kind in numbers.SHIFTS.items():
        assert f"| `{name}` | {kind.changes} | {kind.at_one} | {', '.join(kind.simulators)} |" in page


def test_shifts_are_part_of_what_a_result_is_named_after() -> None:
    env = prepare_env(EnvConfig(suite=SUITE, shifts={"sensor_noise": 0.5, "action_scale": 1.0}, shift_seed=3))
    assert "shifted: action_scale 1 (seed 3), sensor_noise 0.5 (seed 3)" in in_words(env)
    assert "shift" not in in_words(prepare_env(EnvConfig(suite=SUITE)))
    episode = dataclasses.replace(spec(), env=env)
    assert EpisodeSpec.from_dict(json.loads(json.dumps(dataclasses.asdict(episode)))) == episode, "as the log keeps it"
    assert episode.key != spec().key


@pytest.mark.parametrize(
    ("suite", "shifts", "message"),
    [
        (SUITE, {"sensor_nose": 1.0}, r"env\.shifts: unknown shift 'sensor_nose'; did you mean 'sensor_noise'\?"),
        (SUITE, {"camera": 1.0}, "tests.fakes:FakeEnv has no shift 'camera'; it has action_scale"),
        ("calvin_d", {"table_height": 1.0}, "calvin_d has no shift 'table_height'"),
        ("libero_goal", {"camera": -0.5}, "strength of 'camera' must be at least 0 and finite, not -0.5"),
        ("libero_goal", {"camera": float("nan")}, "not nan"),
        ("libero_goal", {"camera": float("inf")}, "not inf"),
    ],
)
def test_impossible_shifts_are_refused(suite: str, shifts: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare_env(EnvConfig(suite=suite, shifts=shifts))


def test_a_simulator_is_not_built_with_shifts_that_it_does_not_have() -> None:
    twice = (Shift(name="action_scale", strength=1), Shift(name="action_scale", strength=0.5))
    with pytest.raises(ValueError, match="given once only, not action_scale"):
        make_env(EnvSpec(suite=SUITE, shifts=twice))
    with pytest.raises(ValueError, match="unknown shift 'wind'"):
        make_env(EnvSpec(suite=SUITE, shifts=(Shift(name="wind", strength=1),)))
    assert possible_shifts(NOISY)[-1] == "wind"
    make_env(EnvSpec(suite=NOISY, shifts=(Shift(name="wind", strength=1),)))
