"""What a suite offers and needs, whichever simulator is behind it."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from worldagen.config import ConfigError, EnvConfig
from worldagen.config.checks import suggest
from worldagen.envs.base import imported_class, possible_shifts
from worldagen.envs.shifts import check_shifts
from worldagen.types import EnvSpec, Shift


@dataclass(frozen=True)
class TaskInfo:
    instruction: str
    """The task's own sentence."""
    init_states: int
    """How many initial states it has."""


def task_infos(suite: str) -> dict[str, TaskInfo]:
    """Every task of a suite by name. An Env of your own lists its tasks in a class attribute `TASKS`.

    Raises ConfigError for an unknown suite.
    """
    try:
        if ":" in suite:
            return dict(getattr(imported_class(suite), "TASKS"))  # noqa: B009
        if suite.startswith("calvin"):
            from worldagen.envs.calvin.engine import check_scene
            from worldagen.envs.calvin.states import INIT_STATES
            from worldagen.envs.calvin.tasks import instructions

            check_scene(suite)
            return {task: TaskInfo(sentence, INIT_STATES) for task, sentence in instructions().items()}
        from worldagen.envs.libero.tasks import init_states, tasks  # a suite of your own does not need LIBERO

        return {task.name: TaskInfo(task.language, len(init_states(task))) for task in tasks(suite)}
    except (ValueError, AttributeError) as error:
        raise ConfigError(f"env.suite={suite!r}: {error}") from error


def check_tasks(suite: str, names: list[str], setting: str) -> None:
    """Raise ConfigError, naming the `setting`, for a task that the suite does not have, or that is named twice."""
    known = list(task_infos(suite))
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"{setting} names {name!r} twice")
        if name not in known:
            raise ConfigError(f"{setting}: {suite} has no task {name!r}; {suggest(name, known)}")


def chains(suite: str) -> bool:
    """Whether episodes can go on with a further task (`EpisodeSpec.then`)."""
    return suite.startswith("calvin_")


def leads_to(suite: str, first: str, init_state: int, task: str) -> bool:
    """Whether `task` can be done after `first` was done from this initial state. Only for suites that have chains."""
    from worldagen.envs.calvin.states import situation_of
    from worldagen.envs.calvin.tasks import outcomes

    return any(outcomes(task, situation) for situation in outcomes(first, situation_of(first, init_state)))


def control_rate(suite: str) -> int:
    """Control steps a second: what each benchmark's controller runs at (20 for an Env of your own)."""
    return 30 if suite.startswith("calvin_") else 20


def configured_shifts(config: EnvConfig) -> tuple[Shift, ...]:
    """`env.shifts`, in order of their names. Raises ConfigError for one that cannot be had."""
    shifts = [Shift(name=name, strength=config.shifts[name], seed=config.shift_seed) for name in sorted(config.shifts)]
    try:
        check_shifts(shifts, possible_shifts(config.suite), config.suite)
    except ValueError as error:
        raise ConfigError(f"env.shifts: {error}") from error
    return tuple(shift for shift in shifts if shift.strength)


def check_env(config: EnvConfig) -> None:
    """Raise ConfigError for what `prepare_env` would refuse and can be known without looking for it: impossible shifts,
    settings that exclude each other, folders that are not there."""
    configured_shifts(config)
    for name in _folders(config):
        folder = getattr(config, name)
        if folder and not Path(folder).expanduser().is_dir():
            raise ConfigError(f"env.{name}={folder}: there is no such folder")
    if chains(config.suite):
        from worldagen.envs.calvin.engine import check_choices

        check_choices(config)


def _folders(config: EnvConfig) -> tuple[str, ...]:
    """The settings that name a folder which the suite's simulator would be built from."""
    if chains(config.suite):
        return () if config.engine == "native" else ("calvin_root",)
    return () if ":" in config.suite or config.assets == "primitive" else ("assets_path",)


def in_words(env: EnvSpec) -> str:
    """What a simulator's results are to be named after: suite, what draws it, shifts."""
    engine = f"{env.engine} engine, {env.renderer} renderer, " if env.engine else ""
    shifts = ", ".join(f"{shift.name} {shift.strength:g} (seed {shift.seed})" for shift in env.shifts)
    return f"{env.suite}, {engine}{env.assets} assets, {env.visuals} visuals" + (
        f", shifted: {shifts}" if shifts else ""
    )


def prepare_env(config: EnvConfig) -> EnvSpec:
    """Find what the simulator needs on this machine (OpenGL, assets) and say what every episode will run in.

    Sets the environment variables that the pool hands on to its workers. Raises GLError or AssetsError, and
    ConfigError for impossible shifts.
    """
    shifts = configured_shifts(config)
    settings = {
        "suite": config.suite,
        "image_size": config.image_size,
        "wrist_image_size": config.wrist_image_size,
        "visuals": config.visuals,
        "shifts": shifts,
    }
    if ":" in config.suite:
        return EnvSpec(**settings)  # type: ignore[arg-type]
    if config.suite.startswith("calvin_"):
        from worldagen.envs.calvin.setup import prepare_calvin

        return replace(prepare_calvin(config), shifts=shifts)
    from worldagen.envs.gl import choose_gl
    from worldagen.envs.libero.assets import resolve_assets

    choose_gl(config.gl)
    assets = resolve_assets(config.assets, config.assets_path)
    if assets.kind == "official":
        os.environ["WORLDAGEN_LIBERO_ASSETS"] = str(assets.path)
    return EnvSpec(**settings, assets=assets.kind)  # type: ignore[arg-type]
