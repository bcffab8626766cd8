"""Every task as a Gymnasium environment, for whoever brings a training loop of their own.

Registered on `import worldagen`: `gymnasium.make("worldagen/LiberoGoal-v0", task="turn_on_the_stove")`. It is the same
simulator, asset tree and bookkeeping as everywhere else here, so the same seed and initial state give the same pixels.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

from worldagen.config import ConfigError, EnvConfig
from worldagen.config.checks import check_limits, suggest
from worldagen.envs.base import make_env
from worldagen.envs.suites import check_tasks, control_rate, prepare_env, task_infos
from worldagen.types import ACTION_SIZE, EpisodeSpec, Observation, PolicySpec

_STATE_LIMIT = np.array([3.0] * 3 + [2 * np.pi] * 3 + [1.0], np.float32)
"""A Panda reaches less than a metre from its base, which stands within one and a half of the origin."""


class GymnasiumEnv(gymnasium.Env[dict[str, np.ndarray], np.ndarray]):
    """One task of a suite.

    Observation: `primary` and `wrist` uint8 (H, W, 3), `state` float32 (7,). Action: float32 (7,) in [-1, 1], or
    (chunk, 7), rendered once a chunk. (Conventions: worldagen.types.) The reward is 1 when the goal is reached, else 0.
    An episode terminates at the goal and is truncated at `step_limit` control steps. `info`: success, instruction and
    the control steps so far. `reset` takes a seed, and the initial state from `options={"init_state": 3}`, otherwise
    one drawn from `init_states` (empty: all that the task has).

    `settings` are those of EnvConfig: image_size, visuals, assets, shifts, renderer ...
    Raises ConfigError for a suite, task, setting or initial state that does not exist.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 20}  # type: ignore[misc]

    def __init__(
        self,
        suite: str,
        task: str,
        *,
        step_limit: int = 300,
        chunk: int = 1,
        init_states: Sequence[int] = (),
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        config = _env_config(suite, settings)
        for name, value in (("step_limit", step_limit), ("chunk", chunk)):
            if value < 1:
                raise ConfigError(f"{name}={value} must be greater than 0")
        if render_mode not in (None, "rgb_array"):
            raise ConfigError(f"render_mode={render_mode!r} is not offered; use 'rgb_array' or None")
        check_tasks(suite, [task], "task")
        self.metadata = {**self.metadata, "render_fps": control_rate(suite) / chunk}  # type: ignore[misc]
        self.render_mode = render_mode
        self.task, self.step_limit, self.chunk = task, step_limit, chunk
        self._count = task_infos(suite)[task].init_states
        self.init_states = [self._checked(state) for state in init_states] or list(range(self._count))
        env = prepare_env(config)
        primary, wrist = env.image_size, env.wrist_image_size or env.image_size
        self.observation_space = spaces.Dict(
            primary=spaces.Box(0, 255, (primary, primary, 3), np.uint8),
            wrist=spaces.Box(0, 255, (wrist, wrist, 3), np.uint8),
            state=spaces.Box(-_STATE_LIMIT, _STATE_LIMIT, dtype=np.float32),
        )
        shape = (ACTION_SIZE,) if chunk == 1 else (chunk, ACTION_SIZE)
        self.action_space = spaces.Box(-1.0, 1.0, shape, np.float32)
        self._simulator = make_env(env)
        self._env_spec, self._steps = env, 0
        self._picture: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start an episode; without a seed, another one than before."""
        super().reset(seed=seed)
        drawn_state, drawn_seed = int(self.np_random.choice(self.init_states)), int(self.np_random.integers(2**31))
        options = dict(options or {})
        init_state = self._checked(options.pop("init_state", drawn_state))
        if options:
            raise ConfigError(f"reset knows the option init_state, not {', '.join(options)}")
        spec = EpisodeSpec(
            env=self._env_spec,
            task=self.task,
            init_state=init_state,
            seed=drawn_seed if seed is None else seed,
            policy=PolicySpec(kind="random"),  # nobody asks it: actions come from outside
            step_limit=self.step_limit,
            actions_per_chunk=self.chunk,
        )
        observation = self._simulator.reset(spec)
        self._steps = 0
        return self._shown(observation), self._info(success=False)

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Raises ValueError for an action of wrong shape, not finite or outside [-1, 1], and after the end."""
        if np.shape(action) != self.action_space.shape:
            raise ValueError(f"an action must have shape {self.action_space.shape}, got {np.shape(action)}")
        out = self._simulator.step(np.reshape(action, (self.chunk, ACTION_SIZE)))
        self._steps += len(out.actions)
        truncated = not out.success and self._steps >= self.step_limit
        return self._shown(out.observation), float(out.success), out.success, truncated, self._info(out.success)

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """The primary image as of the last reset or step: uint8 (H, W, 3)."""
        return self._picture if self.render_mode else None

    def close(self) -> None:
        self._simulator.close()

    def _checked(self, init_state: int) -> int:
        if not 0 <= init_state < self._count:
            raise ConfigError(f"{self.task} has initial states 0 to {self._count - 1}, not {init_state}")
        return int(init_state)

    def _shown(self, observation: Observation) -> dict[str, np.ndarray]:
        self._picture = observation.primary
        return {"primary": observation.primary, "wrist": observation.wrist, "state": observation.state}

    def _info(self, success: bool) -> dict[str, Any]:
        return {"success": success, "instruction": self._simulator.instruction, "steps": self._steps}


def _env_config(suite: str, settings: Mapping[str, Any]) -> EnvConfig:
    known = [field.name for field in dataclasses.fields(EnvConfig) if field.name not in ("suite", "tasks")]
    for name in settings:
        if name not in known:
            raise ConfigError(f"a simulator has no setting {name!r}; {suggest(name, known)}")
    config = EnvConfig(suite=suite, **settings)
    check_limits(config)
    return config
