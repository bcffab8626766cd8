"""The engine on calvin_env against the package as its authors run it. Needs a checkout of calvin_env."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from worldagen.envs.calvin import official
from worldagen.envs.calvin.engine import BLOCKS, make_engine
from worldagen.envs.calvin.package import CalvinEnvError, find_checkout, load
from worldagen.envs.calvin.states import initial_state
from worldagen.envs.calvin.tasks import TASKS
from worldagen.types import EnvSpec

pytestmark = pytest.mark.skipif(
    find_checkout() is None, reason="no checkout of calvin_env here; `python -m worldagen.envs.calvin install` gets one"
)
STATE = ("lift_blue_block_table", 7)


def spec_of(scene: str, renderer: str = "tiny") -> EnvSpec:
    return EnvSpec(
        suite=scene, image_size=200, wrist_image_size=84, engine="calvin_env", renderer=renderer, assets="official"
    )  # type: ignore[arg-type]


def raw_env(scene: str, renderer: str = "tiny") -> Any:
    """PlayTableSimEnv as `get_env` of calvin_env would build it for a data set of this scene."""
    root = find_checkout()
    assert root is not None
    return load(root).PlayTableSimEnv(**official._arguments(root, spec_of(scene, renderer)))


def actions(count: int) -> np.ndarray:
    """float64 (count, 7): downwards, then about, with an open and a closed hand."""
    values = np.repeat(np.random.default_rng(3).uniform(-1, 1, (count // 10, 7)), 10, axis=0)
    values[: count // 2, 2] = -0.6
    values[:, 6] = np.where(values[:, 6] > 0, 1, -1)
    return values


def reordered(raw: Any, scene_obs: np.ndarray) -> np.ndarray:
    """Our scene_obs in the order in which a raw scene lists its blocks, or back: either has red, blue, pink once."""
    order = [BLOCKS.index(block.name) for block in raw.scene.movable_objects]
    return np.concatenate([scene_obs[:6], scene_obs[6:].reshape(3, 6)[order].ravel()])


def compare(scene: str, renderer: str, steps: int) -> None:
    """Same states, images and verdicts as the raw package, bit for bit, in an engine that has run other episodes."""
    raw = raw_env(scene, renderer)  # OpenGL's comes first, whoever it belongs to
    expected, verdicts = [], []
    robot_obs, scene_obs = initial_state(scene, *STATE)
    raw.reset(robot_obs, reordered(raw, scene_obs))
    start = raw.get_info()
    for step, action in enumerate(actions(steps)):
        observation, _, _, info = raw.step(action)
        images = observation["rgb_obs"] if step % 10 == 9 else {}
        expected.append((observation["robot_obs"], observation["scene_obs"], images))
        verdicts.append(info)
    raw.p.disconnect(physicsClientId=raw.cid)
    raw.close = lambda: None
    engine = make_engine(spec_of(scene, renderer))
    assert isinstance(engine, official.OfficialEngine)
    engine.reset(*initial_state(scene, "turn_off_led", 500))
    for action in -actions(20):
        engine.step(action)
        engine.render("gripper", 64)
    engine.reset(robot_obs, scene_obs)
    ours = engine.info()
    for action, info, (robot, scene_state, images) in zip(actions(steps), verdicts, expected, strict=True):
        engine.step(action)
        np.testing.assert_array_equal(engine.robot_obs(), robot)
        np.testing.assert_array_equal(reordered(raw, engine.scene_obs()), scene_state)
        done = engine.achieved(start, info)
        assert {task for task in TASKS if engine.completed(ours, engine.info(), task)} == done
        if images:
            np.testing.assert_array_equal(engine.render("static", 200), images["rgb_static"])
            np.testing.assert_array_equal(engine.render("gripper", 84), images["rgb_gripper"])
    assert np.abs(expected[-1][1] - expected[0][1]).max() > 0.01, "nothing was touched"
    engine.close()


@pytest.mark.parametrize("scene", ["calvin_a", "calvin_b", "calvin_c", "calvin_d"])
def test_states_images_and_verdicts_are_the_packages_own(scene: str) -> None:
    compare(scene, "tiny", 40)


def in_own_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, sys.argv[1])\n{code}", str(Path(__file__).parent)],
        env=dict(os.environ), stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip


def test_opengl_draws_what_the_package_does_and_allows_one_env_a_process() -> None:
    done = in_own_process(
        "import json, test_calvin_official as t\n"
        "t.compare('calvin_d', 'egl', 30)\n"
        "first = t.make_engine(t.spec_of('calvin_d', 'egl'))\n"
        "try: t.make_engine(t.spec_of('calvin_a', 'egl'))\n"
        "except t.CalvinEnvError as error: print('\\nrefused', json.dumps(str(error)))\n"
        "first.close()\n"
    )
    if "failed to EGL" in done.stdout + done.stderr or "Plugin Failed" in done.stdout + done.stderr:
        pytest.skip("no EGL on this machine")
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("refused")]
    assert "env.renderer=tiny" in json.loads(line.removeprefix("refused "))


def test_a_second_copy_of_the_package_is_refused(tmp_path: Path) -> None:
    root = find_checkout()
    assert root is not None
    load(root)
    with pytest.raises(CalvinEnvError, match="use a new process"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["conf/robot/panda.yaml", "data/blocks/block_red_middle.urdf"])
def test_a_damaged_checkout_is_named(file: str, tmp_path: Path) -> None:
    """In a process of its own: the package may be imported from one checkout only."""
    copy = tmp_path / "calvin_env"
    shutil.copytree(str(find_checkout()), copy, ignore=shutil.ignore_patterns(".git"))
    (copy / file).write_bytes((copy / file).read_bytes()[:300])
    code = (
        "from worldagen.envs.calvin.engine import make_engine; from worldagen.types import EnvSpec;"
        "make_engine(EnvSpec(suite='calvin_d', engine='calvin_env', renderer='tiny', assets='official'))"
    )
    environment = {**os.environ, "CALVIN_ENV_ROOT": str(copy)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    words = f"CalvinEnvError: calvin_d cannot be built from the checkout {copy}, which is damaged"
    assert words in done.stderr and done.stderr.rstrip().endswith("delete it and fetch it again")
