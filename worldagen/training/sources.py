"""What training reads: one or more folders, each of our own episodes or of demonstrations as CALVIN and LIBERO publish
them, cut into windows of the same tensors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch

from worldagen.config import Config, ConfigError, ModelConfig
from worldagen.data.demonstrations import StepWindows
from worldagen.data.episodes import (
    CACHE_BYTES,
    EpisodeFiles,
    check_alike,
    check_distinct,
    find_demonstrations,
    hold_out,
)
from worldagen.data.recordings import Recording, find_recordings, is_recorded, open_recorded
from worldagen.data.trajectories import DataError, TrajectoryInfo, load, sizes
from worldagen.data.windows import Window, WindowBatch, WindowDataset, Windows, collate
from worldagen.models.pixels import resize
from worldagen.tracking.progress import progress

Episodes = list[TrajectoryInfo] | list[Recording]
"""Of one folder."""


@dataclass(frozen=True)
class Source:
    """One folder, split."""

    training: Episodes
    held_out: Episodes


def find_sources(config: Config, folders: Sequence[str]) -> list[Source]:
    """The episodes of each folder, split into training and held-out ones.

    Raises DataError or ConfigError when they cannot train `config.model`.
    """
    found = [_find(config, Path(folder).expanduser().absolute()) for folder in folders]
    everything = [episode for episodes in found for episode in episodes]
    check_distinct(everything)
    if config.pretrain.cache_vision:
        check_alike(cast(list[TrajectoryInfo], everything))
    return [_split(config, episodes) for episodes in found]


def check_episodes(sources: Sequence[Source], alike: bool = False) -> None:
    """Find what is damaged or does not fit before anything starts: read each of our episodes whole, and of each
    recording, of which there may be hundreds of gigabytes, the first and the last chunk. Raises DataError.

    `alike` asks for one size of images in all folders, not only within each.
    """
    episodes = [[*source.training, *source.held_out] for source in sources]
    if alike:
        episodes = [[episode for each in episodes for episode in each]]
    checks = (done for each in episodes for done in _checks(cast(Episodes, each)))
    for _ in progress(checks, sum(map(len, episodes)), "checking demonstrations", "episode"):
        pass


def cut_windows(sources: Sequence[Episodes], model: ModelConfig, readers: int = 1) -> Windows:
    """The windows of all sources, one source after the other. Our episodes' images are kept in memory up to
    CACHE_BYTES in all `readers`, which are processes that each keep their own."""
    kept = [sum(episode.windows for episode in _ours(episodes)) for episodes in sources]
    parts = [
        _windows(episodes, model.chunks, CACHE_BYTES * windows // (readers * max(1, sum(kept))))
        for episodes, windows in zip(sources, kept, strict=True)
    ]
    return parts[0] if len(parts) == 1 else JoinedWindows(parts, model.image_size)


class JoinedWindows:
    """Windows of several sources, one after the other. As their images may differ in size, they are resized here, by
    what the model would do itself (`pixels.resize`), which changes nothing."""

    def __init__(self, parts: Sequence[Windows], image_size: int) -> None:
        self.parts, self.image_size = parts, image_size
        self._ends = np.cumsum([len(part) for part in parts])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Window:
        part = int(np.searchsorted(self._ends, index, side="right"))
        window = self.parts[part][index - int(self._ends[part]) + len(self.parts[part])]
        primary, wrist = (
            resize(torch.from_numpy(images), self.image_size).numpy() for images in (window.primary, window.wrist)
        )
        return replace(window, primary=primary, wrist=wrist)

    def batch(self, indices: Sequence[int] | np.ndarray) -> WindowBatch:
        """The windows `indices` as one batch."""
        return collate([self[int(index)] for index in indices])


def _find(config: Config, folder: Path) -> Episodes:
    model, pretrain = config.model, config.pretrain
    if folder.is_dir() and is_recorded(folder):
        if pretrain.cache_vision:
            raise ConfigError(
                f"pretrain.cache_vision keeps frames of our own episodes only, but {folder} holds CALVIN's or LIBERO's "
                "files; convert them with pipelines/convert_data.py, or set it to false"
            )
        return find_recordings(folder, config.env.tasks, model.actions_per_chunk, pretrain.pairing)
    episodes = find_demonstrations(folder, config.env.tasks)
    if pretrain.pairing != "exact":
        raise ConfigError(
            f"pretrain.pairing={pretrain.pairing} is for CALVIN's and LIBERO's own files, but {folder} holds our "
            "episodes, whose frames and actions are paired exactly; set it to exact"
        )
    if (actions := episodes[0].actions_per_chunk) != model.actions_per_chunk:
        raise ConfigError(
            f"the demonstrations in {folder} have {actions} actions per chunk, but model.actions_per_chunk="
            f"{model.actions_per_chunk}; set it to {actions} or record others"
        )
    return episodes


def _split(config: Config, episodes: Episodes) -> Source:
    settings = config.pretrain
    split = hold_out(episodes, settings.validation_fraction, config.seed, settings.episodes_per_task or None)
    return Source(*cast(tuple[Episodes, Episodes], split))


def _windows(episodes: Episodes, chunks: int, cache_bytes: int) -> Windows:
    if ours := _ours(episodes):
        files = EpisodeFiles(ours, cache_bytes)
        return WindowDataset(files, chunks, files.lengths)
    return _cut(cast(list[Recording], episodes), chunks)


def _ours(episodes: Episodes) -> list[TrajectoryInfo]:
    """The same episodes if they are ours, else none."""
    return [episode for episode in episodes if isinstance(episode, TrajectoryInfo)]


def _cut(recordings: Sequence[Recording], chunks: int) -> StepWindows:
    first, chosen = recordings[0], [recording.index for recording in recordings]
    return StepWindows(open_recorded(first.folder), chunks, first.actions_per_chunk, first.pairing, chosen)


def _checks(episodes: Episodes) -> Iterator[None]:
    """Check one by one."""
    if ours := _ours(episodes):
        expected = sizes(load(ours[0].path))
        for episode in ours:
            if (found := sizes(load(episode.path))) != expected:
                raise DataError(
                    f"{episode.path} has (image size, wrist image size, actions per chunk) {found}, but "
                    f"{ours[0].path} {expected}; record them alike, or keep them in folders of their own"
                )
            yield
        return
    dataset, end = _cut(cast(list[Recording], episodes), chunks=1), 0
    for recording in episodes:
        begin, end = end, end + recording.windows
        dataset.batch([begin, end - 1])
        yield
