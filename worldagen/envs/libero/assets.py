"""Which meshes and textures the simulator is built from: the benchmark's own, or primitives generated here.

The official assets are not on PyPI. They are looked for in the configured folder, the installed package, LIBERO's own
cache and finally the Hugging Face hub; where none has them a tree of primitives with the same bodies, joints and sites
takes their place. Success rates on the two are not comparable, so which one is in use is announced and recorded.
"""

import http.client
import logging
import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worldagen.atomic import publish
from worldagen.envs.cache import generated
from worldagen.envs.libero.package import benchmark_root
from worldagen.envs.libero.primitive import write_tree
from worldagen.errors import WorldagenError

logger = logging.getLogger(__name__)

HUB_REPOSITORY = "lerobot/libero-assets"
_FOLDERS = ("articulated_objects", "scenes", "stable_hope_objects", "stable_scanned_objects", "turbosquid_objects")
_PRIMITIVE_MARK = "PRIMITIVE"
"""File at the root of a generated tree, so that it is never taken for the official one."""


class AssetsError(WorldagenError, RuntimeError):
    """The assets asked for are not at hand. The message names the places searched and the remedy."""


class _DownloadError(Exception):
    """The hub answered, but its files did not come."""


@dataclass(frozen=True)
class Assets:
    kind: Literal["official", "primitive"]
    path: Path


def resolve_assets(choice: str = "auto", assets_path: str = "") -> Assets:
    """Find or make the asset tree for `choice`: `official`, `primitive`, or `auto` (official if found, else primitive).

    `assets_path` is a folder of official assets to use before any other. Downloads (several hundred MB, once) only when
    nothing is found on this machine and the hub answers. Raises AssetsError when `official` is not to be had, or when
    `assets_path` is given but holds no official assets, and ValueError for an unknown choice.
    """
    if choice not in ("auto", "official", "primitive"):
        raise ValueError(f"unknown assets {choice!r}; use auto, official or primitive")
    if choice == "primitive":
        return Assets("primitive", _primitive_tree())
    if assets_path and not _is_official(Path(assets_path).expanduser()):
        raise AssetsError(f"{assets_path} holds no official LIBERO assets; it should contain {', '.join(_FOLDERS)}")
    found = find_official(assets_path)
    if found:
        return Assets("official", found)
    unreachable = _hub_failure()
    if not unreachable:
        try:
            return Assets("official", _download())
        except _DownloadError as error:
            unreachable = f"the download failed ({error})"
    searched = f"{', '.join(map(str, _places()))}; the hub ({HUB_REPOSITORY}): {unreachable}"
    if choice == "official":
        raise AssetsError(
            f"the official LIBERO assets were not found (searched {searched}); download the dataset {HUB_REPOSITORY} "
            "where the hub can be reached and name its folder in env.assets_path, or use env.assets=primitive"
        )
    logger.warning("official LIBERO assets not found (searched %s): using generated primitive assets", searched)
    return Assets("primitive", _primitive_tree())


def find_official(assets_path: str = "") -> Path | None:
    """The official assets on this machine: in `assets_path`, or in any of the usual places. Downloads nothing."""
    places = [Path(assets_path).expanduser()] if assets_path else _places()
    return next((place for place in places if _is_official(place)), None)


def _is_official(path: Path) -> bool:
    return all((path / folder).is_dir() for folder in _FOLDERS) and not (path / _PRIMITIVE_MARK).exists()


def _places() -> list[Path]:
    return [benchmark_root() / "assets", _libero_cache()]


def _libero_cache() -> Path:
    """Where hf-libero itself keeps downloaded assets."""
    return Path.home() / ".cache" / "libero" / "assets"


def _hub_failure(timeout: float = 5.0) -> str:
    """Why the hub cannot be used, or an empty string when it can; one short request without retries."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        return "HF_HUB_OFFLINE is set"
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with urllib.request.urlopen(f"{endpoint}/api/datasets/{HUB_REPOSITORY}", timeout=timeout):
            return ""
    except (OSError, http.client.HTTPException) as error:  # URLError and TimeoutError are OSErrors
        return f"not reachable ({getattr(error, 'reason', error)})"


def _download() -> Path:
    """Download the official assets to LIBERO's own cache; an interrupted download is resumed, never taken for whole.

    Raises _DownloadError when they do not come.
    """
    from huggingface_hub import snapshot_download  # only needed here, and slow to import

    target = _libero_cache()
    partial = target.with_name("assets.partial")
    logger.warning("downloading the official LIBERO assets from %s to %s", HUB_REPOSITORY, target)
    try:
        snapshot_download(HUB_REPOSITORY, repo_type="dataset", local_dir=partial)
    except Exception as error:  # its own, of its HTTP client, of its transfer protocol: no base class is common to them
        raise _DownloadError(" ".join(str(error).split()) or repr(error)) from error
    publish(partial, target)
    return target


def _primitive_tree() -> Path:
    """The generated tree in our cache, made now if no process has made it yet."""
    return generated("libero-primitive", Path(__file__).parent / "primitive", _write_marked)


def _write_marked(folder: Path) -> None:
    write_tree(folder)
    (folder / _PRIMITIVE_MARK).write_text("Generated by worldagen; not the official LIBERO assets.\n")
