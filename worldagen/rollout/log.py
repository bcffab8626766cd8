"""The episode log: one JSON line per finished episode, in the order they finished, found again by the spec's key.

A line is on disk before its result is handed on, so no result that anyone has seen is lost, whatever ends the process.
A last line cut short by a crash is removed when the log is opened; its episode simply runs again.
"""

import fcntl
import json
import os
import time
from pathlib import Path

from worldagen.errors import WorldagenError
from worldagen.types import EpisodeResult, EpisodeSpec

LOCK_PATIENCE = 15.0
"""Seconds to wait for another pool to let go of the log; one whose driver was killed takes a moment to end."""
LEASE_PATIENCE = 150.0
"""The same for a process that was restarted: NFS keeps the lock of a node that is gone for its lease, often 90 s."""


class LogError(WorldagenError, RuntimeError):
    """An episode log that cannot be used. The message names the file and the remedy."""


class EpisodeLog:
    """Append-only and owned by one process at a time. Keeps the place of each line in memory, not the results."""

    def __init__(self, path: Path, patience: float = LOCK_PATIENCE) -> None:
        """Open or create the log. Raises LogError if it is damaged, or another pool has it for longer than `patience`
        seconds; OSError if it cannot be written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.file = open(path, "a+b", buffering=0)  # noqa: SIM115  (open as long as the log is)
        self._lock(patience)
        self.end = 0
        self.places: dict[str, int] = {}
        self._read()

    def __len__(self) -> int:
        return len(self.places)

    def get(self, spec: EpisodeSpec) -> EpisodeResult | None:
        """The logged result of `spec`, or None."""
        place = self.places.get(spec.key)
        if place is None:
            return None
        with open(self.path, "rb") as file:
            file.seek(place)
            return EpisodeResult.from_dict(json.loads(file.readline())["result"])

    def append(self, result: EpisodeResult) -> None:
        """Add a finished episode and wait until it is on disk. After an OSError (disk full) the log is as before."""
        key = result.spec.key
        line = json.dumps({"key": key, "result": result.to_dict()}, separators=(",", ":")).encode() + b"\n"
        try:
            written = self.file.write(line)
            if written != len(line):
                raise OSError(f"{self.path}: only {written} of {len(line)} bytes could be written; is the disk full?")
            os.fsync(self.file.fileno())
        except OSError:
            self.file.truncate(self.end)
            raise
        self.places[key] = self.end
        self.end += len(line)

    def close(self) -> None:
        self.file.close()

    def _lock(self, patience: float) -> None:
        give_up = time.monotonic() + patience
        while True:
            try:
                return fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > give_up:
                    self.file.close()
                    raise LogError(f"{self.path} is in use by another pool; wait for it to end") from None
                time.sleep(0.2)

    def _read(self) -> None:
        with open(self.path, "rb") as file:  # buffered, as the one that is appended to is not
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self.file.truncate(self.end)
                    return
                try:
                    self.places[json.loads(line)["key"]] = self.end
                except (ValueError, KeyError, TypeError) as error:
                    raise LogError(f"{self.path}, line {number} is damaged ({error}); remove that line") from error
                self.end += len(line)
