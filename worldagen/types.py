"""The plain carriers that every part of worldagen shares.

Imports numpy and the standard library only, so simulator processes can use it without torch or Ray.

Conventions (the only ones used inside worldagen; each simulator's own are converted in envs/):
  image    uint8 (H, W, 3), RGB, upright
  action   float32 (7,): six arm values in [-1, 1] (x, y, z, then rotation), gripper -1 = close, +1 = open
  state    float32 (7,): tool position in metres (3), tool rotation as an axis-angle vector in radians (3),
           last commanded gripper (-1 or +1)
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Status = Literal["success", "failure", "crashed", "timed_out"]
GAVE_UP: tuple[Status, ...] = ("crashed", "timed_out")
"""What an episode ends as that was not run to its end."""
ACTION_SIZE = 7
STATE_SIZE = 7


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One way in which the world differs from the one a policy was trained in."""

    name: str
    """One of `envs.shifts.SHIFTS`."""
    strength: float
    """0 changes nothing, 1 is a strong but solvable change; proportional in between."""
    seed: int = 0
    """Which of the changes of this strength, e.g. in which direction a camera moves."""


@dataclass(frozen=True, kw_only=True)
class EnvSpec:
    """Which simulator an episode runs in and how it is drawn. All of it changes results, so all of it is in the key."""

    suite: str = "libero_goal"
    """A LIBERO suite, a CALVIN scene (`calvin_a` to `calvin_d`), or `package.module:Class` for an Env of your own."""
    image_size: int = 64
    """Edge of both square camera images, in pixels."""
    wrist_image_size: int = 0
    """Edge of the wrist camera's image where it differs (CALVIN's own: 200 and 84); 0 means `image_size`."""
    visuals: Literal["light", "full"] = "light"
    """`full` draws what the benchmark draws; `light` draws simplified geometry, several times faster."""
    assets: Literal["official", "primitive"] = "primitive"
    """The asset tree in use, already resolved (never "auto": a result must say what it was measured on)."""
    engine: Literal["", "calvin_env", "native"] = ""
    """What simulates CALVIN, already resolved: the `calvin_env` package or our own play table. Empty elsewhere."""
    renderer: Literal["", "tiny", "egl"] = ""
    """What draws CALVIN: PyBullet's software renderer or OpenGL (the pixels differ). Empty elsewhere."""
    shifts: tuple[Shift, ...] = ()
    """Changes to the world, in order of their names."""

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EnvSpec":
        """Inverse of `dataclasses.asdict`."""
        return cls(**{**data, "shifts": tuple(Shift(**shift) for shift in data.get("shifts", ()))})


@dataclass(frozen=True, kw_only=True)
class PolicySpec:
    """Which policy acts in an episode."""

    kind: Literal["learned", "expert", "random", "recorded"] = "learned"
    """`recorded`: whoever demonstrated in a published dataset, which `checkpoint` then names; cannot act again."""
    checkpoint: str = ""
    """Fingerprint of the base weights (learned policies only)."""
    adapter: str = ""
    """Adapter version; empty means the base model."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to the six arm values of each executed action."""
    handover: int = 0
    """For so many control steps of the last task the learned policy of `checkpoint` acts, then the expert takes over
    (experts only). What is recorded begins there: how to go on from where that policy gets to."""


@dataclass(frozen=True, kw_only=True)
class EpisodeSpec:
    """One episode to run. A spec is its own key: the same spec gives the same result on any worker."""

    env: EnvSpec
    task: str
    """Task name, e.g. `turn_on_the_stove`."""
    init_state: int
    """Index of the task's initial state as shipped with the benchmark."""
    seed: int
    policy: PolicySpec
    then: tuple[str, ...] = ()
    """Tasks to go on with after the first, each from where the one before it succeeded (CALVIN's chains)."""
    instruction: str = ""
    """Sentence given to the policy; empty means the task's own."""
    step_limit: int = 300
    """Simulator control steps after which the episode is a failure; in a chain, for each of its tasks."""
    actions_per_chunk: int = 5
    """Actions executed between two observations."""
    stop_on_success: bool = True
    """False for exploration: the episode always runs to its step limit."""
    record: Literal["none", "trajectory", "video"] = "none"
    """`trajectory` stores the frames at chunk boundaries; `video` also stores every step as mp4. A trajectory has one
    instruction, so of a chain only the part of the task in which it ended is stored."""

    def __post_init__(self) -> None:
        if self.then and not self.stop_on_success:
            raise ValueError("a chain goes on when a task succeeds: `then` needs stop_on_success=True")
        if self.policy.handover and (self.policy.kind != "expert" or not self.stop_on_success):
            raise ValueError("a policy hands over to an expert that ends the task: `handover` is for experts only")

    @property
    def last_task(self) -> str:
        """The task that the episode is about: of a chain, the one that all others lead up to."""
        return self.then[-1] if self.then else self.task

    @property
    def key(self) -> str:
        """Stable hexadecimal key of the content (20 characters of SHA-256)."""
        text = json.dumps(_given(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EpisodeSpec":
        """Inverse of `dataclasses.asdict`."""
        return cls(
            **{
                **data,
                "env": EnvSpec.from_dict(data["env"]),
                "policy": PolicySpec(**data["policy"]),
                "then": tuple(data.get("then", ())),
            }
        )


def _given(spec: Any) -> dict[str, Any]:
    """What a spec sets, as a nested dict. Defaults are left out, so that a new field renames no episode."""
    values = {field.name: (getattr(spec, field.name), field.default) for field in dataclasses.fields(spec)}
    return {name: _plain(value) for name, (value, default) in values.items() if value != default}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return _given(value) if dataclasses.is_dataclass(value) else value


@dataclass(frozen=True, kw_only=True)
class EpisodeResult:
    """What came of a spec."""

    spec: EpisodeSpec
    status: Status
    steps: int
    """Control steps executed."""
    completed: int = 0
    """Tasks that succeeded, one after the other: 0 or 1, in a chain up to its length. `success` means all of them."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall-clock split: reset (building the simulator included), simulate, render, wait (for the policy)."""
    trajectory: str = ""
    """File name of the stored trajectory inside the pool's trajectory folder; empty when not recorded."""
    digest: str = ""
    """SHA-256 over the executed actions and the final simulator state: equal digests mean equal episodes."""
    error: str = ""
    """Traceback of the last attempt when crashed, what was exceeded when timed out."""
    attempts: int = 1

    @property
    def success(self) -> bool:
        return self.status == "success"

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "EpisodeResult":
        return cls(**{**data, "spec": EpisodeSpec.from_dict(data["spec"])})


@dataclass(frozen=True)
class Observation:
    """What a policy sees: two camera images and the robot state, in the conventions above."""

    primary: np.ndarray
    wrist: np.ndarray
    state: np.ndarray


@dataclass(frozen=True)
class StepOut:
    """What one action chunk did."""

    observation: Observation
    """After the last executed action."""
    actions: np.ndarray
    """float32 (n, 7): the actions that were executed; shorter than the chunk when the episode ended inside it."""
    success: bool
    """True if the goal held after any executed action."""
    seconds: Mapping[str, float]
    """simulate and render."""
    frames: tuple[np.ndarray, ...] = ()
    """Primary image after each action when recording video."""


@dataclass
class Trajectory:
    """One recorded episode at chunk boundaries: T + 1 frames around T action chunks of `a` actions.

    Chunk t holds the actions executed between frame t and frame t + 1, so (frame t, actions t) -> frame t + 1 is exact.
    A last chunk cut short by the end of the episode is zero-padded; `counts` says how many of its actions are real.
    """

    spec: EpisodeSpec
    instruction: str
    """The sentence the policy was given."""
    primary: np.ndarray
    """uint8 (T + 1, H, W, 3)."""
    wrist: np.ndarray
    """uint8 (T + 1, H, W, 3)."""
    state: np.ndarray
    """float32 (T + 1, 7)."""
    actions: np.ndarray
    """float32 (T, a, 7): what was executed."""
    intended: np.ndarray
    """float32 (T, a, 7): what the policy asked for, before exploration noise."""
    counts: np.ndarray
    """int32 (T,): real actions in each chunk."""
    success: bool = False
