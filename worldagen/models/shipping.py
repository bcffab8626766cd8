"""A copy of a checkpoint that is small enough for a repository: weights in half precision, and a short provenance.

What tells how the checkpoint came about stays: identity, settings, date, metrics. The lists of demonstrations, and
of their digests, become their number and hash, and absolute paths lose what is true on one machine only.
"""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from worldagen.config import content_key
from worldagen.models import checkpoint
from worldagen.models.weights import CheckpointError

DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16, "float32": torch.float32}


def ship(source: str | Path, out: str | Path, dtype: str = "float16") -> Path:
    """Write the shippable copy `out` of the checkpoint folder `source` and return it.

    Its fingerprint is another one, of the rounded weights. Adapters made for the source do not fit it.
    Raises CheckpointError when `source` cannot be loaded or `out` exists (it may hold more than a checkpoint).
    """
    source, out = Path(source), Path(out)
    if out.exists():
        raise CheckpointError(f"{out} exists; delete it or name another folder")
    model, about = checkpoint.load(source), checkpoint.describe(source)
    written = time.localtime((source / "model.safetensors").stat().st_mtime)
    provenance = {
        "date": time.strftime("%Y-%m-%d", written),
        **portable(about["provenance"]),
        "shipped": {"weights": dtype, "made_from": about["fingerprint"]},
    }
    if "demonstrations" in provenance:
        provenance["demonstrations"] = {name: counted(keys) for name, keys in provenance["demonstrations"].items()}
    if files := provenance.get("identity", {}).get("files"):
        digests = [digest or key for key, (digest, _) in files.items()]
        provenance["identity"] = {**provenance["identity"], "files": counted(digests)}
    return checkpoint.save(model, out, provenance, DTYPES[dtype])


def counted(keys: list[str]) -> dict[str, Any]:
    """How many episodes there were, and a key of which: the same set in any order has the same one."""
    return {"episodes": len(keys), "key": content_key(sorted(keys))}


def portable(value: Any) -> Any:
    """JSON with every absolute path, keys included, made relative to the working directory, or cut to two names."""
    if isinstance(value, Mapping):
        return {portable(key): portable(each) for key, each in value.items()}
    if isinstance(value, list):
        return [portable(each) for each in value]
    if not isinstance(value, str) or not Path(value).is_absolute():
        return value
    path, here = Path(value), Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else Path(*path.parts[-2:]))
