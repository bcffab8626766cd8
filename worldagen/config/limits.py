"""What a setting may be, said beside its default; `checks` reads it."""

from dataclasses import field
from typing import Any

from worldagen.errors import WorldagenError


class ConfigError(WorldagenError, ValueError):
    """A setting that cannot be used. The message is one line: what was given, what is allowed, what to do."""


def positive(default: Any) -> Any:
    """A number that must be greater than zero."""
    return field(default=default, metadata={"above": 0})


def at_least_zero(default: Any) -> Any:
    """A number that must not be negative."""
    return field(default=default, metadata={"at_least": 0})


def share(default: float) -> Any:
    """A number from 0 to 1."""
    return field(default=default, metadata={"at_least": 0, "at_most": 1})


def one_of(default: str, *others: str) -> Any:
    """One of the words given, the first being the default."""
    return field(default=default, metadata={"one_of": (default, *others)})
