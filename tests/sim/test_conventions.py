"""The table of conventions in docs/simulators.md, row by row, against the raw simulators.

CALVIN's half needs a checkout of calvin_env (`python -m worldagen.envs.calvin install`, or CALVIN_ENV_ROOT).
"""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldagen.config import EnvConfig
from worldagen.envs.base import make_env
from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.tasks import find_task, init_states
from worldagen.envs.suites import control_rate, prepare_env
from worldagen.types import EpisodeSpec, Observation, PolicySpec

SIZE = 64
CLOSE, OPEN = -1.0, 1.0


def action(*arm: float, gripper: float = OPEN) -> np.ndarray:
    return np.array([*arm, *[0.0] * (6 - len(arm)), gripper], np.float32)


def start(env: Any, task: str) -> Observation:
    return env.reset(EpisodeSpec(env=env.spec, task=task, init_state=3, seed=0, policy=PolicySpec(kind="random")))


class Libero:
    """Our simulator and the benchmark's own OffScreenRenderEnv, which can be put into the same situation."""

    TASK = "turn_on_the_stove"

    def __init__(self) -> None:
        env = make_env(prepare_env(EnvConfig(suite="libero_goal", image_size=SIZE, visuals="full")))
        assert isinstance(env, LiberoEnv)
        from libero.libero.envs import OffScreenRenderEnv

        self.env, file = env, find_task("libero_goal", self.TASK).bddl_file
        self.raw = OffScreenRenderEnv(
            bddl_file_name=str(file), camera_heights=SIZE, camera_widths=SIZE, hard_reset=False
        )
        self.raw.env.reset()

    def start(self) -> Observation:
        """Our first observation; the raw simulator and its controller are then in the same state, bit for bit."""
        import mujoco

        observation = start(self.env, self.TASK)
        self.draw_raw()
        self.raw.env.reset()
        (model, data), (raw_model, raw_data) = (
            (env.sim.model._model, env.sim.data._data) for env in (self.env, self.raw)
        )
        raw_model.body_pos[:], raw_model.body_quat[:] = model.body_pos, model.body_quat
        state = np.empty(mujoco.mj_stateSize(model, mujoco.mjtState.mjSTATE_INTEGRATION))
        mujoco.mj_getState(model, data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_setState(raw_model, raw_data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        self.raw.sim.forward()
        robot, raw_robot = self.env.task_env.robots[0], self.raw.robots[0]
        raw_robot.controller.update(force=True)
        raw_robot.gripper.current_action = robot.gripper.current_action.copy()
        return observation

    def step(self, action: np.ndarray) -> tuple[Observation, dict[str, np.ndarray]]:
        """One control step in both."""
        self.draw_raw()
        raw = self.raw.step([*action[:6], -action[6]])[0]
        return self.env.step([action]).observation, raw

    def draw_raw(self) -> None:
        """Each must draw in its own OpenGL context; the raw one leaves that to the caller."""
        self.raw.sim._render_context_offscreen.gl_ctx.make_current()

    def fingers(self, env: Any) -> float:
        """Distance between the fingers, m."""
        left, right = env.robots[0]._ref_gripper_joint_pos_indexes
        return float(env.sim.data.qpos[left] - env.sim.data.qpos[right])


class Calvin:
    """Our simulator around calvin_env, whose own PlayTableSimEnv is inside."""

    TASK = "open_drawer"

    def __init__(self) -> None:
        from worldagen.envs.calvin.env import CalvinEnv
        from worldagen.envs.calvin.official import _build
        from worldagen.envs.calvin.package import checkout

        self.env = CalvinEnv(prepare_env(EnvConfig(suite="calvin_d", engine="calvin_env", image_size=SIZE)))
        self.raw = _build(checkout(), self.env.spec)

    def start(self) -> Observation:
        from worldagen.envs.calvin.states import initial_state

        observation = start(self.env, self.TASK)
        robot_obs, scene_obs = initial_state("calvin_d", self.TASK, 3)
        self.raw.reset(robot_obs, self.env.engine._reordered(scene_obs, self.env.engine._blocks))
        return observation

    def step(self, action: np.ndarray) -> tuple[Observation, dict[str, Any]]:
        raw = self.raw.step(action.astype(np.float64))[0]
        return self.env.step([action]).observation, raw

    def fingers(self, robot_obs: np.ndarray) -> float:
        return float(robot_obs[6])


@pytest.fixture(scope="module")
def libero() -> Iterator[Libero]:
    pair = Libero()
    yield pair
    pair.draw_raw()
    pair.raw.close()
    pair.env.close()


@pytest.fixture(scope="module")
def calvin() -> Iterator[Calvin]:
    from worldagen.envs.calvin.package import find_checkout

    if find_checkout() is None:
        pytest.skip("no checkout of calvin_env (CALVIN_ENV_ROOT, or `python -m worldagen.envs.calvin install`)")
    pair = Calvin()
    yield pair
    pair.env.close()


def test_libero_images_are_its_own_turned_upright(libero: Libero) -> None:
    """Rows: images, cameras."""
    libero.start()
    observation, raw = libero.step(action(1, 1))
    np.testing.assert_array_equal(observation.primary, raw["agentview_image"][::-1])
    np.testing.assert_array_equal(observation.wrist, raw["robot0_eye_in_hand_image"][::-1])
    assert not np.array_equal(observation.primary, raw["agentview_image"])


def test_libero_closes_the_gripper_with_plus_one(libero: Libero) -> None:
    """Row: gripper in the action."""
    libero.start()
    before = libero.fingers(libero.raw)
    libero.env.step([action(gripper=CLOSE)] * 8)
    for _ in range(8):
        libero.raw.step([0.0] * 6 + [1.0])
    assert libero.fingers(libero.raw) < before - 0.03
    assert libero.fingers(libero.env.task_env) == libero.fingers(libero.raw)


def test_libero_arm_actions_pass_through(libero: Libero) -> None:
    """Rows: position and rotation in the action, control rate: both arrive at the same state, at the same time."""
    libero.start()
    clock = libero.env.sim.data.time
    actions = np.random.default_rng(0).uniform(-1, 1, (6, 7)).astype(np.float32)
    for each in actions:
        libero.step(each)
    ours, raw = (env.sim.get_state().flatten() for env in (libero.env, libero.raw))
    np.testing.assert_array_equal(ours, raw)
    assert libero.env.sim.data.time - clock == pytest.approx(6 / control_rate("libero_goal"))
    np.testing.assert_allclose(libero.raw.robots[0].controller.output_max, [0.05] * 3 + [0.5] * 3)
    assert libero.raw.env.control_freq == control_rate("libero_goal") == 20
    assert libero.raw.sim.model.opt.timestep == 0.002


def test_libero_turns_the_hand_about_the_worlds_axes(libero: Libero) -> None:
    """Row: rotation in the action is an axis-angle vector in the world's frame."""
    for axis in range(3):
        before = Rotation.from_rotvec(libero.start().state[3:6])
        turned = Rotation.from_rotvec(libero.env.step([action(0, 0, 0, *(np.eye(3)[axis]))] * 5).observation.state[3:6])
        change = (turned * before.inv()).as_rotvec()
        assert change[axis] > 0.1 and np.abs(np.delete(change, axis)).max() < 0.3 * change[axis]


def test_libero_state_is_its_own_proprioception(libero: Libero) -> None:
    """Rows: position, rotation and gripper in the state."""
    assert libero.start().state[6] == OPEN
    observation, raw = libero.step(action(1, 0, 0, 0, 1, gripper=CLOSE))
    np.testing.assert_allclose(observation.state[:3], raw["robot0_eef_pos"], atol=1e-6)
    ours, own = Rotation.from_rotvec(observation.state[3:6]), Rotation.from_quat(raw["robot0_eef_quat"])
    assert (ours * own.inv()).magnitude() < 1e-5
    assert observation.state[6] == CLOSE and raw["robot0_gripper_qpos"].shape == (2,)


def test_libero_objects_have_settled_at_the_first_observation(libero: Libero) -> None:
    """Row: first observation."""
    libero.start()
    clock = init_states(find_task("libero_goal", libero.TASK))[3][0]
    assert libero.env.sim.data.time - clock == pytest.approx(5 / control_rate("libero_goal"))


@pytest.mark.parametrize("suite", ["libero_goal", "calvin_d"])
def test_each_camera_has_the_size_asked_for(suite: str, request: pytest.FixtureRequest) -> None:
    """Row: image sizes."""
    pair = request.getfixturevalue("calvin" if suite == "calvin_d" else "libero")
    env = make_env(replace(pair.env.spec, image_size=40, wrist_image_size=72))
    observation = start(env, pair.TASK)
    assert observation.primary.shape == (40, 40, 3) and observation.wrist.shape == (72, 72, 3)
    assert observation.primary.std() > 20 and observation.wrist.std() > 20
    env.close()


def test_raw_image_sizes(libero: Libero, calvin: Calvin) -> None:
    """Row: image sizes."""
    defaults = inspect.signature(type(libero.raw).__mro__[1].__init__).parameters
    assert defaults["camera_heights"].default == defaults["camera_widths"].default == 128
    from worldagen.envs.calvin.official import _load
    from worldagen.envs.calvin.package import checkout

    sizes = [_load(checkout(), f"cameras/cameras/{camera}").width for camera in ("static", "gripper")]
    assert sizes == [200, 84]


def test_calvin_images_are_its_own(calvin: Calvin) -> None:
    """Rows: images, cameras."""
    calvin.start()
    observation, raw = calvin.step(action(1, 1))
    np.testing.assert_array_equal(observation.primary, raw["rgb_obs"]["rgb_static"])
    np.testing.assert_array_equal(observation.wrist, raw["rgb_obs"]["rgb_gripper"])


def test_calvin_closes_the_gripper_with_minus_one(calvin: Calvin) -> None:
    """Row: gripper in the action. CALVIN takes exactly -1 and +1, ours any value by its sign."""
    calvin.start()
    before = calvin.fingers(calvin.raw.get_obs()["robot_obs"])
    calvin.env.step([action(gripper=0.3 * CLOSE)] * 10)
    for _ in range(10):
        raw = calvin.raw.step(action(gripper=CLOSE).astype(np.float64))[0]
    assert calvin.fingers(raw["robot_obs"]) < before - 0.03
    assert calvin.fingers(calvin.env.engine.robot_obs()) == pytest.approx(calvin.fingers(raw["robot_obs"]), abs=1e-3)
    with pytest.raises(AssertionError):
        calvin.raw.step(action(gripper=0.3).astype(np.float64))


def test_calvin_arm_actions_pass_through(calvin: Calvin) -> None:
    """Rows: position and rotation in the action, control rate."""
    calvin.start()
    actions = np.random.default_rng(0).uniform(-1, 1, (10, 7)).astype(np.float32)
    actions[:, 6] = np.sign(actions[:, 6])
    ours = calvin.env.step(actions).observation.state
    for each in actions:
        raw = calvin.raw.step(each.astype(np.float64))[0]["robot_obs"]
    np.testing.assert_allclose(ours[:3], raw[:3], atol=2e-3)
    assert (Rotation.from_rotvec(ours[3:6]) * Rotation.from_euler("xyz", raw[3:6]).inv()).magnitude() < 0.02
    assert calvin.raw.control_freq == control_rate("calvin_d") == 30 and calvin.raw.action_repeat == 8


def test_calvin_adds_actions_to_a_target(calvin: Calvin) -> None:
    """Rows: 1 is 0.02 m and 0.05 rad about the world's axes, as Euler angles of the target."""
    calvin.start()
    robot = calvin.env.engine._env.robot
    position, rotation = np.array(robot.target_pos), np.array(robot.target_orn)
    calvin.env.step([action(1, 0, -1, 0, 0, 1)])
    np.testing.assert_allclose(np.array(robot.target_pos) - position, [0.02, 0, -0.02], atol=1e-6)
    np.testing.assert_allclose(np.array(robot.target_orn) - rotation, [0, 0, 0.05], atol=1e-6)


def test_calvin_state_is_its_own_proprioception(calvin: Calvin) -> None:
    """Rows: position, rotation and gripper in the state."""
    assert calvin.start().state[6] == OPEN
    observation, raw = calvin.step(action(1, 0, 0, 0, 1, gripper=CLOSE))
    np.testing.assert_allclose(observation.state[:3], raw["robot_obs"][:3], atol=1e-5)
    quaternion = calvin.raw.p.getQuaternionFromEuler(raw["robot_obs"][3:6])
    assert (Rotation.from_rotvec(observation.state[3:6]) * Rotation.from_quat(quaternion).inv()).magnitude() < 1e-3
    assert observation.state[6] == raw["robot_obs"][14] == CLOSE
