"""A shipped checkpoint is small, tells where it comes from, and loads as exactly what its fingerprint says."""

import json
from pathlib import Path

import pytest
import torch

from tests.small import small_inputs, small_model
from worldagen.models import checkpoint
from worldagen.models.shipping import ship
from worldagen.models.weights import CheckpointError, base_state

PROVENANCE = {
    "identity": {
        "seed": 3,
        "pretrain": {"data": {"/home/me/runs/goal/demos": 1.0}},
        "files": {f"key{i}": [f"digest{i}", f"{i}.parquet"] for i in range(502)},
    },
    "date": "2026-11-22",
    "metrics": {"validation/arm_error": 0.1},
    "demonstrations": {"training": [f"key{i}" for i in range(500)], "held_out": ["b", "a"]},
    "config": {"run_dir": "/home/me/runs/goal", "env": {"assets_path": "assets"}},
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return checkpoint.save(small_model(), tmp_path / "runs" / "checkpoint", PROVENANCE)


@pytest.mark.parametrize(("dtype", "exact"), [("float16", 1e-3), ("bfloat16", 1e-2), ("float32", 0.0)])
def test_half_precision_loads_to_what_the_fingerprint_says(
    source: Path, tmp_path: Path, dtype: str, exact: float
) -> None:
    shipped = checkpoint.load(ship(source, tmp_path / "out", dtype))
    full = checkpoint.load(source)
    assert checkpoint.fingerprint(shipped) == checkpoint.fingerprint(tmp_path / "out")
    assert (checkpoint.fingerprint(shipped) == checkpoint.fingerprint(full)) == (dtype == "float32")
    assert {tensor.dtype for tensor in base_state(shipped).values()} == {torch.float32}
    for name, tensor in base_state(shipped).items():
        torch.testing.assert_close(tensor, base_state(full)[name], rtol=exact, atol=1e-7 if exact else 0)
    with torch.no_grad():
        arms = [model(**small_inputs(model)).arm for model in (shipped, full)]
    torch.testing.assert_close(*arms, rtol=0, atol=5 * exact)
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (tmp_path / "out", source)]
    assert sizes[0] < (0.6 if exact else 1.01) * sizes[1]


def test_the_history_stays_short_and_tells_no_paths_of_a_machine(source: Path, tmp_path: Path) -> None:
    provenance = checkpoint.describe(ship(source, tmp_path / "out"))["provenance"]
    assert provenance["date"] == "2026-11-22" and provenance["metrics"] == PROVENANCE["metrics"]
    assert provenance["shipped"] == {"weights": "float16", "made_from": checkpoint.fingerprint(source)}
    assert {name: each["episodes"] for name, each in provenance["demonstrations"].items()} == {
        "training": 500,
        "held_out": 2,
    }
    assert provenance["identity"]["files"]["episodes"] == 502
    assert provenance["identity"]["pretrain"]["data"] == {"goal/demos": 1.0}
    assert provenance["config"] == {"run_dir": "runs/goal", "env": {"assets_path": "assets"}}
    assert "/home" not in (tmp_path / "out" / "config.json").read_text()


def test_a_checkpoint_without_a_date_gets_that_of_its_weights(source: Path, tmp_path: Path) -> None:
    about = checkpoint.describe(source)
    del about["provenance"]["date"]
    (source / "config.json").write_text(json.dumps(about))
    assert checkpoint.describe(ship(source, tmp_path / "out"))["provenance"]["date"].startswith("20")


def test_nothing_is_overwritten_and_nothing_overflows(source: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(CheckpointError, match="out exists; delete it or name another folder"):
        ship(source, tmp_path / "out")
    model = small_model()
    model.offset.data[0] = 1e5
    checkpoint.save(model, source, PROVENANCE)
    with pytest.raises(CheckpointError, match=r"not finite as torch\.float16: offset"):
        ship(source, tmp_path / "large")
    assert not (tmp_path / "large").exists()
    ship(source, tmp_path / "large", "bfloat16")
