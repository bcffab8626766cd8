"""Settings as plain data: flattened, compared, hashed."""

import dataclasses
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from worldagen.config.schema import Config


def to_dict(config: Any) -> dict[str, Any]:
    """Plain nested dict of a config, for JSON and MLflow, without the passwords of addresses in it."""
    return _readable(dataclasses.asdict(config))


def without_passwords(text: str) -> str:
    """`text` with `***` for the password of each address in it (`postgresql://user:password@host`, `?password=...`)."""
    text = re.sub(r"(://[^:/@\s]*):[^@\s]+@", r"\1:***@", text)
    return re.sub(r"([?&]password=)[^&\s]+", r"\1***", text)


def _readable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _readable(each) for key, each in value.items()}
    return without_passwords(value) if isinstance(value, str) else value


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            found.update(flat(value, f"{prefix}{key}."))
        else:
            found[f"{prefix}{key}"] = value
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Settings by their dotted names that differ between two nested dicts: (before, now).

    `before` may be an earlier version's: a setting that it does not know had its default then, and one that has become
    a list since holds a single value there.
    """
    old, new, defaults = flat(before), flat(now), flat(to_dict(Config()))
    pairs = {name: (old.get(name, defaults.get(name)), new.get(name)) for name in {**old, **new}}
    return {name: (then, given) for name, (then, given) in pairs.items() if given not in (then, [then])}


def content_key(*parts: Any) -> str:
    """Hexadecimal key (12 characters of SHA-256) of JSON-serialisable parts: the name of whatever they determine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dataclasses.asdict).encode()).hexdigest()[:12]
