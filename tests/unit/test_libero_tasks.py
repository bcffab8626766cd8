"""The benchmark's tables, read without importing the benchmark."""

import pickle
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from worldagen.envs.libero.tasks import find_task, init_states, suites, tasks


def test_suites_hold_the_benchmarks_130_tasks() -> None:
    counts = {suite: len(tasks(suite)) for suite in suites()}
    assert counts == {"libero_spatial": 10, "libero_object": 10, "libero_goal": 10, "libero_10": 10, "libero_90": 90}


@pytest.mark.parametrize(
    ("suite", "name", "language"),
    [
        ("libero_goal", "turn_on_the_stove", "turn on the stove"),
        ("libero_90", "KITCHEN_SCENE10_close_the_top_drawer_of_the_cabinet", "close the top drawer of the cabinet"),
        ("libero_10", "LIVING_ROOM_SCENE5_put_the_white_mug_on_the_left_plate_and_put_the_yellow_and_white_mug_on_"
         "the_right_plate", "put the white mug on the left plate and put the yellow and white mug on the right plate"),
    ],
)  # fmt: skip
def test_language_is_the_benchmarks(suite: str, name: str, language: str) -> None:
    assert find_task(suite, name).language == language


def test_every_task_has_its_files_and_fifty_initial_states() -> None:
    for suite in suites():
        for task in tasks(suite):
            assert task.bddl_file.is_file()
            states = init_states(task)
            assert states.shape[0] == 50 and states.dtype == np.float64 and np.isfinite(states).all()


def test_initial_states_equal_what_the_benchmark_loads() -> None:
    torch = pytest.importorskip("torch")
    task = find_task("libero_goal", "put_the_bowl_on_the_plate")
    np.testing.assert_array_equal(init_states(task), torch.load(task.init_states_file, weights_only=False))


def test_unknown_names_get_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"unknown LIBERO suite 'libero_gaol'; did you mean 'libero_goal'\?"):
        tasks("libero_gaol")
    with pytest.raises(ValueError, match=r"no task 'turn_on_stove'; did you mean 'turn_on_the_stove'\?"):
        find_task("libero_goal", "turn_on_stove")


def test_a_file_that_would_run_code_is_refused(tmp_path: Path) -> None:
    class Attack:
        def __reduce__(self) -> tuple:
            return exec, ("raise SystemExit",)

    path = tmp_path / "evil.pruned_init"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Attack()))
    task = replace(find_task("libero_goal", "turn_on_the_stove"), init_states_file=path)
    with pytest.raises(ValueError, match=r"refusing to load builtins\.exec"):
        init_states(task)
    path.write_bytes(b"not a zip file")
    with pytest.raises(ValueError, match="reinstall hf-libero"):
        init_states(task)


def damaged_by(name: str, path: Path) -> None:
    """Leave at `path` a file of initial states that was damaged in one of several ways."""
    whole = find_task("libero_goal", "turn_on_the_stove").init_states_file.read_bytes()
    if name == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif name == "a flipped bit":
        path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    elif name == "cut inside":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(np.zeros(100), protocol=2)[:-30])


@pytest.mark.parametrize("damage", ["missing", "cut", "a flipped bit", "cut inside"])
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pruned_init"
    damaged_by(damage, path)
    with pytest.raises(ValueError, match=f"{path} holds no initial states .*; reinstall hf-libero"):
        init_states(replace(find_task("libero_goal", "turn_on_the_stove"), init_states_file=path))


def test_neither_torch_nor_the_benchmark_is_imported() -> None:
    code = (
        "import sys; from worldagen.envs.libero.tasks import find_task, init_states;"
        "init_states(find_task('libero_goal', 'turn_on_the_stove'));"
        "assert not {'torch', 'libero', 'robosuite', 'mujoco', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
