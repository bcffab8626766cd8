"""The results that docs/study keeps are of the configurations and the checkpoints that are shipped."""

import tarfile
from pathlib import Path

import pytest

from worldagen.config import load
from worldagen.models.checkpoint import fingerprint
from worldagen.results import SweepResults
from worldagen.run_folder import open_run_folder
from worldagen.study.plan import setting_configs
from worldagen.study.summary import load_study

ROOT = Path(__file__).resolve().parents[2]
KEPT = {"calvin": ("calvin", "study_calvin")}
"""Folder in docs/study: checkpoint, which has a configuration of the same name, and the study's own configuration."""


@pytest.fixture(params=KEPT)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, SweepResults], str]:
    """What an archive holds once it is unpacked where the study's command looks for it, and the checkpoint."""
    checkpoint, name = KEPT[request.param]
    with tarfile.open(ROOT / "docs" / "study" / request.param / "results.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    config = load(
        [ROOT / "configs" / f"{file}.yaml" for file in (checkpoint, name)],
        [f"run_dir={tmp_path}", f"checkpoint=checkpoints/{checkpoint}"],
    )
    configs = setting_configs(config)
    found = load_study(tmp_path, list(configs))
    for setting in found:
        open_run_folder(configs[setting])  # refuses results of other settings
    return found, checkpoint


def test_kept_results_go_on_with_the_shipped_configuration(study: tuple[dict[str, SweepResults], str]) -> None:
    found, checkpoint = study
    assert found
    for results in found.values():
        assert results.checkpoint == fingerprint(ROOT / "checkpoints" / checkpoint)
        assert results.confirmation and not results.failed


def test_no_arm_is_missing(study: tuple[dict[str, SweepResults], str]) -> None:
    found, _ = study
    for results in found.values():
        assert len(results.arms) == len({(arm.trial, arm.steps) for arm in results.arms}) == 189
        assert all(arm.outcomes and arm.measurement for arm in results.arms)
