"""CALVIN's datasets (task_D_D, task_ABC_D, ...): one .npz per frame, sentences for spans of frames.

Facts, from github.com/mees/calvin (dataset/README.md) and calvin_env's renderer: `rel_actions` of frame t leads to
frame t + 1; a span (start, end) of `lang_annotations/auto_lang_ann.npy` holds both of its ends; `robot_obs` is tcp
position, x-y-z Euler angles, opening, seven joints, gripper command; gripper commands are -1 closed, +1 open, as ours;
images are upright. `scene_info.npy` says which frames show which scene, in training folders only.
"""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from worldagen.data.demonstrations import IMAGE, Demonstration, Frames, check_finite, check_form, numbers
from worldagen.data.safe_pickle import load_plain
from worldagen.data.trajectories import DataError
from worldagen.envs.calvin.engine import SCENES
from worldagen.envs.calvin.env import axis_angle
from worldagen.types import ACTION_SIZE

NO_INSTRUCTION = "no lang"
"""The authors' sentence for play data."""
_FORMS = {"rgb_static": IMAGE, "rgb_gripper": IMAGE, "robot_obs": numbers(15), "rel_actions": numbers(ACTION_SIZE)}
_OBSERVED, _ACTIONS = ("rgb_static", "rgb_gripper", "robot_obs"), ("rel_actions",)
_SUITES = {f"calvin_scene_{suite[-1].upper()}": suite for suite in SCENES}

Span = tuple[int, int, str, str]
"""First frame, last frame, task, sentence."""


class CalvinSplit:
    """The demonstrations of one split, e.g. `task_ABC_D/training`.

    `play` reads what no sentence describes: the rest of each recording in `ep_start_end_ids.npy`, annotated or not.
    `suite` (`calvin_a` to `calvin_d`) is the scene of the whole split, instead of what `scene_info.npy` says.
    Raises DataError when the folder holds no frames or no spans of the kind wanted, or does not say which scene one
    shows.
    """

    published_delay = 1  # the authors' loader takes action t + 1 with frame t

    def __init__(self, folder: str | Path, play: bool = False, suite: str = "") -> None:
        if suite and suite not in SCENES:
            raise DataError(f"CALVIN has no scene {suite!r}; it has {', '.join(SCENES)}")
        self.folder = Path(folder)
        self._name, self._digits = _naming(self.folder)
        self._scenes = [(suite, 0, sys.maxsize)] if suite else _scenes(self.folder)
        spans = [span for span in _spans(self.folder, play) if span[1] > span[0]]
        self._starts = [start for start, _, _, _ in spans]
        self.demonstrations = [
            Demonstration(f"{self.folder} frames {start} to {end}", self._suite(start), task, sentence, end - start)
            for start, end, task, sentence in spans
        ]
        if not self.demonstrations:
            raise DataError(f"{self.folder} has no {'play' if play else 'annotated'} span of two frames or more")

    def frames(self, index: int, wanted: Sequence[int]) -> Frames:
        loaded = [self._read(self._starts[index] + frame, _OBSERVED) for frame in wanted]
        for frame, content in zip(wanted, loaded, strict=True):
            self._check_sizes(self._starts[index] + frame, content, loaded[0])
        return Frames(
            primary=np.stack([frame["rgb_static"] for frame in loaded]),
            wrist=np.stack([frame["rgb_gripper"] for frame in loaded]),
            state=np.stack([_state(frame["robot_obs"]) for frame in loaded]),
        )

    def actions(self, index: int, first: int, last: int) -> np.ndarray:
        start = self._starts[index]
        read = [self._read(start + frame, _ACTIONS)["rel_actions"] for frame in range(first, last)]
        return np.array(read, np.float32).reshape(-1, ACTION_SIZE)

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
                content = {key: file[key] for key in keys}
        except FileNotFoundError as error:
            raise DataError(f"frame {frame} is missing: there is no {path}") from error
        except KeyError as error:
            raise DataError(f"{path} (frame {frame}) has no {error}") from error
        except Exception as error:  # what a damaged header makes zipfile, zlib and numpy raise has no common class
            raise DataError(f"{path} (frame {frame}) is damaged: {error!r}; fetch it again") from error
        for key, array in content.items():
            check_form(array, _FORMS[key], f"{path} (frame {frame}): {key}")
            if _FORMS[key] is not IMAGE:
                check_finite(array[None], f"{path}: {key}", [frame])
        return content

    def _suite(self, frame: int) -> str:
        found = next((suite for suite, first, last in self._scenes if first <= frame <= last), None)
        if found is None:
            known = ", ".join(f"{suite} in {first} to {last}" for suite, first, last in self._scenes) or "there is none"
            raise DataError(
                f"{self.folder}: scene_info.npy does not say which scene frame {frame} shows ({known}); name the scene "
                "of the whole split with --suite of pipelines/convert_data.py (official validation folders: calvin_d)"
            )
        return found


def _state(robot_obs: np.ndarray) -> np.ndarray:
    return np.concatenate([robot_obs[:3], axis_angle(robot_obs[3:6]), robot_obs[14:]]).astype(np.float32)


def _naming(folder: Path) -> tuple[str, int]:
    """Prefix and number of digits of the frames' names, which differ between releases."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; give the folder of one split, e.g. task_ABC_D/training")
    with os.scandir(folder) as entries:  # a split has up to millions of files: not to be listed
        first = next((entry.name for entry in entries if re.fullmatch(r"[^.].*\.npz", entry.name)), "")
    match = re.fullmatch(r"(.*?)(\d+)\.npz", first)
    if match is None:
        raise DataError(f"{folder} holds no frames (episode_0000000.npz ...); give the folder of one split")
    return match[1], len(match[2])


def _spans(folder: Path, play: bool) -> list[Span]:
    annotations = _annotations(folder)
    if annotations is None and not play:
        raise DataError(
            f"{folder} has no lang_annotations/auto_lang_ann.npy; pipelines/convert_data.py --play converts what has "
            "no sentence"
        )
    annotated = list(_annotated_spans(annotations)) if annotations else []
    return list(_play_spans(folder, annotated)) if play else annotated


def _annotations(folder: Path) -> Path | None:
    places = (folder / "lang_annotations" / "auto_lang_ann.npy", folder / "auto_lang_ann.npy")
    return next((path for path in places if path.exists()), None)


def _annotated_spans(path: Path) -> Iterator[Span]:
    found = load_plain(path)
    try:
        spans, language = found["info"]["indx"], found["language"]
        for (start, end), task, sentence in zip(spans, language["task"], language["ann"], strict=True):
            yield int(start), int(end), str(task), str(sentence)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path} has not the form of CALVIN's annotations ({error!r}); fetch it again") from error


def _play_spans(folder: Path, annotated: Sequence[Span]) -> Iterator[Span]:
    """The recordings, without the spans that a sentence describes."""
    described = sorted((start, end) for start, end, _, _ in annotated)
    for start, end in _recordings(folder):
        first = start
        for begin, finish in described:
            if start <= begin and finish <= end:
                if begin > first:
                    yield first, begin, "play", NO_INSTRUCTION
                first = max(first, finish)
        if end > first:
            yield first, end, "play", NO_INSTRUCTION


def _recordings(folder: Path) -> list[list[int]]:
    """First and last frame of each recording."""
    path = folder / "ep_start_end_ids.npy"
    found = load_plain(path)
    if not isinstance(found, np.ndarray) or found.shape[1:] != (2,) or found.dtype.kind not in "iu":
        given = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise DataError(
            f"{path} holds {given}, expected the first and last frames, int64 (recordings, 2); fetch it again"
        )
    return found.tolist()


def _scenes(folder: Path) -> list[tuple[str, int, int]]:
    """(suite, first frame, last frame) of each scene that the split names."""
    path = folder / "scene_info.npy"
    if not path.exists():
        return []
    found = load_plain(path)
    try:
        return [(_SUITES[name], int(first), int(last)) for name, (first, last) in found.items()]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path} has not the form {{'calvin_scene_A': [first frame, last frame], ...}} ({error!r}); fetch it "
            "again, or name the scene of the whole split with --suite"
        ) from error
