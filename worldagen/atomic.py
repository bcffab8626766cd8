"""Files and folders that appear whole or not at all: a reader finds the old one or the new one, never half of it."""

import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def fresh_file(path: Path, suffix: str = "") -> Iterator[Path]:
    """The path of a file to write, which takes the place of `path` at the end of the block, unless it raises.

    It does not end as `path` does, so that nobody takes it for a finished file of its kind, unless the writer needs a
    `suffix`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}{suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Put `text` at `path`, in a folder that is made if need be."""
    with fresh_file(path) as temporary:
        temporary.write_text(text)


@contextmanager
def fresh_folder(folder: str | Path) -> Iterator[Path]:
    """A temporary folder to fill, which takes the place of `folder` at the end of the block, unless it raises.

    It is on the disk before it takes that place. What was there before is kept until then, and comes back when the
    replacing fails. A process that is killed between the two renames of which it consists leaves no `folder`, but what
    was there before as `.<name>-replaced-<id>`: the next call for the same `folder` puts that back first.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    _recover(folder)
    with _unfinished(folder) as new:
        yield new
        for path in (*new.rglob("*"), new):
            _write_out(path)
        _replace(folder, new)


@contextmanager
def first_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder to fill, which becomes `folder` at the end of the block, unless it raises.

    For what every process makes alike: one that finds `folder` there at the end, because another was faster, leaves it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(folder) as new:
        yield new
        publish(new, folder)


def publish(new: Path, folder: Path) -> None:
    """Rename a finished folder; where another process was first, its equal folder stays."""
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-new-", dir=folder.parent))
    try:
        new.chmod(0o755)  # mkdtemp makes it private
        yield new
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _replace(folder: Path, new: Path) -> None:
    old = folder.with_name(f".{folder.name}-replaced-{uuid.uuid4().hex}")
    if folder.exists():
        folder.rename(old)
    try:
        new.rename(folder)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _recover(folder: Path) -> None:
    """Put back the latest that a killed process had moved away, and delete what has been replaced."""
    left = sorted(folder.parent.glob(f".{glob.escape(folder.name)}-replaced-*"), key=lambda path: path.stat().st_mtime)
    if left and not folder.exists():
        left.pop().rename(folder)
    for old in left:
        shutil.rmtree(old, ignore_errors=True)


def _write_out(path: Path) -> None:
    """Have the system put a file or folder on the disk; a disk that is full may say so only now."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
