"""Training in several processes without Ray: workers that disagree stop."""

from pathlib import Path

import pytest
import torch

from tests.short_training import Killed, run_training
from worldagen.training.objective import Worker
from worldagen.training.state import TrainingError


def start_at_different_steps(rank: int, folder: str) -> None:
    """One of two workers, each with a folder of its own, of which only the first one's holds a state."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    with pytest.raises(TrainingError, match=r"different steps, \[3, 0\] by rank: .*storage that all nodes share"):
        run_training(Path(folder) / str(rank) / "state.pt", worker=Worker(rank, 2))
    torch.distributed.destroy_process_group()


def test_workers_that_would_go_on_from_different_steps_stop(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        run_training(tmp_path / "0" / "state.pt", kill_at=3)
    torch.multiprocessing.spawn(start_at_different_steps, (str(tmp_path),), nprocs=2)
