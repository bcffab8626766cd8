"""Each shift changes what it should on the real simulator, and nothing else."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from worldagen.envs import shifts as numbers
from worldagen.envs.base import Env, make_env
from worldagen.envs.libero.shifts import robots_floor
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EnvSpec, EpisodeSpec, Observation, PolicySpec, Shift

SPEC = EpisodeSpec(
    env=EnvSpec(image_size=48),
    task="put_the_bowl_on_the_plate",
    init_state=3,
    seed=7,
    policy=PolicySpec(kind="expert"),
    step_limit=150,
)
SEEN, FELT = ("camera", "light", "colour"), ("table_height", "friction", "mass", "action_scale", "action_delay")
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (10, 7))
BOWL = "akita_black_bowl_1_main"


@dataclass(frozen=True)
class Seen:
    """A short episode with fixed actions."""

    first: Observation
    last: Observation
    start: bytes
    end: bytes


def shifted(*shifts: Shift, **changes: Any) -> EpisodeSpec:
    return replace(SPEC, env=replace(SPEC.env, shifts=shifts, **changes))


def play(env: Env, spec: EpisodeSpec) -> Seen:
    first = env.reset(spec)
    start = env.state_digest()
    last = env.step(ACTIONS).observation
    return Seen(first, last, start, env.state_digest())


@cache
def played(name: str = "", strength: float = 1.0, seed: int = 0) -> Seen:
    spec = shifted(*[Shift(name=name, strength=strength, seed=seed)] if name else [])
    env = make_env(spec.env)
    try:
        return play(env, spec)
    finally:
        env.close()


def inside(shift: Shift, measure: Callable[[Any], Any]) -> Any:
    """What `measure` finds in the simulator of an episode under `shift`."""
    env: Any = make_env(shifted(shift).env)
    try:
        env.reset(shifted(shift))
        return measure(env)
    finally:
        env.close()


def same_images(one: Observation, other: Observation) -> tuple[bool, bool]:
    return np.array_equal(one.primary, other.primary), np.array_equal(one.wrist, other.wrist)


@pytest.mark.parametrize("name", [*SEEN, "table_height", "mass"])
def test_strength_zero_changes_no_bit(name: str) -> None:
    plain, zero = played(), played(name, 0.0)
    assert (plain.start, plain.end) == (zero.start, zero.end)
    assert same_images(plain.first, zero.first) == same_images(plain.last, zero.last) == (True, True)


@pytest.mark.parametrize("name", [*SEEN, "sensor_noise"])
def test_what_only_cameras_see_leaves_the_physics_alone(name: str) -> None:
    plain, one = played(), played(name)
    assert (plain.start, plain.end) == (one.start, one.end)
    assert same_images(plain.first, one.first) == (False, name == "camera"), "the wrist camera stays in the hand"
    differences = [
        np.abs(played(name, strength).first.primary.astype(int) - plain.first.primary).mean() for strength in (0.25, 1)
    ]
    assert 1 < differences[0] < differences[1] < 90


@pytest.mark.parametrize("name", ["mass", "action_scale", "action_delay"])
def test_what_is_only_felt_shows_once_the_robot_acts(name: str) -> None:
    plain, one = played(), played(name, seed=1)
    assert np.abs(one.first.primary.astype(int) - plain.first.primary).mean() < 0.5
    np.testing.assert_allclose(one.first.state, plain.first.state, atol=1e-4)
    assert one.end != plain.end


@pytest.mark.parametrize("name", [*SEEN, "sensor_noise", "table_height"])
def test_the_seed_decides_which(name: str) -> None:
    one, other = played(name, 1.0, seed=0), played(name, 1.0, seed=1)
    assert one.start != other.start or not np.array_equal(one.first.primary, other.first.primary)


def test_the_robot_keeps_its_colours() -> None:
    def robots(env: Any) -> np.ndarray:
        model = env.sim.model
        return model.geom_rgba[[model.body_id2name(body).startswith("robot0") for body in model.geom_bodyid]]

    shifts = [Shift(name="colour", strength=strength) for strength in (0.0, 1.0)]
    np.testing.assert_array_equal(*[inside(shift, robots) for shift in shifts])


def test_a_higher_table_is_a_lower_robot() -> None:
    """Nothing moves but the robot and its camera; the policy's state does not betray how it is done."""
    plain, one = played(), played("table_height")
    np.testing.assert_allclose(one.first.state, plain.first.state, atol=2e-3)
    assert same_images(plain.first, one.first) == (False, False)
    places = [
        inside(
            Shift(name="table_height", strength=strength),
            lambda env: (env.sim.data.get_body_xpos(BOWL).copy(), env.tool_pose()[0]),
        )
        for strength in (0.0, 1.0)
    ]
    np.testing.assert_allclose(places[1][0], places[0][0], atol=1e-4)
    np.testing.assert_allclose(places[1][1] - places[0][1], [0, 0, -0.05], atol=2e-3)
    np.testing.assert_array_equal(robots_floor([Shift(name="table_height", strength=1, seed=1)]), [0, 0, 0.05])


def test_friction_and_mass_are_what_the_table_says() -> None:
    def properties(env: Any) -> tuple[np.ndarray, float, float, float]:
        model = env.sim.model
        body, arm = model.body_name2id(BOWL), model.body_name2id("robot0_link3")
        return (
            model.geom_friction.copy(),
            model.body_mass[body],
            model.body_mass[arm],
            model._model.body(body).subtreemass[0],
        )

    friction, bowl, arm, _ = inside(Shift(name="friction", strength=0), properties)
    slippery, *masses = inside(Shift(name="friction", strength=1, seed=1), properties)
    np.testing.assert_allclose(slippery, friction * [1 / 2, 1, 1])
    assert masses[:2] == [bowl, arm]
    same, heavy, same_arm, subtree = inside(Shift(name="mass", strength=0.5), properties)
    np.testing.assert_array_equal(same, friction)
    assert heavy == pytest.approx(2 * bowl) and same_arm == arm
    assert subtree == heavy, "what follows from the mass was computed again"


def test_a_bowl_slides_further_where_friction_is_low() -> None:
    def slid(env: Any) -> float:
        before = env.sim.data.get_body_xpos(BOWL).copy()
        joint = env.sim.model.get_joint_qvel_addr(env.task_env.get_object(BOWL.removesuffix("_main")).joints[0])[0]
        env.sim.data.qvel[joint + 1] = 0.6
        env.step([np.array([0, 0, 0, 0, 0, 0, 1.0])] * 6)
        return float(np.linalg.norm(env.sim.data.get_body_xpos(BOWL) - before))

    more, plain, less = (
        inside(Shift(name="friction", strength=strength, seed=seed), slid)
        for strength, seed in ((1, 0), (0, 0), (1, 1))
    )
    assert more < 0.7 * plain < 0.5 * less


def test_shifts_compose_and_hold_whatever_ran_before() -> None:
    shifts = [Shift(name=name, strength=0.5) for name in (*SEEN, "friction", "mass", "table_height", "action_scale")]
    spec, turned = shifted(*shifts), shifted(*reversed(shifts))
    env = make_env(spec.env)
    one = play(env, spec)
    env.reset(replace(spec, task="turn_on_the_stove", init_state=5))
    env.step(ACTIONS)
    again = play(env, spec)
    env.close()
    env = make_env(turned.env)
    other = play(env, turned)
    env.close()
    for each in (again, other):
        assert (one.start, one.end) == (each.start, each.end)
        assert same_images(one.first, each.first) == same_images(one.last, each.last) == (True, True)


@pytest.mark.parametrize("name", SEEN)
def test_shifts_show_in_full_visuals(name: str) -> None:
    images = []
    for strength in (0.0, 0.5):
        spec = shifted(Shift(name=name, strength=strength), visuals="full")
        env = make_env(spec.env)
        images.append(env.reset(spec).primary.astype(int))
        env.close()
    assert np.abs(images[1] - images[0]).mean() > 2


@pytest.mark.parametrize("name", FELT)
def test_an_expert_still_succeeds_at_half_strength(name: str) -> None:
    spec = shifted(Shift(name=name, strength=0.5, seed=1))
    env = make_env(spec.env)
    episode = run_episode(env, ExpertPolicy(), spec)
    env.close()
    assert episode.result.success


def test_the_table_of_shifts_is_that_of_the_simulators() -> None:
    assert set(numbers.supported(numbers.LIBERO)) == {*SEEN, *FELT, "sensor_noise"}
