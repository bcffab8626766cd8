"""CALVIN's datasets (task_D_D, task_ABC_D, ...): one .npz per frame, sentences for spans of frames.

Facts, from github.com/mees/calvin (dataset/README.md) and calvin_env's renderer: `rel_actions` of frame t leads to
frame t + 1; a span (start, end) of `lang_annotations/auto_lang_ann.npy` holds both of its ends; `robot_obs` is tcp
position, x-y-z Euler angles, opening, seven joints, gripper command; gripper commands are -1 closed, +1 open, as ours;
images are upright. `play=True` reads what no sentence describes: the rest of each recording in `ep_start_end_ids.npy`.
"""

import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from worldagen.data.demonstrations import Demonstration, Frames, checked
from worldagen.data.safe_pickle import load_plain
from worldagen.data.trajectories import DataError
from worldagen.envs.calvin.env import axis_angle

NO_INSTRUCTION = "no lang"
"""The authors' sentence for play data."""
_KEYS = ("rgb_static", "rgb_gripper", "robot_obs", "rel_actions")


class CalvinSplit:
    """The demonstrations of one split, e.g. `task_ABC_D/training`.

    Raises DataError when the folder holds no frames or no annotations.
    """

    published_delay = 1  # the authors' loader takes action t + 1 with frame t

    def __init__(self, folder: str | Path, play: bool = False) -> None:
        self.folder = Path(folder)
        self._name, self._digits = _naming(self.folder)
        self._scenes = _scenes(self.folder)
        spans = list(_play_spans(self.folder) if play else _annotated_spans(self.folder))
        spans = [span for span in spans if span[1] > span[0]]
        self._starts = [start for start, _, _, _ in spans]
        self.demonstrations = [
            Demonstration(f"{self.folder} frames {start} to {end}", self._scene(start), task, sentence, end - start)
            for start, end, task, sentence in spans
        ]
        if not self.demonstrations:
            raise DataError(f"{self.folder} has no {'play' if play else 'annotated'} span of two frames or more")

    def frames(self, index: int, wanted: Sequence[int]) -> Frames:
        loaded = [self._read(self._starts[index] + frame, _KEYS[:3]) for frame in wanted]
        for frame, content in zip(wanted, loaded, strict=True):
            self._check_sizes(self._starts[index] + frame, content, loaded[0])
        return Frames(
            primary=np.stack([frame["rgb_static"] for frame in loaded]),
            wrist=np.stack([frame["rgb_gripper"] for frame in loaded]),
            state=np.stack([_state(frame["robot_obs"]) for frame in loaded]),
        )

    def actions(self, index: int, first: int, last: int) -> np.ndarray:
        start = self._starts[index]
        read = [self._read(start + frame, _KEYS[3:])["rel_actions"] for frame in range(first, last)]
        return checked(np.array(read, np.float32).reshape(-1, 7), str(self.folder), start + first)

    def _check_sizes(self, frame: int, content: dict[str, np.ndarray], first: dict[str, np.ndarray]) -> None:
        for key, array in content.items():
            if array.shape != first[key].shape:
                raise DataError(
                    f"{self._path(frame)} (frame {frame}): {key} has shape {array.shape}, in the frames before it "
                    f"{first[key].shape}; a demonstration has images of one size"
                )

    def _path(self, frame: int) -> Path:
        return self.folder / f"{self._name}{frame:0{self._digits}d}.npz"

    def _read(self, frame: int, keys: Sequence[str]) -> dict[str, np.ndarray]:
        path = self._path(frame)
        try:
            with np.load(path, allow_pickle=False) as file:
                return {key: file[key] for key in keys}
        except FileNotFoundError as error:
            raise DataError(f"frame {frame} is missing: there is no {path}") from error
        except KeyError as error:
            raise DataError(f"{path} (frame {frame}) has no {error}") from error
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"{path} (frame {frame}) is damaged: {error}; fetch it again") from error

    def _scene(self, frame: int) -> str:
        return next((scene for scene, first, last in self._scenes if first <= frame <= last), "calvin_d")


def _state(robot_obs: np.ndarray) -> np.ndarray:
    return np.concatenate([robot_obs[:3], axis_angle(robot_obs[3:6]), robot_obs[14:]]).astype(np.float32)


def _naming(folder: Path) -> tuple[str, int]:
    """Prefix and number of digits of the frames' names, which differ between releases."""
    first = next(folder.glob("*.npz"), None)
    match = re.fullmatch(r"(.*?)(\d+)", first.stem) if first else None
    if match is None:
        raise DataError(f"{folder} holds no frames (episode_0000000.npz ...); give the folder of one split")
    return match[1], len(match[2])


def _annotated_spans(folder: Path) -> Iterator[tuple[int, int, str, str]]:
    """(first frame, last frame, task, sentence) of each annotation."""
    path = folder / "lang_annotations" / "auto_lang_ann.npy"
    path = path if path.exists() else folder / "auto_lang_ann.npy"
    if not path.exists():
        raise DataError(f"{folder} has no lang_annotations/auto_lang_ann.npy; use play=True for data without sentences")
    found = load_plain(path)
    try:
        spans, language = found["info"]["indx"], found["language"]
        for (start, end), task, sentence in zip(spans, language["task"], language["ann"], strict=True):
            yield int(start), int(end), str(task), str(sentence)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} has not the form of CALVIN's annotations ({error!r})") from error


def _play_spans(folder: Path) -> Iterator[tuple[int, int, str, str]]:
    """The recordings, without the spans that a sentence describes."""
    annotated = sorted((start, end) for start, end, _, _ in _annotated_spans(folder))
    for start, end in load_plain(folder / "ep_start_end_ids.npy").tolist():
        first = start
        for begin, finish in annotated:
            if start <= begin and finish <= end:
                if begin > first:
                    yield first, begin, "play", NO_INSTRUCTION
                first = max(first, finish)
        if end > first:
            yield first, end, "play", NO_INSTRUCTION


def _scenes(folder: Path) -> list[tuple[str, int, int]]:
    """(suite, first frame, last frame), where the split says which scene was recorded when; scene D elsewhere."""
    path = folder / "scene_info.npy"
    if not path.exists():
        return []
    found: dict[str, Any] = load_plain(path)
    return [(f"calvin_{name[-1].lower()}", int(span[0]), int(span[1])) for name, span in found.items()]
