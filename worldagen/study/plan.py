"""The sweeps of a study: one configuration for each setting, all that is not its own being the study's."""

import re
from dataclasses import replace
from pathlib import Path

from worldagen.config import Config, ConfigError, StudyConfig, changed


def setting_configs(config: Config) -> dict[str, Config]:
    """The configuration of every setting's sweep by name, each with a run folder of its own inside the study's.

    Raises ConfigError for a study without settings, a name that cannot be a folder's, and for changes that no sweep
    could have.
    """
    if not config.study.settings:
        raise ConfigError("study.settings is empty; name one, e.g. study.settings.camera.env.shifts.camera=0.5")
    return {name: _setting(config, name) for name in config.study.settings}


def _setting(config: Config, name: str) -> Config:
    where = f"study.settings.{name}"
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ConfigError(f"{where}: a setting's name is a folder's too; use letters, digits, _, - and .")
    changes = config.study.settings[name]
    if own := {"run_dir", "study"} & set(changes):
        raise ConfigError(f"{where} sets {', '.join(sorted(own))}, which the study decides itself; leave it out")
    alone = replace(config, study=StudyConfig(), run_dir=str(Path(config.run_dir) / name))
    return changed(alone, changes, where)
