"""Training runs of seconds that several tests look at."""

import dataclasses
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from tests.small import small_config
from tests.synthetic import make_curtain, make_trajectory
from worldagen.config import Config, DemosConfig, EnvConfig, PretrainConfig
from worldagen.data.trajectories import load as load_trajectory
from worldagen.data.trajectories import save
from worldagen.data.windows import WindowDataset
from worldagen.models import checkpoint
from worldagen.models.worldagen import WorldAgen
from worldagen.training.loop import ALONE, train
from worldagen.training.objective import Worker
from worldagen.training.pretraining import plan, work
from worldagen.training.validation import validate

SETTINGS = PretrainConfig(
    steps=7, batch_size=8, learning_rate=3e-3, warmup_steps=2, validate_every=3, threads=1, precision="float32"
)
IDENTITY = {"pretrain": {"steps": 7}, "seed": 0}


class Killed(Exception):
    """Stands for the end of the process."""


def dataset() -> WindowDataset:
    return WindowDataset([make_trajectory(i, chunks=5) for i in range(3)], chunks=2)


def run_training(
    path: Path, settings: PretrainConfig = SETTINGS, kill_at: int = 0, seed: int = 0, worker: Worker = ALONE
) -> WorldAgen:
    """Train a small model; with `kill_at`, die right after the state of that step was stored."""
    torch.manual_seed(0)
    model = WorldAgen(small_config())

    def on_record(record: dict[str, float]) -> None:
        if record["step"] == kill_at:
            raise Killed

    train(
        model,
        dataset(),
        settings,
        seed=seed,
        state_path=path,
        identity=IDENTITY,
        validate=lambda model: validate(model, dataset(), threshold=0.02),
        on_record=on_record,
        worker=worker,
    )
    return model


def curtain_config(folder: Path) -> Config:
    """A run folder with demonstrations of a moving curtain."""
    for index in range(24):
        save(make_curtain(index), folder / "demos" / "trajectories" / f"{index}.parquet")
    model = small_config(image_size=32, hidden=64, heads=4, mlp=128, vision_width=32)
    return Config(
        run_dir=str(folder),
        env=EnvConfig(image_size=32),
        demos=DemosConfig(),
        model=model,
        pretrain=dataclasses.replace(SETTINGS, steps=100, batch_size=16, warmup_steps=10, validate_every=50),
    )


def trained(config: Config, run_dir: Path, **settings: object) -> WorldAgen:
    pretrain = dataclasses.replace(config.pretrain, **settings)
    run = plan(dataclasses.replace(config, run_dir=str(run_dir), demos_dir=config.run_dir, pretrain=pretrain))
    work(run)
    return checkpoint.load(run.checkpoint)


def invert(path: Path) -> None:
    """The same episode with other pictures."""
    episode = load_trajectory(path)
    save(dataclasses.replace(episode, primary=255 - episode.primary), path)


@contextmanager
def full_disk() -> Iterator[None]:
    """Every file ends after 20 kB, as on a disk that is nearly full; afterwards there is room again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
