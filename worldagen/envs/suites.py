"""What a suite offers, whichever simulator is behind it."""

import importlib
from dataclasses import dataclass


@dataclass(frozen=True)
class TaskInfo:
    instruction: str
    """The task's own sentence."""
    init_states: int
    """How many initial states it has."""


def task_infos(suite: str) -> dict[str, TaskInfo]:
    """Every task of a suite by name. An Env of your own lists its tasks in a class attribute `TASKS`.

    Raises ValueError for an unknown suite.
    """
    if ":" in suite:
        module, _, name = suite.partition(":")
        return dict(getattr(importlib.import_module(module), name).TASKS)
    from worldagen.envs.libero.tasks import init_states, tasks  # the benchmark's files are read only when it is used

    return {task.name: TaskInfo(task.language, len(init_states(task))) for task in tasks(suite)}
