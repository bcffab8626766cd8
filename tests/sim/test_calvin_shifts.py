"""Each shift changes what it should in CALVIN, and nothing else, with both engines."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from worldagen.envs.base import make_env
from worldagen.envs.calvin.package import find_checkout
from worldagen.types import EnvSpec, EpisodeSpec, Observation, PolicySpec, Shift

Engine = Literal["calvin_env", "native"]
SEEN = ("camera", "light", "colour")
ACTIONS = np.random.default_rng(0).uniform(-1, 1, (10, 7))

NO_CHECKOUT = pytest.mark.skipif(find_checkout() is None, reason="no checkout of calvin_env")
pytestmark = pytest.mark.parametrize("engine", [pytest.param("calvin_env", marks=NO_CHECKOUT), "native"])


def shifted(engine: Engine, *shifts: Shift) -> EpisodeSpec:
    env = EnvSpec(
        suite="calvin_d",
        image_size=48,
        engine=engine,
        renderer="tiny",
        assets="official" if engine == "calvin_env" else "primitive",
        visuals="full",
        shifts=shifts,
    )
    return EpisodeSpec(env=env, task="open_drawer", init_state=0, seed=0, policy=PolicySpec(kind="random"))


def play(env: Any, spec: EpisodeSpec) -> tuple[Observation, bytes, bytes]:
    """First observation, first and last state of a short episode with fixed actions."""
    first = env.reset(spec)
    start = env.state_digest()
    env.step(ACTIONS)
    return first, start, env.state_digest()


@cache
def played(engine: Engine, name: str = "", strength: float = 1.0, seed: int = 0) -> tuple[Observation, bytes, bytes]:
    spec = shifted(engine, *[Shift(name=name, strength=strength, seed=seed)] if name else [])
    return inside(spec, lambda env: play(env, spec))


def inside(spec: EpisodeSpec, measure: Callable[[Any], Any]) -> Any:
    env = make_env(spec.env)
    try:
        return measure(env)
    finally:
        env.close()


@pytest.mark.parametrize("name", [*SEEN, "sensor_noise"])
def test_what_only_cameras_see_leaves_the_physics_alone(engine: Engine, name: str) -> None:
    plain, *states = played(engine)
    for strength in (0.25, 1.0):
        one, *shifted_states = played(engine, name, strength)
        assert shifted_states == states
        assert not np.array_equal(one.primary, plain.primary)
        assert np.array_equal(one.wrist, plain.wrist) == (name == "camera"), "the gripper camera stays in the hand"
    other = played(engine, name, seed=1)[0]
    assert not np.array_equal(other.primary, one.primary), "the seed decides which"
    assert np.array_equal(played(engine, name, 0.0)[0].primary, plain.primary)


def test_friction_and_mass_change_once_however_often_the_scene_is_reset(engine: Engine) -> None:
    def properties(spec: EpisodeSpec) -> np.ndarray:
        def measure(env: Any) -> np.ndarray:
            for _ in range(3):
                env.reset(spec)
            bodies, client = env.engine.body_ids, env.engine.client
            block, table = (client.getDynamicsInfo(bodies[name], -1) for name in ("block_red", "table"))
            return np.array([block[0], block[2][0], block[1] * table[1]])

        return inside(spec, measure)

    plain = properties(shifted(engine))
    np.testing.assert_allclose(properties(shifted(engine, Shift(name="mass", strength=1))), plain * [4, 4, 1])
    slippery = properties(shifted(engine, Shift(name="friction", strength=1, seed=1)))
    np.testing.assert_allclose(slippery, plain * [1, 1, 0.5])


def test_shifts_compose_and_hold_whatever_ran_before(engine: Engine) -> None:
    shifts = [Shift(name=name, strength=0.5) for name in (*SEEN, "friction", "mass", "action_scale")]
    spec, turned = shifted(engine, *shifts), shifted(engine, *reversed(shifts))

    def twice(env: Any) -> tuple[Any, Any]:
        first = play(env, spec)
        env.reset(replace(spec, task="lift_red_block_table"))
        env.step(-ACTIONS)
        return first, play(env, spec)

    one, again = inside(spec, twice)
    other = inside(turned, lambda env: play(env, turned))
    for observation, *states in (again, other):
        assert states == list(one[1:])
        assert np.array_equal(observation.primary, one[0].primary) and np.array_equal(observation.wrist, one[0].wrist)
