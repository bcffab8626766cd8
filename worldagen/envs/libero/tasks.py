"""The benchmark's suites, tasks and initial states, read from the installed package without importing it (or torch)."""

import functools
import pickle
import re
import runpy
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from worldagen.config.checks import suggest
from worldagen.envs.libero.package import benchmark_root
from worldagen.plain_pickle import PlainUnpickler


@dataclass(frozen=True)
class Task:
    name: str
    language: str
    """The instruction, as the benchmark words it."""
    bddl_file: Path
    init_states_file: Path


def suites() -> tuple[str, ...]:
    """Names of all suites."""
    return tuple(_task_names())


def tasks(suite: str) -> tuple[Task, ...]:
    """The tasks of a suite in the benchmark's order. Raises ValueError for an unknown suite."""
    names = _task_names()
    if suite not in names:
        raise ValueError(f"unknown LIBERO suite {suite!r}; {suggest(suite, list(names))}")
    return tuple(_task(suite, name) for name in names[suite])


def find_task(suite: str, name: str) -> Task:
    """One task of a suite. Raises ValueError for an unknown suite or task."""
    by_name = {task.name: task for task in tasks(suite)}
    if name not in by_name:
        raise ValueError(f"{suite} has no task {name!r}; {suggest(name, list(by_name))}")
    return by_name[name]


def init_states(task: Task) -> np.ndarray:
    """The initial simulator states shipped with a task: float64 (n, 1 + nq + nv), each row time, qpos, qvel.

    Raises ValueError when the file holds anything but such an array.
    """
    try:
        with zipfile.ZipFile(task.init_states_file) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as file:
                states = PlainUnpickler(file).load()
    except (OSError, EOFError, zipfile.BadZipFile, StopIteration, pickle.UnpicklingError) as error:
        raise ValueError(f"{task.init_states_file} holds no initial states ({error}); reinstall hf-libero") from error
    return np.asarray(states, dtype=np.float64)


@functools.cache
def _task_names() -> dict[str, list[str]]:
    return runpy.run_path(str(benchmark_root() / "benchmark" / "libero_suite_task_map.py"))["libero_task_map"]


def _task(suite: str, name: str) -> Task:
    root = benchmark_root()
    return Task(
        name=name,
        language=re.sub(r"^[A-Z_]+SCENE\d+_", "", name).replace("_", " "),
        bddl_file=root / "bddl_files" / suite / f"{name}.bddl",
        init_states_file=root / "init_files" / suite / f"{name}.pruned_init",
    )
