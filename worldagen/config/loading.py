"""Defaults <- preset <- YAML files <- `key=value` overrides, merged and checked."""

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException

from worldagen.config.checks import check, suggest
from worldagen.config.content import flat
from worldagen.config.limits import ConfigError
from worldagen.config.presets import PRESETS
from worldagen.config.schema import Config

_ABBREVIATIONS = {"lr": "learning_rate", "wd": "weight_decay"}


def load(paths: Sequence[str | Path] = (), overrides: Sequence[str] = ()) -> Config:
    """Return a checked Config. Raises ConfigError on an unknown key, a wrong type or an impossible value."""
    given: Any = OmegaConf.create({})
    for path in paths:
        given = OmegaConf.unsafe_merge(given, _read_yaml(Path(path)))
    for override in overrides:
        given = OmegaConf.unsafe_merge(given, _read_override(override))
    _wrap_single_values(given)
    preset = OmegaConf.select(given, "model.preset", default="tiny")
    if preset not in PRESETS:
        raise ConfigError(f"model.preset={preset!r} is unknown; {suggest(str(preset), list(PRESETS))}")
    base = OmegaConf.unsafe_merge(OmegaConf.structured(Config), {"model": {**PRESETS[preset], "preset": preset}})
    return _merged(base, given)


def changed(config: Config, changes: Mapping[str, Any], where: str) -> Config:
    """`config` with nested `changes`, checked. A setting that is a mapping (`env.shifts`) takes the place of the one
    there, so that `{}` empties it. Raises ConfigError as `load` does, naming `where` they come from."""
    given, base = OmegaConf.create(dict(changes)), OmegaConf.structured(config)
    _wrap_single_values(given)
    for name, default in settings().items():
        if isinstance(default, dict) and OmegaConf.select(given, name) is not None:
            OmegaConf.update(base, name, {}, merge=False)
    try:
        return _merged(base, given)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _merged(base: Any, given: Any) -> Config:
    try:
        config: Any = OmegaConf.to_object(OmegaConf.unsafe_merge(base, given))
    except ConfigKeyError as error:
        raise ConfigError(_unknown_key(str(error.full_key))) from error
    except OmegaConfBaseException as error:
        raise ConfigError(_bad_value(error)) from error
    check(config)
    return config


def settings(cls: type = Config, prefix: str = "") -> dict[str, Any]:
    """Every dotted setting name with its default."""
    found: dict[str, Any] = {}
    for name, value in vars(cls()).items():
        if dataclasses.is_dataclass(value):
            found.update(settings(type(value), f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _read_yaml(path: Path) -> Any:
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1, cutoff=0.5)
        raise ConfigError(f"no config file at {path}" + (f"; did you mean {path.parent / near[0]}?" if near else ""))
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # the YAML parser has many error types; all of them mean the same to the reader
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not OmegaConf.is_dict(loaded):
        raise ConfigError(f"{path} must hold key: value pairs, found a {type(loaded).__name__}")
    return loaded


def _read_override(text: str) -> Any:
    if not re.match(r"^[\w.]+=", text):
        raise ConfigError(f"{text!r} is not an override; write key=value, e.g. ttt.learning_rate=[1e-4,1e-3]")
    if text.endswith("="):
        text += "''"  # nothing, for YAML, is null
    try:
        return OmegaConf.from_dotlist([text])
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{text!r} cannot be read: write lists without spaces, e.g. ttt.steps=[4,16], or the whole in quotes"
        ) from error


def _wrap_single_values(given: Any) -> None:
    """`explore.episodes=12` means `explore.episodes=[12]`, and so for every other list."""
    defaults = settings()
    plain: Any = OmegaConf.to_container(given)
    for key, value in flat(plain).items():
        single = isinstance(value, int | float | str) and not str(value).startswith("${")
        if isinstance(defaults.get(key), list) and single:
            if "," in str(value):
                raise ConfigError(f"{key}={value} is one word; write a list in brackets: {key}=[{value}]")
            OmegaConf.update(given, key, [value])


def _unknown_key(key: str) -> str:
    known = list(settings())
    groups = sorted({name.rsplit(".", 1)[0] for name in known if "." in name})
    group, _, name = key.rpartition(".")
    wanted = f"{group}.{_ABBREVIATIONS.get(name, name)}"
    longer = [each for each in known if each.startswith(wanted)]
    return f"unknown setting {key!r}; {suggest(longer[0] if longer else key, known + groups)}"


def _bad_value(error: OmegaConfBaseException) -> str:
    key = str(error.full_key or "")
    if ":" in key:
        return f"{key}: in a mapping a space follows the colon; or write {key.replace(':', '=', 1)}"
    reason = str(error).splitlines()[0]
    if isinstance(settings().get(key), dict):
        reason += f"; write pairs, {key}={{name: 0.5}}, or {key}.name=0.5"
    return f"{key or 'settings'}: {reason[0].lower()}{reason[1:]}"
