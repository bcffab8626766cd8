"""Folders that appear complete or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder to fill, which takes the place of `folder` at the end of the block, unless it raises.

    It is on the disk before it takes that place. What was there before is kept until then, and comes back when the
    replacing fails. A process that is killed between the two renames of which it consists leaves no `folder`, but what
    was there before as `.<name>-replaced-<process>`: the next call for the same `folder` puts that back first.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-new-", dir=folder.parent))
    try:
        yield new
        new.chmod(0o755)  # mkdtemp makes it private
        for path in (*new.rglob("*"), new):
            _write_out(path)
        _replace(folder, new)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}-replaced-{os.getpid()}")
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Put back what a killed process had moved away, the latest if there are several."""
    left = sorted(folder.parent.glob(f".{folder.name}-replaced-*"), key=lambda path: path.stat().st_mtime)
    if left and not folder.exists():
        left[-1].rename(folder)


def _write_out(path: Path) -> None:
    """Have the system put a file or folder on the disk; a disk that is full may say so only now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
