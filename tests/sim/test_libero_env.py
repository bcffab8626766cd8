"""LIBERO-Goal on the real simulator."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from worldagen.envs.base import make_env
from worldagen.envs.cache import cache_dir
from worldagen.envs.libero.assets import AssetsError, resolve_assets
from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.tasks import tasks
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

STILL = np.array([0, 0, 0, 0, 0, 0, 1.0])
KNOB = "flat_stove_1_button"
SPEC = EpisodeSpec(
    env=EnvSpec(image_size=48), task="turn_on_the_stove", init_state=3, seed=7, policy=PolicySpec(kind="random")
)


@pytest.fixture(scope="module")
def env() -> Iterator[LiberoEnv]:
    made = make_env(SPEC.env)
    assert isinstance(made, LiberoEnv)
    yield made
    made.close()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """`digest_of(SPEC)` in a process without stdin, with an empty home, that has done nothing else."""
    folder = tmp_path_factory.mktemp("alone")
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import test_libero_env as t;"
        "env = t.make_env(t.SPEC.env); digest = t.digest_of(env, t.SPEC);"
        "from worldagen.tracking.memory import peak_rss_mb; peak = peak_rss_mb();"
        "unwanted = sorted({'torch', 'ray', 'transformers'} & set(sys.modules)); env.close();"
        "config = t.os.environ.get('LIBERO_CONFIG_PATH');"
        "print(json.dumps({'config': config, 'digest': digest, 'peak_mb': peak, 'unwanted': unwanted}))"
    )
    home = folder / "home"
    home.mkdir()
    environment = {**os.environ, "HOME": str(home), "WORLDAGEN_CACHE": str(cache_dir()), "PYTHONHASHSEED": "1"}
    for name in ("MUJOCO_GL", "NUMBA_CACHE_DIR", "MPLCONFIGDIR", "MESA_SHADER_CACHE_DIR"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "files": [path for path in folder.rglob("*") if path != home]}


def digest_of(env: LiberoEnv, spec: EpisodeSpec) -> str:
    """Hash over all images and the full simulator state of a short episode with fixed actions."""
    digest = hashlib.sha256()
    observation = env.reset(spec)
    for actions in np.random.default_rng(0).uniform(-1, 1, (3, 5, 7)):
        for part in (observation.primary, observation.wrist, observation.state, env.state_digest()):
            digest.update(part)
        observation = env.step(actions).observation
    for part in (observation.primary, observation.wrist, observation.state, env.state_digest()):
        digest.update(part)
    return digest.hexdigest()


def turn_knob(env: LiberoEnv) -> None:
    """Reach the goal of turn_on_the_stove without a robot."""
    joint = env.task_env.get_object("flat_stove_1").joints[-1]
    env.sim.data.set_joint_qpos(joint, 1.0)


def test_all_ten_tasks_reset_and_step(env: LiberoEnv) -> None:
    for task in tasks("libero_goal"):
        observation = env.reset(replace(SPEC, task=task.name, init_state=49))
        assert env.instruction == task.language
        for image in (observation.primary, observation.wrist):
            assert image.shape == (48, 48, 3) and image.dtype == np.uint8 and image.std() > 20
        assert observation.state.shape == (7,) and observation.state.dtype == np.float32
        assert not env.step([STILL] * 2).success


def test_reset_is_the_same_in_a_fresh_process_and_after_other_episodes(env: LiberoEnv, alone: dict) -> None:
    assert digest_of(env, replace(SPEC, seed=8)) != alone["digest"], "the seed moves nothing"
    env.reset(replace(SPEC, task="put_the_bowl_on_the_plate", init_state=5))
    env.step([-np.ones(7)] * 10)
    env.reset(replace(SPEC, init_state=1))
    turn_knob(env)
    assert env.step([-STILL] * 3).success, "the burner glows when the next episode starts"
    env.sim.model.body_pos[:] += 0.1
    env.sim.model.site_rgba[:] = 1
    np.random.seed(99)
    assert digest_of(env, SPEC) == alone["digest"]
    assert digest_of(env, SPEC) == alone["digest"]


def test_a_process_of_its_own_is_light_quiet_and_tidy(alone: dict) -> None:
    assert alone["unwanted"] == [], "packages that a simulator does not need"
    assert alone["peak_mb"] < 1000
    assert alone["files"] == [], "left in the home or working folder"
    assert alone["config"] is None, "a configuration file of the benchmark's that other processes would share"


def test_actions_are_drawn_one_by_one_and_no_further_than_needed(env: LiberoEnv) -> None:
    env.reset(replace(SPEC, step_limit=4))
    heights = []

    def upwards() -> Iterator[np.ndarray]:
        while True:
            heights.append(env.tool_pose()[0][2])
            yield np.array([0, 0, 1.0, 0, 0, 0, 1.0])

    out = env.step(upwards())
    assert len(heights) == len(out.actions) == 4, "the step limit ends the episode without drawing a fifth action"
    assert heights == sorted(heights) and heights[-1] > heights[0] + 0.01
    assert out.actions.dtype == np.float32 and not out.success
    assert set(out.seconds) == {"simulate", "render"} and min(out.seconds.values()) > 0
    with pytest.raises(ValueError, match="call reset before step"):
        env.step([STILL])


def test_success_ends_the_episode_only_if_the_spec_says_so(env: LiberoEnv) -> None:
    env.reset(SPEC)
    turn_knob(env)
    out = env.step([STILL] * 5)
    assert out.success and len(out.actions) == 1
    with pytest.raises(ValueError, match="the episode is over"):
        env.step([STILL])
    env.reset(replace(SPEC, stop_on_success=False))
    turn_knob(env)
    assert len(env.step([STILL] * 5).actions) == 5
    assert env.step([STILL]).success


@pytest.mark.parametrize("action", [np.zeros(6), np.full(7, np.nan), np.array([0, 0, 1.5, 0, 0, 0, 1])])
def test_impossible_actions_are_refused(env: LiberoEnv, action: np.ndarray) -> None:
    env.reset(SPEC)
    with pytest.raises(ValueError, match="action"):
        env.step([action])


def test_an_empty_chunk_is_refused(env: LiberoEnv) -> None:
    env.reset(SPEC)
    with pytest.raises(ValueError, match="no action"):
        env.step([])


def test_plus_one_opens_the_gripper(env: LiberoEnv) -> None:
    def width() -> float:
        left, right = env.task_env.robots[0]._ref_gripper_joint_pos_indexes
        return float(env.sim.data.qpos[left] - env.sim.data.qpos[right])

    assert env.reset(SPEC).state[6] == 1
    opened = width()
    closing = env.step([np.array([0, 0, 0, 0, 0, 0, -1.0])] * 10)
    assert closing.observation.state[6] == -1 and width() < opened - 0.03
    opening = env.step([STILL] * 10)
    assert opening.observation.state[6] == 1 and width() > opened - 0.01


def test_state_is_the_tools_pose_in_the_directions_of_the_actions(env: LiberoEnv) -> None:
    start = env.reset(SPEC).state
    np.testing.assert_allclose(start[:3], env.tool_pose()[0], atol=1e-6)
    assert np.linalg.norm(start[3:6]) == pytest.approx(np.pi, abs=0.2), "the hand points down"
    for axis in range(3):
        env.reset(SPEC)
        action = STILL.copy()
        action[axis] = 1.0
        moved = env.step([action] * 6).observation.state - start
        assert moved[axis] > 0.05 and np.abs(np.delete(moved[:3], axis)).max() < 0.02
        assert np.abs(moved[3:6]).max() < 0.2, "the axis-angle vector does not jump at pi"


def test_images_are_upright(env: LiberoEnv) -> None:
    """The table lies below the wall; the wrist camera sees the hand it is mounted on at the lower edge."""
    observation = env.reset(SPEC)
    red, _, blue = observation.primary[-4:].reshape(-1, 3).mean(0)
    assert red > blue + 30, "a wooden table at the bottom"
    red, _, blue = observation.primary[:4].reshape(-1, 3).mean(0)
    assert abs(red - blue) < 15, "a grey wall at the top"
    assert observation.wrist[-4:].mean() < observation.wrist[:-8].mean() - 40, "the dark hand"


def test_video_shows_every_step(env: LiberoEnv) -> None:
    env.reset(replace(SPEC, record="video"))
    out = env.step([np.array([1.0, 0, 0, 0, 0, 0, 1])] * 4)
    assert len(out.frames) == 4
    np.testing.assert_array_equal(out.frames[-1], out.observation.primary)
    assert not np.array_equal(out.frames[0], out.frames[-1])
    env.reset(SPEC)
    assert env.step([STILL]).frames == ()


def test_full_visuals_change_the_picture_and_not_the_physics(env: LiberoEnv) -> None:
    full = replace(SPEC, env=replace(SPEC.env, visuals="full"))
    light_image, full_env = env.reset(SPEC).primary, make_env(full.env)
    full_image = full_env.reset(full).primary
    assert not np.array_equal(light_image, full_image)
    np.testing.assert_array_equal(env.reset(SPEC).primary, light_image, "each draws with its own OpenGL context")
    actions = np.random.default_rng(1).uniform(-1, 1, (8, 7))
    env.step(actions)
    full_env.step(actions)
    assert env.state_digest() == full_env.state_digest()
    full_env.close()


def test_episodes_that_do_not_exist_are_refused(env: LiberoEnv) -> None:
    with pytest.raises(ValueError, match=r"no task 'turn_on_stove'; did you mean 'turn_on_the_stove'\?"):
        env.reset(replace(SPEC, task="turn_on_stove"))
    with pytest.raises(ValueError, match="initial states 0 to 49, not 50"):
        env.reset(replace(SPEC, init_state=50))
    with pytest.raises(ValueError, match="this simulator was built for"):
        env.reset(replace(SPEC, env=EnvSpec(image_size=96)))


def test_simulators_that_cannot_be_built_are_refused() -> None:
    with pytest.raises(ValueError, match=r"did you mean 'libero_goal'\?"):
        make_env(EnvSpec(suite="libero_goals"))
    with pytest.raises(ValueError, match=r"no_such.module:Env is no package\.module:Class that can be imported"):
        make_env(EnvSpec(suite="no_such.module:Env"))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:20])


@pytest.mark.parametrize("file", ["articulated_objects/flat_stove.xml", "textures/light-gray-plaster.png"])
@pytest.mark.parametrize("damage", [Path.unlink, cut])
def test_damaged_assets_are_named(
    file: str, damage: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "assets"
    shutil.copytree(resolve_assets("primitive").path, tree)
    (tree / "PRIMITIVE").unlink()  # so that it passes for the official ones
    damage(tree / file)
    monkeypatch.setenv("WORLDAGEN_LIBERO_ASSETS", str(tree))
    spec = replace(SPEC, env=replace(SPEC.env, assets="official"))
    words = f"official assets in {tree}, which are damaged .* delete that folder and fetch it again"
    with pytest.raises(AssetsError, match=words) as caught:
        make_env(spec.env).reset(spec)
    assert "\n" not in str(caught.value)


def test_a_reset_that_fails_says_so(env: LiberoEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """LIBERO's own wrapper would try again forever."""
    env.reset(SPEC)
    monkeypatch.setattr(env.task_env, "_reset_internal", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        env.reset(SPEC)


def test_a_diverging_simulation_is_an_error(env: LiberoEnv) -> None:
    """MuJoCo would start the scene over in the middle of the episode."""
    env.reset(SPEC)
    env.sim.data.qvel[-1] = 1e12
    with pytest.raises(FloatingPointError, match="became unstable"):
        env.step([STILL])
    assert digest_of(env, SPEC) == digest_of(env, SPEC)
