"""The signs and units that weights were trained with, converted from and to worldagen's own at the model's door.

Simulators and stored trajectories know one set of conventions only (types.py). Published weights were trained with
others; a checkpoint names them, and whatever enters or leaves its model passes through here. numpy only.
"""

from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from worldagen.config.checks import suggest
from worldagen.models.decision import DecisionRequest
from worldagen.types import Trajectory

KNOWN = {
    "image": ("upright", "upside down"),
    "gripper": ("+1 open, -1 close", "+1 close, -1 open"),
    "rotation": ("axis-angle, radians", "Euler xyz, radians"),
}
"""The first of each is worldagen's own."""


@dataclass(frozen=True)
class Conventions:
    """Raises ValueError for a convention that nobody here can convert."""

    image: str = KNOWN["image"][0]
    gripper: str = KNOWN["gripper"][0]
    """Of the gripper value in states and actions."""
    rotation: str = KNOWN["rotation"][0]
    """Of the tool in states; Euler angles are extrinsic, as PyBullet's."""
    pairing: str = "frame k, actions k -> frame k + 1"
    """Which actions lead from one frame to the next in training. A note: no conversion can change it afterwards."""

    def __post_init__(self) -> None:
        for name, allowed in KNOWN.items():
            if (given := getattr(self, name)) not in allowed:
                raise ValueError(f"unknown convention {name}={given!r}; {suggest(given, allowed)}")

    def to_dict(self) -> dict[str, str]:
        return asdict(self)

    def foreign(self) -> list[str]:
        """What differs from worldagen's own conventions, in words; empty if nothing does."""
        own = Conventions().to_dict()
        return [f"{name} is {here!r}, ours {own[name]!r}" for name, here in self.to_dict().items() if here != own[name]]

    def frames(self, images: np.ndarray) -> np.ndarray:
        """(..., H, W, 3) from ours to the model's or back: the conversion is its own inverse."""
        return images if self.image == "upright" else np.ascontiguousarray(images[..., ::-1, :, :])

    def actions(self, actions: np.ndarray) -> np.ndarray:
        """(..., 7) from ours to the model's or back: the conversion is its own inverse. Zero padding stays zero."""
        if self.gripper == KNOWN["gripper"][0]:
            return actions
        return actions * np.array([1, 1, 1, 1, 1, 1, -1], actions.dtype)

    def states(self, states: np.ndarray) -> np.ndarray:
        """(..., 7) robot states from ours to the model's."""
        states = self.actions(states)
        if self.rotation == KNOWN["rotation"][0]:
            return states
        euler = Rotation.from_rotvec(states[..., 3:6].reshape(-1, 3)).as_euler("xyz").reshape(states[..., 3:6].shape)
        return np.concatenate([states[..., :3], euler.astype(states.dtype), states[..., 6:]], axis=-1)

    def request(self, request: DecisionRequest) -> DecisionRequest:
        """What a model with these conventions is to be asked."""
        return replace(
            request,
            primary=self.frames(request.primary),
            wrist=self.frames(request.wrist),
            states=self.states(request.states),
            actions=self.actions(request.actions) if len(request.actions) else request.actions,
        )

    def trajectory(self, trajectory: Trajectory) -> Trajectory:
        """What a model with these conventions is to learn from."""
        return replace(
            trajectory,
            primary=self.frames(trajectory.primary),
            wrist=self.frames(trajectory.wrist),
            state=self.states(trajectory.state),
            actions=self.actions(trajectory.actions),
            intended=self.actions(trajectory.intended),
        )


OWN = Conventions()
