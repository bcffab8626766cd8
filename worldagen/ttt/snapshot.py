"""What a learner leaves at a step count, in the folder of its adapter version. Read without torch."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from worldagen.arms import CurvePoint, Measurement

SNAPSHOT_FILE = "snapshot.json"
PREDICTIONS_FILE = "predictions.npz"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """An adapter after so many steps, and how good a world model it makes."""

    steps: int
    measurement: Measurement
    training_loss: tuple[float, ...]
    """Observation loss of each step so far."""
    seconds: float
    """Wall clock of encoding and of all steps so far, and of measuring only where early stopping asks for it."""
    curve: tuple[CurvePoint, ...] = ()
    """What was measured after each step so far."""
    stopped: int = 0
    """Best step, which the adapter was put back to because none was better for long; 0: it did not stop early."""

    def write(self, folder: Path) -> None:
        (folder / SNAPSHOT_FILE).write_text(json.dumps(asdict(self), indent=1))


def read_snapshot(folder: Path) -> Snapshot | None:
    """The snapshot in `folder`, or None when there is none. Folders appear whole or not at all."""
    path = folder / SNAPSHOT_FILE
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    return Snapshot(
        **{
            **data,
            "measurement": Measurement(**data["measurement"]),
            "training_loss": tuple(data["training_loss"]),
            "curve": tuple(CurvePoint.from_dict(point) for point in data["curve"]),
        }
    )
