"""pipelines/evaluate.py on one of CALVIN's chains, with a policy that knows nothing, through pool and server."""

from pathlib import Path

import pytest
import torch

from pipelines import evaluate
from tests.small import small_config
from worldagen.config import Config, load, to_dict
from worldagen.models import checkpoint
from worldagen.models.worldagen import WorldAgen


@pytest.fixture
def config(tmp_path: Path) -> Config:
    torch.manual_seed(0)
    checkpoint.save(WorldAgen(small_config()), tmp_path / "given", {})
    model = {name: value for name, value in to_dict(small_config()).items() if name != "preset"}
    return load(
        overrides=[
            *(f"model.{name}={value}" for name, value in model.items()),
            f"run_dir={tmp_path / 'run'}",
            f"checkpoint={tmp_path / 'given'}",
            "env.suite=calvin_d",
            "env.engine=native",
            "env.image_size=16",
            "evaluation.protocol=calvin_official",
            "evaluation.limit=1",
            "pool.workers=1",
        ]
    )


@pytest.mark.usefixtures("ray_cluster")
def test_a_chain_is_evaluated_and_called_a_part(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate.run(config)
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("calvin_d, native engine, tiny renderer, primitive assets") for line in lines)
    assert "  NOT the full protocol: only the first 1 of its 1000 chains" in lines
    assert any(line.startswith("base: 1 chains, average length 0.00 of 5 [0.00, ") for line in lines)
    assert any("1 in a row" in line and " 0/1 " in line for line in lines)
