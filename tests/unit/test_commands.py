"""Every command that the documents, and comments in configurations, show is one that the command line accepts."""

import re
import shlex
from pathlib import Path

import pytest

from worldagen.config import load

ROOT = Path(__file__).resolve().parents[2]
PLACES = ("docs/*.md", "checkpoints/*/README.md", "configs/*.yaml", "cluster/*.yaml")
DOCUMENTS = [ROOT / "README.md", *(path for place in PLACES for path in sorted(ROOT.glob(place)))]
CONFIGURED = ("collect_demos", "pretrain", "ttt_sweep", "study", "evaluate", "report")
"""Pipelines that take --config and settings."""


def commands(document: Path) -> list[list[str]]:
    """The words of each command of a configured pipeline that stands on a line of its own in `document`."""
    text = re.sub(r"\\\n#?", " ", document.read_text())
    start = r"^(?:#  )? *(?:ray job submit .* -- +)?"
    lines = re.findall(rf"{start}(python pipelines/(?:{'|'.join(CONFIGURED)})\.py .*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_name_configurations_and_settings_that_exist(document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for _, pipeline, *words in commands(document):
        configs = [words[index + 1] for index, word in enumerate(words) if word == "--config"]
        settings = [word for word in words if "=" in word and not word.endswith("=...")]
        assert (ROOT / pipeline).exists()
        load(configs, settings)


def test_commands_are_found() -> None:
    assert len(commands(DOCUMENTS[0])) >= 12
    assert len(commands(ROOT / "cluster" / "aws.yaml")) == 1
    assert all(commands(path) for path in ROOT.glob("configs/study*.yaml"))
    assert commands(ROOT / "docs" / "study.md")[1][2:4] == ["--config", "configs/libero.yaml"]
