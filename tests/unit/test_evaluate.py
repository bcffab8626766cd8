"""What pipelines/evaluate.py refuses before anything starts."""

from pathlib import Path

import pytest

from pipelines.evaluate import given_adapter
from worldagen.config import ConfigError, load


@pytest.mark.parametrize(
    ("about", "weights", "words"),
    [
        (None, True, "no adapter.json"),
        ('{"base": "0123"}', False, "no adapter.safetensors"),
        ('{"base": "4567"}', True, r"was made for other weights \(4567, here 0123\)"),
        ('{"base": "01', True, "adapter.json is damaged"),
        ("[]", True, "adapter.json is damaged"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_refused(
    tmp_path: Path, about: str | None, weights: bool, words: str
) -> None:
    if about:
        (tmp_path / "adapter.json").write_text(about)
    if weights:
        (tmp_path / "adapter.safetensors").touch()
    with pytest.raises(ConfigError, match=words):
        given_adapter(load(overrides=[f"evaluation.adapter={tmp_path}"]), "0123")


def test_an_adapter_of_these_weights_is_taken(tmp_path: Path) -> None:
    (tmp_path / "adapter.json").write_text('{"base": "0123"}')
    (tmp_path / "adapter.safetensors").touch()
    assert given_adapter(load(overrides=[f"evaluation.adapter={tmp_path}"]), "0123") == tmp_path
