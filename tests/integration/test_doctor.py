"""`python -m worldagen.doctor` names what is broken and how to mend it, and outlives whatever a check does."""

import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest

from worldagen import doctor
from worldagen.doctor import Finding, examine

FINDING = """
import sys
from pathlib import Path
Path(sys.argv[-1]).write_text('{"level": "ok", "text": "so far", "remedy": ""}' + chr(10))
"""


def run(*checks: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    command = [sys.executable, "-m", "worldagen.doctor", *checks]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def test_a_healthy_machine() -> None:
    done = run("versions", "gpus", "assets", "resources", CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 0, done.stdout
    assert "packages in the versions they should have" in done.stdout
    assert "LIBERO assets" in done.stdout and "GB of memory free" in done.stdout


def test_what_is_broken_is_named_with_its_remedy_and_the_rest_still_runs(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    broken = {"CUDA_VISIBLE_DEVICES": "GPU-gone", "CALVIN_ENV_ROOT": str(tmp_path), "WORLDAGEN_CACHE": str(file)}
    done = run("gpus", "calvin", "resources", **broken)
    assert done.returncode == 1
    gpus, calvin, cache = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert "GPU 'GPU-gone'" in gpus and "EGL devices [" in gpus and "CUDA devices [" in gpus and "env.gl=osmesa" in gpus
    assert str(tmp_path) in calvin and "python -m worldagen.envs.calvin install" in calvin
    assert "cannot be written" in cache and "temporary files (TMPDIR)" in done.stdout
    assert done.stdout.endswith("\n3 FAIL\n")


def test_packages_that_are_missing_or_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "pybullet":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"mujoco": "4.0.0", "robosuite": "1.5.1"}.get(name) or real(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    (finding,) = doctor.versions()
    assert finding.level == "FAIL" and "make setup" in finding.remedy
    assert finding.text == "mujoco is 4.0.0, not <3.9,>=3; pybullet is missing; robosuite is 1.5.1, not ==1.4.0"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        ("import ctypes; ctypes.string_at(0)", "its process ended with SIGSEGV"),
        ("sys.exit('no display')", "its process ended with exit code 1: no display"),
        ("import time; time.sleep(60)", "no answer within 2 s"),
    ],
)
def test_a_check_that_crashes_or_hangs_is_a_finding_beside_those_it_made(end: str, expected: str) -> None:
    first, last = examine([sys.executable, "-c", FINDING + end], timeout=2)
    assert first == Finding("ok", "so far")
    assert last.level == "FAIL" and last.text.startswith(expected) and last.remedy


def test_unknown_checks_are_refused() -> None:
    done = run("glx")
    assert done.returncode == 2 and "unknown check glx; there are versions, opengl, gpus" in done.stderr
