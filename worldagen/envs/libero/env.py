"""LIBERO behind the Env protocol.

The benchmark's own task classes, controller and predicates run unmodified. What differs from its evaluation script is
the bookkeeping: a reset that depends on nothing but the spec, and cameras that draw only when somebody looks.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np

from worldagen.envs.libero.assets import AssetsError, resolve_assets
from worldagen.envs.libero.package import prepare
from worldagen.envs.libero.rendering import full_xml, light_xml, with_model_xml
from worldagen.envs.libero.shifts import apply_shifts, robots_floor
from worldagen.envs.libero.tasks import Task, find_task, init_states, tasks
from worldagen.envs.stepping import Attempt, execute
from worldagen.types import EnvSpec, EpisodeSpec, Observation, StepOut

PRIMARY, WRIST = "agentview", "robot0_eye_in_hand"
_SETTLE_STEPS = 5
_STILL = np.array([0, 0, 0, 0, 0, 0, 1], dtype=np.float32)
"""No motion, gripper open: objects of an initial state hang slightly above what they rest on and fall first."""
_PLACEMENT_ATTEMPTS = 20
_GLOBAL_GENERATOR = threading.Lock()


class LiberoEnv:
    """One LIBERO simulator at 20 Hz; holds the compiled model of one task at a time. Several may live in one process.

    Official assets are taken from WORLDAGEN_LIBERO_ASSETS where that is set (see `resolve_assets`). Raises ValueError
    for an unknown suite and AssetsError for assets that are missing.
    """

    def __init__(self, spec: EnvSpec) -> None:
        tasks(spec.suite)
        self.spec = spec
        self._assets = resolve_assets(spec.assets, os.environ.get("WORLDAGEN_LIBERO_ASSETS", "")).path
        prepare(self._assets)
        self.task_env: Any = None
        """The benchmark's problem object (a BDDLBaseDomain) of the current task."""
        self.task, self.instruction = "", ""
        self._task: Task | None = None
        self._culling: Any = None
        self._pristine: dict[str, np.ndarray] = {}
        self._attempt: Attempt | None = None
        self._gripper = 1.0

    @property
    def sim(self) -> Any:
        """robosuite's MjSim of the current task: ground truth for experts and tests."""
        return self.task_env.sim

    def tool_pose(self) -> tuple[np.ndarray, np.ndarray]:
        """Position (3,) in metres and rotation matrix (3, 3) of the point between the fingertips, float64."""
        site, data = self.task_env.robots[0].eef_site_id, self.sim.data
        return data.site_xpos[site].copy(), data.site_xmat[site].reshape(3, 3).copy()

    def reset(self, spec: EpisodeSpec) -> Observation:
        """Start the episode of `spec`. Raises ValueError for a task or initial state that does not exist, or for a spec
        of another simulator, and AssetsError when the initial state does not fit the assets."""
        self._attempt = None
        task, state = self._start_of(spec)
        if task != self._task:
            self._compile(task)
        self._place_fixtures(spec)
        self._set_state(task, state)
        for _ in range(_SETTLE_STEPS):
            self._control(_STILL)
        self.task, self.instruction = task.name, task.language
        self._attempt = Attempt(spec)
        return self._observe()

    def step(self, actions: Iterable[np.ndarray]) -> StepOut:
        """Execute actions one by one as they are drawn; see `Env`. Raises ValueError after the end of the episode."""
        return execute(self._attempt, actions, self._control, partial(self._render, PRIMARY), self._observe)

    def next_task(self, task: str) -> None:
        raise NotImplementedError(f"LIBERO has no chains; run {task!r} as an episode of its own")

    def state_digest(self) -> bytes:
        """Bytes of MuJoCo's integration state and of the poses that bodies have in the model."""
        import mujoco  # MUJOCO_GL is chosen by now

        model, data, kind = self.sim.model, self.sim.data, mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(model._model, kind))
        mujoco.mj_getState(model._model, data._data, state, kind)
        return state.tobytes() + model.body_pos.tobytes() + model.body_quat.tobytes()

    def close(self) -> None:
        """Free the compiled model and its OpenGL context; a later reset builds them again."""
        if self.task_env is not None:
            self._draw_here()  # what is freed is freed in the current context, which may be another simulator's
            self.task_env.close()
        self.task_env, self._culling, self._task, self._attempt = None, None, None, None

    def _start_of(self, spec: EpisodeSpec) -> tuple[Task, np.ndarray]:
        if spec.env != self.spec:
            raise ValueError(f"this simulator was built for {self.spec}, the episode asks for {spec.env}")
        task = find_task(spec.env.suite, spec.task)
        states = init_states(task)
        if not 0 <= spec.init_state < len(states):
            raise ValueError(f"{task.name} has initial states 0 to {len(states) - 1}, not {spec.init_state}")
        return task, states[spec.init_state]

    def _compile(self, task: Task) -> None:
        self.close()
        from worldagen.envs.libero.culling import Culling  # imports MuJoCo, which may be imported by now

        self.task_env = self._built(task)
        for name in self.task_env.observation_names:
            self.task_env.modify_observable(name, "enabled", False)
        apply_shifts(self.sim, PRIMARY, self.spec.shifts)
        model = self.sim.model
        self._culling = Culling(model._model)
        # The parts of the model that an episode changes: fixture poses, and which sites show (a burner that is on).
        self._pristine = {name: getattr(model, name).copy() for name in ("body_pos", "body_quat", "site_rgba")}
        self._task = task

    def _built(self, task: Task) -> Any:
        try:
            with _seeded(0):
                prepare(self._assets)  # another Env of this process may use other assets
                return _build(task, self.spec)
        except (FileNotFoundError, ElementTree.ParseError, ValueError) as error:
            raise AssetsError(
                f"{task.name} cannot be built from the {self.spec.assets} assets in {self._assets}, which are damaged "
                f"({' '.join(str(error).split())}); delete that folder and "
                + ("it is generated anew" if self.spec.assets == "primitive" else "fetch it again")
            ) from error

    def _place_fixtures(self, spec: EpisodeSpec) -> None:
        """robosuite's reset, from the compiled model as it was built: samples the poses of fixtures (and of objects,
        which the initial state then replaces)."""
        from robosuite.utils.errors import RandomizationError

        for name, values in self._pristine.items():
            getattr(self.sim.model, name)[:] = values
        gripper = self.task_env.robots[0].gripper
        gripper.current_action = np.zeros(gripper.dof)
        with _seeded([spec.seed % 2**32, spec.init_state]):
            for attempt in range(_PLACEMENT_ATTEMPTS):
                try:
                    self.task_env.reset()
                    return
                except RandomizationError:
                    if attempt == _PLACEMENT_ATTEMPTS - 1:
                        raise

    def _set_state(self, task: Task, state: np.ndarray) -> None:
        model = self.sim.model
        if len(state) != 1 + model.nq + model.nv:
            raise AssetsError(
                f"the initial states of {task.name} have {len(state)} values, the model built from the "
                f"{self.spec.assets} assets needs {1 + model.nq + model.nv}; they belong to another benchmark version"
            )
        self.sim.set_state_from_flattened(state)
        self.sim.forward()
        self.task_env._post_process()
        self._gripper = 1.0

    def _control(self, action: np.ndarray) -> bool:
        """One control step (25 physics steps). Returns whether the goal holds afterwards."""
        if action[6] != 0:  # zero leaves the fingers as they are
            self._gripper = float(np.sign(action[6]))
        command = np.array([*action[:6], -action[6]], dtype=np.float64)  # LIBERO closes the gripper with +1
        _, _, success, _ = self.task_env.step(command)
        self._check_stable()
        return bool(success)

    def _check_stable(self) -> None:
        """MuJoCo answers a diverging simulation by starting it over, in the middle of the episode."""
        import mujoco  # MUJOCO_GL is chosen by now

        warnings = self.sim.data._data.warning.number
        kinds = mujoco.mjtWarning
        if any(warnings[int(kind)] for kind in (kinds.mjWARN_BADQPOS, kinds.mjWARN_BADQVEL, kinds.mjWARN_BADQACC)):
            steps = self._attempt.steps if self._attempt else 0
            raise FloatingPointError(f"the simulation of {self._task} became unstable after {steps} steps")

    def _observe(self, primary: np.ndarray | None = None) -> Observation:
        primary = self._render(PRIMARY) if primary is None else primary
        return Observation(primary, self._render(WRIST), self._robot_state())

    def _render(self, camera: str) -> np.ndarray:
        size = (self.spec.wrist_image_size if camera == WRIST else 0) or self.spec.image_size
        self._draw_here()
        with self._culling(self.sim.data._data, self.sim.model.camera_name2id(camera)):
            image = self.sim.render(size, size, camera_name=camera)
        return np.ascontiguousarray(image[::-1])  # OpenGL's rows go upwards

    def _draw_here(self) -> None:
        """Make this simulator's OpenGL context the current one; robosuite leaves that to the caller."""
        self.sim._render_context_offscreen.gl_ctx.make_current()

    def _robot_state(self) -> np.ndarray:
        """Rotation as in LIBERO's data sets: the hand's, as an axis-angle vector with an angle from 0 to 2 pi, which is
        continuous around the pose that points down."""
        from robosuite.utils.transform_utils import quat2axisangle

        position = self.tool_pose()[0] - robots_floor(self.spec.shifts)
        w, x, y, z = self.sim.data.get_body_xquat(self.task_env.robots[0].robot_model.eef_name)
        rotation = quat2axisangle(np.array([x, y, z, w]))
        return np.concatenate([position, rotation, [self._gripper]]).astype(np.float32)


def _build(task: Task, spec: EnvSpec) -> Any:
    """The benchmark's problem object for a task, as its own ControlEnv builds it, with cameras that draw on demand."""
    from libero.libero.envs import TASK_MAPPING
    from libero.libero.envs.bddl_utils import get_problem_info
    from robosuite import load_controller_config

    from worldagen.envs.libero.stepping import lean  # imports robosuite, which may be imported by now

    problem = lean(TASK_MAPPING[get_problem_info(str(task.bddl_file))["problem_name"]])
    look = light_xml if spec.visuals == "light" else full_xml
    problem = with_model_xml(problem, partial(look, image_size=max(spec.image_size, spec.wrist_image_size)))
    return problem(
        str(task.bddl_file),
        robots=["Panda"],
        controller_configs=load_controller_config(default_controller="OSC_POSE"),
        initialization_noise=None,
        use_camera_obs=False,
        has_offscreen_renderer=True,
        control_freq=20,
        ignore_done=True,
        hard_reset=False,
    )


@contextmanager
def _seeded(seed: Any) -> Iterator[None]:
    """robosuite samples from numpy's global generator: seed it, and leave it as it was. One thread at a time."""
    with _GLOBAL_GENERATOR:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)
