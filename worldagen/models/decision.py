"""What travels between a policy's client (a simulator worker, numpy only) and its stateless server.

The client keeps the window: the features of frames it has seen, which the server returned, the robot states and the
executed actions. So the server encodes each frame once and may restart at any time.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np

from worldagen.types import Observation


@dataclass(frozen=True)
class DecisionRequest:
    """n observations (n <= K), the last one new: which actions follow?"""

    primary: np.ndarray
    """uint8 (H, W, 3): the new frame."""
    wrist: np.ndarray
    """uint8 (H, W, 3): the new frame."""
    features: np.ndarray
    """float32 (n - 1, F, hidden): features of the earlier frames of the window."""
    states: np.ndarray
    """float32 (n, 7)."""
    actions: np.ndarray
    """float32 (n - 1, a, 7): actions executed between the frames of the window."""
    instruction: str
    adapter: str = ""
    """Name of a loaded adapter; empty means the base model."""


@dataclass(frozen=True)
class Decision:
    actions: np.ndarray
    """float32 (a, 7): arm in [-1, 1], gripper -1 or +1."""
    feature: np.ndarray
    """float32 (F, hidden): features of the new frame, to be kept in the window."""


class History:
    """The client's window of the last `chunks` observations: `request`, let the server decide, execute, `record`."""

    def __init__(self, chunks: int, instruction: str, adapter: str = "") -> None:
        self.instruction, self.adapter = instruction, adapter
        self._features: deque[np.ndarray] = deque(maxlen=chunks - 1)
        self._states: deque[np.ndarray] = deque(maxlen=chunks - 1)
        self._actions: deque[np.ndarray] = deque(maxlen=chunks - 1)

    def request(self, observation: Observation) -> DecisionRequest:
        """What to ask the server about `observation`."""
        return DecisionRequest(
            primary=observation.primary,
            wrist=observation.wrist,
            features=_stack(self._features),
            states=np.stack([*self._states, observation.state]).astype(np.float32),
            actions=_stack(self._actions),
            instruction=self.instruction,
            adapter=self.adapter,
        )

    def record(self, observation: Observation, decision: Decision, executed: np.ndarray) -> None:
        """Shift the window by one: `executed` (a, 7) is what was done after `observation`."""
        self._features.append(decision.feature)
        self._states.append(observation.state)
        self._actions.append(np.asarray(executed, np.float32))


def _stack(arrays: deque[np.ndarray]) -> np.ndarray:
    return np.stack(list(arrays)) if arrays else np.zeros((0,), np.float32)
