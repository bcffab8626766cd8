"""What makes LIBERO fast changes nothing: the same states and pixels as from its own environment."""

from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np
import pytest

from worldagen.envs.libero.culling import DRAWN, UNDRAWN, Culling
from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.tasks import find_task, init_states
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

SIZE = 96
TASKS = "turn_on_the_stove", "put_the_bowl_on_the_plate"
STILL = np.array([0, 0, 0, 0, 0, 0, -1.0])


def spec_of(task: str, suite: str = "libero_goal") -> EpisodeSpec:
    env = EnvSpec(suite=suite, image_size=SIZE, visuals="full")
    policy = PolicySpec(kind="random")
    return EpisodeSpec(env=env, task=task, init_state=2, seed=5, policy=policy, step_limit=999, stop_on_success=False)


@pytest.fixture(scope="module")
def env() -> Iterator[LiberoEnv]:
    made = LiberoEnv(spec_of(TASKS[0]).env)
    yield made
    made.close()


def benchmarks_own(env: LiberoEnv, spec: EpisodeSpec, **settings: Any) -> Any:
    """LIBERO's own environment in the state that `env` has after the reset to `spec`."""
    from libero.libero.envs.env_wrapper import ControlEnv

    task = find_task(spec.env.suite, spec.task)
    stock = ControlEnv(bddl_file_name=str(task.bddl_file), ignore_done=True, **settings)
    stock.env.reset()
    for name in ("body_pos", "body_quat"):  # where this reset happened to place the fixtures
        getattr(stock.sim.model, name)[:] = getattr(env.sim.model, name)
    stock.set_init_state(init_states(task)[spec.init_state])
    for _ in range(5):
        stock.step(STILL)
    return stock


def state_of(sim: Any) -> np.ndarray:
    """All that MuJoCo's next step depends on."""
    kind = mujoco.mjtState.mjSTATE_INTEGRATION
    state = np.empty(mujoco.mj_stateSize(sim.model._model, kind))
    mujoco.mj_getState(sim.model._model, sim.data._data, state, kind)
    return state


def actions(count: int) -> Iterator[np.ndarray]:
    """Random walks with a gripper that opens and closes, in worldagen's convention."""
    generator = np.random.default_rng(0)
    for number in range(count):
        arm = generator.uniform(-1, 1, 6) * (number % 50 < 40)
        yield np.array([*arm, 1 if number % 40 < 20 else -1], dtype=np.float32)


@pytest.mark.parametrize(
    ("suite", "task"),
    [
        ("libero_goal", "put_the_bowl_on_the_plate"),
        ("libero_10", "KITCHEN_SCENE3_turn_on_the_stove_and_put_the_moka_pot_on_it"),
    ],
)
def test_two_hundred_lean_steps_end_in_the_same_states_bit_for_bit(suite: str, task: str) -> None:
    spec = spec_of(task, suite)
    env = LiberoEnv(spec.env)
    env.reset(spec)
    stock = benchmarks_own(env, spec, use_camera_obs=False, has_offscreen_renderer=False)
    start = state_of(env.sim)
    for number, action in enumerate(actions(200)):
        env._control(action)
        stock.step(np.array([*action[:6], -action[6]], dtype=np.float64))
        np.testing.assert_array_equal(state_of(env.sim), state_of(stock.sim), err_msg=f"after step {number}")
        np.testing.assert_array_equal(env.sim.data.sensordata, stock.sim.data.sensordata)
        np.testing.assert_array_equal(env.sim.data.site_xpos, stock.sim.data.site_xpos)
    assert np.abs(state_of(env.sim) - start).max() > 0.1
    stock.close()
    env.close()


def test_full_pictures_are_the_benchmarks_own_pixel_for_pixel(env: LiberoEnv) -> None:
    spec = spec_of(TASKS[0])
    env.reset(spec)
    stock = benchmarks_own(env, spec, camera_heights=SIZE, camera_widths=SIZE)
    walk = list(actions(12))
    for chunk in (walk[:4], walk[4:8], walk[8:]):
        ours = env.step(chunk).observation
        stock.sim._render_context_offscreen.gl_ctx.make_current()  # it takes itself for the only one that draws
        for action in chunk:
            stock.step(np.array([*action[:6], -action[6]], dtype=np.float64))
        theirs = stock.env._get_observations(force_update=True)  # by itself it may show the physics step before
        np.testing.assert_array_equal(ours.primary, theirs["agentview_image"][::-1])
        np.testing.assert_array_equal(ours.wrist, theirs["robot0_eye_in_hand_image"][::-1])
    stock.close()


def test_what_is_left_out_would_not_have_been_seen(env: LiberoEnv) -> None:
    """Arm poses all over the place, with the hand near the table and far above, and the table half in view."""
    env.reset(spec_of(TASKS[1]))
    arm, generator = env.task_env.robots[0]._ref_joint_pos_indexes, np.random.default_rng(0)
    start, left_out = env.sim.data.qpos.copy(), 0
    for number in range(24):
        env.sim.data.qpos[arm] = start[arm] + generator.normal(0, 0.1 + 0.03 * number, 7)
        env.sim.forward()
        for camera in ("agentview", "robot0_eye_in_hand"):
            left_out += env._culling.unseen(env.sim.data._data, env.sim.model.camera_name2id(camera)).sum()
            whole = env.sim.render(SIZE, SIZE, camera_name=camera)[::-1]
            np.testing.assert_array_equal(env._render(camera), whole, err_msg=f"{camera}, pose {number}")
    assert left_out > 24 * 2 * 20


SCENE = """
<mujoco>
  <asset><material name="floor" reflectance="{reflectance}" rgba="0.3 0.3 0.3 1"/></asset>
  <worldbody>
    <light pos="0 0 3" castshadow="{castshadow}"/>
    <camera name="camera" pos="0 -2 1" xyaxes="1 0 0 0 0.7 1"/>
    <geom name="floor" type="{floor}" size="2 2 0.05" material="floor" group="1"/>
    <geom name="above" type="sphere" size="0.3" pos="0 0.5 2.6" rgba="1 0 0 1" group="1"/>
    <geom name="behind" type="sphere" size="0.3" pos="0 -4 1" group="1"/>
    <geom name="below" type="sphere" size="0.3" pos="0 0 -0.6" group="1"/>
    <geom name="beside" type="sphere" size="0.3" pos="0 3.5 -0.6" group="1"/>
    <geom name="middle" type="sphere" size="0.3" pos="0 0 0.5" group="1"/>
  </worldbody>
</mujoco>
"""


@pytest.mark.parametrize(
    ("floor", "reflectance", "castshadow", "left_out"),
    [
        ("box", 0, "false", {"above", "behind", "below"}),
        ("box", 0.5, "false", {"behind"}),
        ("plane", 0, "false", {"above", "behind"}),
        ("plane", 0.5, "false", {"behind"}),
        ("box", 0, "true", set()),
    ],
)
def test_mirrors_shadows_and_table_tops(
    env: LiberoEnv, floor: str, reflectance: float, castshadow: str, left_out: set[str]
) -> None:
    from robosuite.utils.binding_utils import MjRenderContextOffscreen, MjSim  # `env` has prepared its import

    sim = MjSim.from_xml_string(SCENE.format(floor=floor, reflectance=reflectance, castshadow=castshadow))
    sim.forward()
    MjRenderContextOffscreen(sim, device_id=-1)
    model, data = sim.model._model, sim.data._data
    whole = sim.render(SIZE, SIZE, camera_name="camera")
    with Culling(model)(data, model.camera("camera").id):
        assert {model.geom(geom).name for geom in np.flatnonzero(model.geom_group == UNDRAWN)} == left_out
        np.testing.assert_array_equal(sim.render(SIZE, SIZE, camera_name="camera"), whole)
    assert (model.geom_group == DRAWN).all()
