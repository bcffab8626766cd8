"""Scripted experts, whichever simulator they belong to."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from worldagen.envs.base import imported_class
from worldagen.types import EpisodeSpec


def expert_tasks(suite: str) -> tuple[str, ...]:
    """The tasks of a suite that have a scripted expert; an Env of your own lists them in a class attribute `EXPERTS`.

    Raises ValueError for a class that cannot be imported.
    """
    if ":" in suite:
        return tuple(getattr(imported_class(suite), "EXPERTS", ()))
    if suite.startswith("calvin_"):
        from worldagen.envs.calvin import (
            experts as calvin,
        )  # a simulator's packages are needed only by those who use it

        return calvin.EXPERT_TASKS.get(suite, ())
    from worldagen.envs.libero import experts as libero

    return libero.EXPERT_TASKS.get(suite, ())


def make_expert(spec: EpisodeSpec, env: Any) -> Iterator[np.ndarray]:
    """Endless float32 (7,) actions that solve `env.task` from here; each reads the simulator when drawn.

    An Env of your own gives them from a method `expert(spec)`. Raises ValueError for a task without an expert.
    """
    known = expert_tasks(spec.env.suite)
    if env.task not in known:
        raise ValueError(
            f"{spec.env.suite} has no scripted expert for {env.task!r}; it has for {', '.join(known) or 'no task'}"
        )
    if ":" in spec.env.suite:
        return env.expert(spec)
    if spec.env.suite.startswith("calvin_"):
        from worldagen.envs.calvin import experts as calvin

        return calvin.expert(spec, env)
    from worldagen.envs.libero import experts as libero

    return libero.expert(spec, env)
