"""CALVIN behind the Env protocol, with each engine that is at hand."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from worldagen.envs.base import make_env
from worldagen.envs.calvin.env import CalvinEnv, axis_angle
from worldagen.envs.calvin.package import find_checkout
from worldagen.envs.calvin.states import initial_state
from worldagen.envs.calvin.tasks import TASKS, conditions_of, instructions
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import RandomPolicy
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

STILL = np.array([0, 0, 0, 0, 0, 0, 1.0])
CALVIN_ENV = pytest.mark.skipif(
    find_checkout() is None, reason="no checkout of calvin_env here; `python -m worldagen.envs.calvin install` gets one"
)
ENGINES = (
    pytest.param(EnvSpec(suite="calvin_d", image_size=48, engine="native", renderer="tiny"), id="native"),
    pytest.param(
        EnvSpec(suite="calvin_d", image_size=48, engine="calvin_env", renderer="tiny", assets="official"),
        id="calvin_env", marks=CALVIN_ENV,
    ),
)  # fmt: skip


@pytest.fixture(scope="module", params=ENGINES)
def env(request: pytest.FixtureRequest) -> Iterator[CalvinEnv]:
    made = make_env(request.param)
    assert isinstance(made, CalvinEnv)
    yield made
    made.close()


def episode(env: CalvinEnv, task: str = "open_drawer", init_state: int = 5, **changes: object) -> EpisodeSpec:
    spec = EpisodeSpec(
        env=env.spec, task=task, init_state=init_state, seed=7, policy=PolicySpec(kind="random"), step_limit=60
    )
    return replace(spec, **changes)  # type: ignore[arg-type]


def move_drawer(env: CalvinEnv, to: float) -> None:
    """Put the drawer somewhere without a robot."""
    client, table = env.engine.client, env.engine.body_ids["table"]
    names = [client.getJointInfo(table, joint)[1] for joint in range(client.getNumJoints(table))]
    client.resetJointState(table, names.index(b"base__drawer"), to)


def digest_of(env: CalvinEnv, spec: EpisodeSpec) -> str:
    """Hash over all images and the full simulator state of a short episode that moves, closes and touches."""
    digest = hashlib.sha256()
    observation = env.reset(spec)
    for chunk in np.random.default_rng(0).uniform(-1, 1, (6, 7)):
        chunk[2] = -1  # down to the table
        for part in (observation.primary, observation.wrist, observation.state, env.state_digest()):
            digest.update(part)
        observation = env.step([chunk] * 8).observation
    digest.update(observation.primary)
    return digest.hexdigest()


def alone(spec: EnvSpec) -> str:
    """`digest_of` an episode in a process that has done nothing else."""
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import test_calvin_env as t;"
        "env = t.make_env(t.EnvSpec.from_dict(json.loads(sys.argv[2])));"
        "digest = t.digest_of(env, t.episode(env)); env.close();"
        "print('\\nunwanted', sorted({'torch', 'ray', 'mujoco', 'gym'} & set(sys.modules)), digest)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent), json.dumps(vars(spec))],
        env={**os.environ, "PYTHONHASHSEED": "1"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("unwanted")]
    assert line.startswith("unwanted [] "), "packages that a simulator does not need, or gym left behind"
    return line.split()[-1]


def test_an_episode_is_the_same_in_a_fresh_process_and_after_and_beside_others(env: CalvinEnv) -> None:
    expected = alone(env.spec)
    env.reset(episode(env, "lift_red_block_table", 300))
    env.step([np.array([0.3, 0.1, -1, 0.2, 0, 0.5, -1])] * 40)
    move_drawer(env, 0.1)
    beside = make_env(env.spec)
    beside.reset(episode(env, "turn_off_lightbulb", 2))
    assert digest_of(env, episode(env)) == expected
    beside.step([STILL] * 3)
    assert digest_of(env, episode(env)) == expected
    beside.close()
    assert digest_of(env, episode(env, init_state=500)) != expected


def test_conventions(env: CalvinEnv) -> None:
    """Image layout, tool pose, gripper sign and action scale, each against the engine's own numbers."""
    observation = env.reset(episode(env))
    assert observation.primary.shape == observation.wrist.shape == (48, 48, 3)
    assert observation.primary.dtype == np.uint8 and min(observation.primary.std(), observation.wrist.std()) > 20
    floor, wall = observation.primary[-6:, -16:].mean(), observation.primary[14:20, 24:36].mean()
    assert floor > wall + 20, "the bright floor is at the lower edge: images are upright"
    robot_obs = env.engine.robot_obs()
    np.testing.assert_allclose(observation.state[:3], robot_obs[:3], atol=1e-6)
    turned = Rotation.from_rotvec(observation.state[3:6]) * Rotation.from_euler("xyz", robot_obs[3:6]).inv()
    assert turned.magnitude() < 1e-5 and np.linalg.norm(observation.state[3:6]) > 3, "the tool points down"
    assert observation.state[6] == 1
    for action, width in (((0, 0, 0, 0, 0, 0, -1), 0.0), ((0, 0, 0, 0, 0, 0, 0), 0.0), ((0, 0, 0, 0, 0, 0, 0.2), 0.08)):
        state = env.step([np.array(action, float)] * 25).observation.state
        assert abs(env.engine.robot_obs()[6] - width) < 5e-3, "-1 closes, 0 keeps, any positive value opens"
        assert state[6] == (1 if width else -1) == env.engine.robot_obs()[14]
        env.reset(episode(env)) if width else None
    before = env.engine.robot_obs()
    after = env.step([np.array([1, 0, 0, 0, 0, 0.5, 1.0])] * 5 + [STILL] * 15).observation.state
    np.testing.assert_allclose(after[:3] - before[:3], [0.1, 0, 0], atol=4e-3, err_msg="1 is 0.02 m")
    assert abs(env.engine.robot_obs()[5] - before[5] - 5 * 0.5 * 0.05) < 0.02, "1 is 0.05 rad"


def test_success_is_a_change_since_the_task_began_and_a_chain_goes_on_from_it(env: CalvinEnv) -> None:
    env.reset(episode(env, then=("close_drawer", "open_drawer"), step_limit=10))
    assert (env.task, env.instruction) == ("open_drawer", instructions()["open_drawer"])
    assert not env.step([STILL] * 2).success
    move_drawer(env, 0.2)
    out = env.step([STILL] * 5)
    assert out.success and len(out.actions) == 1, "success is looked for after each control step"
    with pytest.raises(ValueError, match="the episode is over"):
        env.step([STILL])
    env.next_task("close_drawer")
    assert env.task == "close_drawer"
    assert not env.step([STILL] * 4).success
    move_drawer(env, 0.0)
    assert env.step([STILL]).success
    env.next_task("open_drawer")
    assert len(env.step([STILL] * 20).actions) == 10, "each task has the whole step limit"
    with pytest.raises(ValueError, match="has no task 'open_drawers'; did you mean 'open_drawer'"):
        env.next_task("open_drawers")


def test_cameras_draw_only_at_the_end_of_a_chunk_or_for_a_video(
    env: CalvinEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    original = env.engine.render
    monkeypatch.setattr(env.engine, "render", lambda camera, size: drawn.append(camera) or original(camera, size))
    env.reset(episode(env))
    assert sorted(drawn) == ["gripper", "static"]
    env.step([STILL] * 5)
    assert sorted(drawn) == ["gripper", "gripper", "static", "static"]
    env.reset(episode(env, record="video"))
    drawn.clear()
    out = env.step([STILL] * 5)
    assert sorted(drawn) == ["gripper"] + 5 * ["static"] and len(out.frames) == 5


def test_an_episode_runs_through_the_loop_that_every_simulator_shares(env: CalvinEnv) -> None:
    spec = episode(env, "push_red_block_left", 100, step_limit=12, record="trajectory")
    first, again = (run_episode(env, RandomPolicy(), spec) for _ in range(2))
    assert first.result.digest == again.result.digest and first.result.steps == 12
    assert first.trajectory is not None and first.trajectory.counts.tolist() == [5, 5, 2]


@pytest.mark.parametrize("task", TASKS)
def test_no_task_is_done_at_the_start(env: CalvinEnv, task: str) -> None:
    """One official and one sampled state of each: nothing falls, and nothing counts as success."""
    states = {0, len(conditions_of(task))} if conditions_of(task) else {0, 1}
    for init_state in states:
        robot_obs, scene_obs = initial_state("calvin_d", task, init_state)
        env.engine.reset(robot_obs, scene_obs)
        start = env.engine.info()
        np.testing.assert_allclose(env.engine.robot_obs(), robot_obs, atol=1e-3)
        for _ in range(15):
            env.engine.step(np.array([0, 0, 0, 0, 0, 0, robot_obs[14]]))
        held = robot_obs[14] < 0  # flat pads turn a block upright to the hand, which leans by 3 degrees at the start
        np.testing.assert_allclose(env.engine.scene_obs(), scene_obs, atol=6e-2 if held else 2e-2)
        assert not env.engine.completed(start, env.engine.info(), task)


@pytest.mark.parametrize("task", ["place_in_slider", "place_in_drawer", "stack_block"])
def test_a_block_in_the_hand_is_held_and_letting_go_is_not_enough(env: CalvinEnv, task: str) -> None:
    up = np.array([0, 0, 0.5, 0, 0, 0, -1.0])
    for init_state in range(3):
        assert env.reset(episode(env, task, init_state)).state[6] == -1
        env.step([up] * 25)
        assert env.engine.scene_obs()[8::6].max() > 0.75, "one block is lifted"
        env.reset(episode(env, task, init_state))
        out = env.step([STILL] * 30)
        assert not out.success and env.engine.scene_obs()[8::6].max() < 0.51


def test_impossible_episodes_and_actions_are_refused(env: CalvinEnv) -> None:
    with pytest.raises(ValueError, match="has no task 'open_drawr'; did you mean 'open_drawer'"):
        env.reset(episode(env, "open_drawr"))
    with pytest.raises(ValueError, match="has no task 'stack'"):
        env.reset(episode(env, then=("stack",)))
    with pytest.raises(ValueError, match="initial states 0 to 999, not -1"):
        env.reset(episode(env, init_state=-1))
    with pytest.raises(ValueError, match="built for"):
        env.reset(replace(episode(env), env=replace(env.spec, suite="calvin_a")))
    with pytest.raises(ValueError, match="call reset"):
        env.step([STILL])
    env.reset(episode(env))
    for action in (np.zeros(6), np.full(7, np.nan), 1.5 * STILL):
        with pytest.raises(ValueError, match="action"):
            env.step([action])
    with pytest.raises(ValueError, match=r"CALVIN has no camera 'statik'; did you mean 'static'\?"):
        env.engine.render("statik", 8)  # type: ignore[arg-type]


@pytest.mark.parametrize("scene", ["calvin_a", "calvin_b", "calvin_c"])
def test_the_other_scenes_look_different_and_start_where_they_should(env: CalvinEnv, scene: str) -> None:
    other = make_env(replace(env.spec, suite=scene, wrist_image_size=32))
    spec = replace(episode(env, "lift_blue_block_slider", 3), env=other.spec)
    observation = other.reset(spec)
    assert observation.wrist.shape == (32, 32, 3)
    _, scene_obs = initial_state(scene, spec.task, 3)
    np.testing.assert_allclose(other.engine.scene_obs(), scene_obs, atol=6e-3)
    assert np.abs(observation.primary - env.reset(episode(env)).primary.astype(float)).mean() > 10
    other.close()


def test_axis_angles_do_not_jump_where_the_tool_points_down() -> None:
    """Around half a turn the shortest axis-angle vector changes its sign."""
    angles = [axis_angle(np.array([np.pi - tilt, 0.02, 1.5])) for tilt in np.linspace(-0.2, 0.2, 41)]
    assert np.abs(np.diff(angles, axis=0)).max() < 0.02
    for euler in np.random.default_rng(0).uniform(-np.pi, np.pi, (20, 3)):
        turn = Rotation.from_rotvec(axis_angle(euler)) * Rotation.from_euler("xyz", euler).inv()
        assert turn.magnitude() < 1e-6
