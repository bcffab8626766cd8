"""One recorded episode = one Parquet file: a row per frame, PNG bytes of both images, the actions that follow it.

The file's schema metadata holds one JSON object under `worldagen`: format version, episode spec, instruction, success.
Imports no torch, so simulator processes can write trajectories. PNG is lossless: what is loaded is what was recorded.
"""

import hashlib
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from worldagen.atomic import fresh_file
from worldagen.errors import WorldagenError
from worldagen.types import ACTION_SIZE, STATE_SIZE, EpisodeSpec, Trajectory

FORMAT_VERSION = 1
_METADATA_KEY = b"worldagen"
_PNG_COMPRESSION = 1  # level 1 encodes several times faster than the default 6 for files about a tenth larger


Sizes = tuple[tuple[int, ...], tuple[int, ...], int]


class DataError(WorldagenError, ValueError):
    """Recorded data that cannot be used. The message names the file, what is wrong with it and what to do."""


@dataclass(frozen=True)
class TrajectoryInfo:
    """What a trajectory file says of itself, read without decoding its images."""

    path: Path
    spec: EpisodeSpec
    instruction: str
    success: bool
    chunks: int
    """T: action chunks in the episode (the file holds T + 1 frames)."""
    actions_per_chunk: int
    image_size: tuple[int, int]
    """Height and width of the primary image, in pixels."""
    digest: str
    """Of the whole file: 16 hexadecimal characters of its SHA-256."""

    @property
    def name(self) -> str:
        """Where it comes from, for messages."""
        return str(self.path)

    @property
    def key(self) -> str:
        return self.spec.key

    @property
    def task(self) -> str:
        return self.spec.last_task

    @property
    def windows(self) -> int:
        """One starts at every chunk."""
        return self.chunks


class PngFrames:
    """The images of one camera in a file, decoded when they are looked at: as far as needed an array (n, H, W, 3)."""

    dtype = np.dtype(np.uint8)

    def __init__(self, encoded: list[bytes], name: str, path: Path) -> None:
        self._encoded, self._name, self._path = encoded, name, path
        with _opened(encoded[0], f"{name} image of frame 0", path) as first:
            self.shape = (len(encoded), first.height, first.width, 3)
        self.nbytes = math.prod(self.shape)

    def __len__(self) -> int:
        return len(self._encoded)

    def __getitem__(self, rows: slice | np.ndarray) -> np.ndarray:
        images = [
            _decode(self._encoded[row], f"{self._name} image of frame {row}", self._path)
            for row in np.arange(len(self))[rows]
        ]
        sizes = {image.shape for image in images}
        if len(sizes) > 1:
            raise _damaged(self._path, f"its {self._name} images have different sizes {sorted(sizes)}")
        return np.stack(images)


def save(trajectory: Trajectory, path: str | Path) -> None:
    """Write `trajectory` to `path` atomically: a reader sees the whole file or none. DataError if it is unsound."""
    path = Path(path)
    fault = _fault(trajectory)
    if fault:
        raise DataError(f"cannot save the trajectory {path}: {fault}")
    with fresh_file(path) as temporary:
        pq.write_table(_table(trajectory), temporary, compression="zstd", write_page_checksum=True)


def load(path: str | Path, decode: bool = True) -> Trajectory:
    """Read one trajectory. Without `decode` its images are `PngFrames`, which cost only what is looked at.

    Raises DataError for a missing, damaged or foreign file.
    """
    path = Path(path)
    with _reading(path) as file:
        header = _header(file, path)
        try:
            table = file.read()
            trajectory = _trajectory(table, header, path)
            if decode:
                trajectory = decoded(trajectory)
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise error if isinstance(error, DataError) else _damaged(path, str(error)) from error
    fault = _fault(trajectory)
    if fault:
        raise _damaged(path, fault)
    return trajectory


def decoded(trajectory: Trajectory) -> Trajectory:
    """The trajectory with all of its images decoded. Raises DataError naming one that is damaged."""
    return replace(trajectory, primary=trajectory.primary[:], wrist=trajectory.wrist[:])


def info(path: str | Path) -> TrajectoryInfo:
    """Read what the file says of itself, and its digest; costs about a millisecond. Raises as `load` does."""
    path = Path(path)
    with _reading(path) as file:
        header = _header(file, path)
        rows = file.metadata.num_rows
    return TrajectoryInfo(
        path=path,
        spec=EpisodeSpec.from_dict(header["spec"]),
        instruction=header["instruction"],
        success=header["success"],
        chunks=rows - 1,
        actions_per_chunk=header["actions_per_chunk"],
        image_size=(header["image_size"][0], header["image_size"][1]),
        digest=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
    )


def sizes(trajectory: Trajectory) -> Sizes:
    """Image size, wrist image size and actions per chunk."""
    return trajectory.primary.shape[1:3], trajectory.wrist.shape[1:3], trajectory.actions.shape[1]


def check_sizes(trajectory: Trajectory, first: Sizes) -> None:
    """Raise DataError when the windows of `trajectory` cannot share a batch with those of the first episode."""
    if sizes(trajectory) != first:
        raise DataError(
            f"episode {trajectory.spec.key} has (image size, wrist image size, actions per chunk) "
            f"{sizes(trajectory)}, the first one {first}; use episodes recorded alike"
        )


def encode(image: np.ndarray) -> bytes:
    """PNG bytes of an image: uint8 (H, W, 3)."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG", compress_level=_PNG_COMPRESSION)
    return buffer.getvalue()


def _table(trajectory: Trajectory) -> pa.Table:
    columns = {
        "primary": pa.array([encode(image) for image in trajectory.primary], pa.binary()),
        "wrist": pa.array([encode(image) for image in trajectory.wrist], pa.binary()),
        "state": _rows(trajectory.state),
        "actions": _rows(_with_empty_last(trajectory.actions)),
        "intended": _rows(_with_empty_last(trajectory.intended)),
        "count": pa.array(_with_empty_last(trajectory.counts), pa.int32()),
    }
    header = {
        "format_version": FORMAT_VERSION,
        "spec": asdict(trajectory.spec),
        "instruction": trajectory.instruction,
        "success": bool(trajectory.success),
        "actions_per_chunk": trajectory.actions.shape[1],
        "image_size": trajectory.primary.shape[1:3],
    }
    return pa.table(columns).replace_schema_metadata({_METADATA_KEY: json.dumps(header)})


def _trajectory(table: pa.Table, header: dict[str, Any], path: Path) -> Trajectory:
    actions = _array(table["actions"])
    intended = _array(table["intended"])
    return Trajectory(
        spec=EpisodeSpec.from_dict(header["spec"]),
        instruction=header["instruction"],
        primary=cast(np.ndarray, PngFrames(table["primary"].to_pylist(), "primary", path)),
        wrist=cast(np.ndarray, PngFrames(table["wrist"].to_pylist(), "wrist", path)),
        state=_array(table["state"]),
        actions=actions[:-1].reshape(len(actions) - 1, -1, ACTION_SIZE),
        intended=intended[:-1].reshape(len(intended) - 1, -1, ACTION_SIZE),
        counts=table["count"].to_numpy()[:-1].astype(np.int32),
        success=header["success"],
    )


def _reading(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise DataError(f"there is no trajectory {path}; was it deleted? Run the same command again")
    try:
        return pq.ParquetFile(path, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, str(error)) from error


def _header(file: pq.ParquetFile, path: Path) -> dict[str, Any]:
    text = (file.schema_arrow.metadata or {}).get(_METADATA_KEY)
    if text is None:
        raise DataError(f"{path} is Parquet, but not a worldagen trajectory; move it out of the folder")
    try:
        header = json.loads(text)
        version = header["format_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, f"its metadata is unreadable ({error})") from error
    if version != FORMAT_VERSION:
        raise DataError(f"{path} has trajectory format {version}, expected {FORMAT_VERSION}; record it again")
    return header


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"{path} is damaged: {' '.join(reason.split())}; delete it and run the same command again")


def _fault(trajectory: Trajectory) -> str:
    """What is wrong with a trajectory, or an empty string."""
    chunks = len(trajectory.counts)
    if chunks == 0 or trajectory.actions.ndim != 3:
        return f"expected at least one action chunk (T, a, 7), got actions of shape {trajectory.actions.shape}"
    size = trajectory.actions.shape[1]
    image, wrist = trajectory.primary.shape[1:], trajectory.wrist.shape[1:]
    expected: dict[str, tuple[tuple[int, ...], Any]] = {
        "primary": ((chunks + 1, *image), np.uint8),
        "wrist": ((chunks + 1, *wrist), np.uint8),
        "state": ((chunks + 1, STATE_SIZE), np.float32),
        "actions": ((chunks, size, ACTION_SIZE), np.float32),
        "intended": ((chunks, size, ACTION_SIZE), np.float32),
        "counts": ((chunks,), np.int32),
    }
    for name, (shape, dtype) in expected.items():
        array = getattr(trajectory, name)
        if array.shape != shape or array.dtype != dtype:
            return f"{name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {shape}"
    for shape in (image, wrist):
        if len(shape) != 3 or shape[2] != 3:
            return f"images have shape {shape}, expected (height, width, 3)"
    for name in ("state", "actions", "intended"):
        bad = ~np.isfinite(getattr(trajectory, name)).reshape(len(getattr(trajectory, name)), -1).all(axis=1)
        if bad.any():
            return f"{name} of frame {int(bad.argmax())} is not finite"
    if trajectory.counts.min() < 1 or trajectory.counts.max() > size:
        return f"counts lie in [{trajectory.counts.min()}, {trajectory.counts.max()}], expected [1, {size}]"
    return ""


def _with_empty_last(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.zeros_like(values[:1])])


def _rows(values: np.ndarray) -> pa.FixedSizeListArray:
    flat = np.ascontiguousarray(values, dtype=np.float32).reshape(len(values), -1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), flat.shape[1])


def _array(column: pa.ChunkedArray) -> np.ndarray:
    values = column.combine_chunks()
    return values.flatten().to_numpy(zero_copy_only=False).reshape(len(values), -1).astype(np.float32)


def _decode(data: bytes, what: str, path: Path) -> np.ndarray:
    with _opened(data, what, path) as image:
        return np.asarray(image.convert("RGB"))


@contextmanager
def _opened(data: bytes, what: str, path: Path) -> Iterator[Image.Image]:
    try:
        with Image.open(io.BytesIO(data)) as image:
            yield image
    except (OSError, SyntaxError, TypeError) as error:
        raise _damaged(path, f"the {what} cannot be decoded ({error})") from error
