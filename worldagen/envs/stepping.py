"""Executing a chunk of actions: the loop that every simulator behind the Env protocol runs."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from worldagen.envs.base import check_action
from worldagen.types import EpisodeSpec, Observation, StepOut


@dataclass
class Attempt:
    """One attempt at a task: the control steps it has had, and whether it is over."""

    spec: EpisodeSpec
    steps: int = 0
    over: bool = False


def execute(
    attempt: Attempt | None,
    actions: Iterable[np.ndarray],
    control: Callable[[np.ndarray], bool],
    draw: Callable[[], np.ndarray],
    observe: Callable[[np.ndarray | None], Observation],
) -> StepOut:
    """Draw actions one by one and execute each, until they end, the goal is reached or the step limit is.

    `control` executes one action and returns whether the goal holds afterwards, `draw` renders the primary image and
    `observe` makes an observation (with this primary image, if it has been drawn already). Whatever `control` raises
    ends the attempt. Raises ValueError for an impossible action, for no action, and after the end.
    """
    if attempt is None or attempt.over:
        raise ValueError("the episode is over (or was never started); call reset before step")
    executed, frames, success, simulated, rendered = [], [], False, 0.0, 0.0
    for action in actions:
        action = check_action(action)
        attempt.over = True
        started = time.perf_counter()
        holds = control(action)
        simulated += time.perf_counter() - started
        executed.append(action)
        success |= holds
        if attempt.spec.record == "video":
            started = time.perf_counter()
            frames.append(draw())
            rendered += time.perf_counter() - started
        attempt.steps += 1
        attempt.over = attempt.steps >= attempt.spec.step_limit or (holds and attempt.spec.stop_on_success)
        if attempt.over:
            break
    if not executed:
        raise ValueError("step was given no action")
    started = time.perf_counter()
    observation = observe(frames[-1] if frames else None)
    rendered += time.perf_counter() - started
    seconds = {"simulate": simulated, "render": rendered}
    return StepOut(observation, np.stack(executed), success, seconds, tuple(frames))
