"""The results that docs/study keeps are of the configurations and the checkpoints that are shipped."""

import tarfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from worldagen.config import Config, load
from worldagen.models.checkpoint import fingerprint
from worldagen.results import SweepResults
from worldagen.run_folder import open_run_folder
from worldagen.study.plan import setting_configs
from worldagen.study.summary import load_study
from worldagen.sweep.plan import step_counts, trials

ROOT = Path(__file__).resolve().parents[2]
KEPT = {
    "calvin": ("calvin", "study_calvin"),
    "camera": ("libero", "study_camera"),
    "camera_control": ("libero", "study_camera_control"),
    "libero_budgets": ("libero", "study_libero_budgets"),
}
"""Folder in docs/study: checkpoint, which has a configuration of the same name, and the study's own configuration."""


@dataclass(frozen=True)
class Kept:
    checkpoint: str
    configs: dict[str, Config]
    """Of all settings of the study."""
    results: dict[str, SweepResults]
    """Of those that were run."""


@pytest.fixture(params=KEPT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """What an archive holds once it is unpacked where the study's command looks for it."""
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
    return Kept(checkpoint, configs, found)


def test_kept_results_go_on_with_the_shipped_configuration(kept: Kept) -> None:
    assert kept.results
    for results in kept.results.values():
        assert results.checkpoint == fingerprint(ROOT / "checkpoints" / kept.checkpoint)
        assert results.confirmation and not results.failed


def test_no_arm_is_missing(kept: Kept) -> None:
    for name, results in kept.results.items():
        wanted = {(trial, steps) for trial in trials(kept.configs[name]) for steps in step_counts(kept.configs[name])}
        assert {(arm.trial, arm.steps) for arm in results.arms} == wanted and len(results.arms) == len(wanted)
        assert all(arm.outcomes and arm.measurement for arm in results.arms)
