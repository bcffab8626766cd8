"""The native play table: equal to calvin_env on its own assets, and true to itself on primitives.

What compares with calvin_env needs a checkout of it; everything else runs anywhere.
"""

import gc
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pybullet
import pytest

from worldagen.envs.calvin.engine import BLOCKS, SCENES, Engine, make_engine
from worldagen.envs.calvin.env import CalvinEnv
from worldagen.envs.calvin.layouts import DRAWER_HEIGHT, SHELF_HEIGHT, TABLE_HEIGHT
from worldagen.envs.calvin.native.engine import NativeEngine
from worldagen.envs.calvin.native.errors import DisconnectedError, NativeError
from worldagen.envs.calvin.native.urdfs import check_urdfs, urdfs_of
from worldagen.envs.calvin.package import ROOT_VARIABLE, CalvinEnvError, find_checkout
from worldagen.envs.calvin.rules import completed
from worldagen.envs.calvin.states import INIT_STATES, initial_state
from worldagen.envs.calvin.tasks import TASKS
from worldagen.envs.watchdog import Watchdog
from worldagen.rollout.lane import Lane
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

GOLDEN = Path(__file__).with_name("calvin_native_golden.json")
GOLDEN_STEPS = 60
TOLERANCE = 1e-6
"""m and rad."""
needs_checkout = pytest.mark.skipif(
    find_checkout() is None, reason="no checkout of calvin_env here; `python -m worldagen.envs.calvin install` gets one"
)


def native(scene: str = "calvin_d", assets: str = "primitive") -> NativeEngine:
    return NativeEngine(EnvSpec(suite=scene, engine="native", assets=assets, renderer="tiny"))  # type: ignore[arg-type]


def official(scene: str) -> Engine:
    spec = EnvSpec(suite=scene, engine="calvin_env", assets="official", renderer="tiny", image_size=200)
    return make_engine(spec)


def actions(seed: int, count: int) -> np.ndarray:
    """float64 (count, 7): a random direction for ten steps at a time, with jitter; first down, to where things are."""
    random = np.random.default_rng(seed)
    moves = np.repeat(random.uniform(-1, 1, (-(-count // 10), 7)), 10, axis=0)[:count]
    moves[:40, 2] = -1
    gripper = np.where(moves[:, 6:] > 0, 1.0, -1.0)
    return np.concatenate([np.clip(moves[:, :6] + 0.2 * random.standard_normal((count, 6)), -1, 1), gripper], axis=1)


def start_of(scene: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return initial_state(scene, TASKS[seed % len(TASKS)], int(random.integers(INIT_STATES)))


def state(engine: Engine) -> np.ndarray:
    return np.concatenate([engine.robot_obs(), engine.scene_obs()])


def achieved(engine: Engine, start: dict, current: dict) -> set[str]:
    return {task for task in TASKS if engine.completed(start, current, task)}


def assert_equal_runs(ours: Engine, theirs: Engine, scene: str, seed: int, steps: int) -> None:
    """The same states, infos, verdicts and images along one episode."""
    for engine in (ours, theirs):
        engine.reset(*start_of(scene, seed))
    starts = ours.info(), theirs.info()
    assert starts[0] == starts[1]
    for step, action in enumerate(actions(seed, steps)):
        ours.step(action)
        theirs.step(action)
        np.testing.assert_allclose(state(ours), state(theirs), rtol=0, atol=TOLERANCE)
        infos = ours.info(), theirs.info()
        assert infos[0] == infos[1]
        if step % 10 == 9:
            assert achieved(ours, starts[0], infos[0]) == achieved(theirs, starts[1], infos[1])
        if step % 100 == 50:
            for camera, size in (("static", 200), ("gripper", 84)):
                np.testing.assert_array_equal(ours.render(camera, size), theirs.render(camera, size))


@needs_checkout
@pytest.mark.parametrize("scene", SCENES)
def test_equal_to_calvin_env_on_its_assets(scene: str) -> None:
    ours, theirs = native(scene, "official"), official(scene)
    assert_equal_runs(ours, theirs, scene, seed=SCENES.index(scene), steps=60)
    ours.close()
    theirs.close()


@needs_checkout
@pytest.mark.full
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scene", SCENES)
def test_equal_to_calvin_env_over_long_random_episodes(scene: str) -> None:
    ours, theirs = native(scene, "official"), official(scene)
    for seed in range(20):
        assert_equal_runs(ours, theirs, scene, seed, steps=300)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("assets", ["primitive", pytest.param("official", marks=needs_checkout)])
@pytest.mark.parametrize("scene", SCENES)
def test_trajectories_stay_what_they_were(scene: str, assets: str) -> None:
    """Those on official assets are calvin_env's. `python tests/sim/test_calvin_native.py` writes the numbers anew."""
    expected = json.loads(GOLDEN.read_text())[assets][scene]
    np.testing.assert_allclose(golden_states(native(scene, assets), scene), expected, atol=TOLERANCE)


def golden_states(engine: Engine, scene: str) -> list[list[float]]:
    """robot_obs and scene_obs at three times of an episode."""
    engine.reset(*start_of(scene, seed=3))
    states = []
    for step, action in enumerate(actions(3, GOLDEN_STEPS), 1):
        engine.step(action)
        if step % (GOLDEN_STEPS // 3) == 0:
            states.append(state(engine).tolist())
    engine.close()
    return states


@pytest.fixture(params=["primitive", pytest.param("official", marks=needs_checkout)])
def engine(request: pytest.FixtureRequest) -> Iterator[NativeEngine]:
    built = native(assets=request.param)
    yield built
    built.close()


@pytest.fixture
def table() -> Iterator[NativeEngine]:
    built = native()
    built.reset(*start_of("calvin_d", 0))
    yield built
    built.close()


def run(engine: Engine, scene: str, seed: int, steps: int = 40) -> str:
    """A digest of states and pictures."""
    engine.reset(*start_of(scene, seed))
    for action in actions(seed, steps):
        engine.step(action)
    pictures = engine.render("static", 64).tobytes() + engine.render("gripper", 64).tobytes()
    return hashlib.sha256(engine.state_digest() + pictures).hexdigest()


def test_a_reset_forgets_everything(engine: NativeEngine) -> None:
    first = run(engine, "calvin_d", 1)
    for seed in (2, 3):
        run(engine, "calvin_d", seed)
    assert run(engine, "calvin_d", 1) == first


def test_engines_in_one_process_do_not_meet() -> None:
    alone = native("calvin_a")
    expected = run(alone, "calvin_a", 5, steps=20)
    alone.close()
    engines = [native("calvin_a"), native("calvin_b"), native("calvin_a")]
    for engine, scene in zip(engines, ("calvin_a", "calvin_b", "calvin_a"), strict=True):
        engine.reset(*start_of(scene, 5))
    for action in actions(5, 20):
        for engine in engines:
            engine.step(action)
            engine.render("static", 32)
    engines[1].close()
    digests = [engine.state_digest() for engine in (engines[0], engines[2])]
    assert digests[0] == digests[1]
    assert run(engines[2], "calvin_a", 5, steps=20) == expected
    engines[0].close()
    engines[2].close()


def test_close_frees_the_client_and_its_memory() -> None:
    def use() -> None:
        engine = native()
        engine.reset(*start_of("calvin_d", 0))
        engine.render("static", 64)
        engine.close()
        engine.close()

    use()
    gc.collect()
    clients, before = connected(), psutil.Process().memory_info().rss
    for _ in range(10):
        use()
    gc.collect()
    assert connected() == clients
    assert psutil.Process().memory_info().rss - before < 40 * 2**20  # one open engine takes about 15 MB


def connected() -> int:
    return sum(bool(pybullet.isConnected(client)) for client in range(32))


def test_a_closed_engine_says_so_even_when_its_number_is_used_again(table: NativeEngine) -> None:
    closed = native()
    closed.close()
    other = native()  # pybullet gives it the free number
    for use in (closed.info, closed.robot_obs, closed.scene_obs, closed.state_digest, lambda: closed.step(still())):
        with pytest.raises(DisconnectedError, match="disconnected"):
            use()
    other.close()
    pybullet.disconnect(table.client._client)  # behind its back
    with pytest.raises(DisconnectedError, match="disconnected"):
        table.render("static", 32)


@pytest.mark.parametrize("kind", ["native", pytest.param("calvin_env", marks=needs_checkout)])
def test_a_lost_client_costs_one_try_and_the_next_gets_a_new_simulator(tmp_path: Path, kind: str) -> None:
    """In a lane of the pool, which tries an episode again after any error but one that somebody has to mend."""
    assets = "official" if kind == "calvin_env" else "primitive"
    env = EnvSpec(suite="calvin_d", image_size=16, engine=kind, assets=assets, renderer="tiny")  # type: ignore[arg-type]
    spec = EpisodeSpec(
        env=env, task="open_drawer", init_state=0, seed=0, step_limit=5, policy=PolicySpec(kind="random")
    )
    lane = Lane(tmp_path, lambda: pytest.fail("a random policy needs no model"), Watchdog(60.0))
    first = lane.run(spec).result
    assert first is not None and isinstance(lane.env, CalvinEnv)
    pybullet.disconnect(lane.env.engine.client._client)
    lost = lane.run(spec)
    assert lost.result is None and lost.fatal is None and lost.error
    again = lane.run(spec).result
    assert again is not None and again.digest == first.digest
    lane.env.close()


def still(gripper: float = 1.0) -> np.ndarray:
    return np.array([0, 0, 0, 0, 0, 0, gripper])


def test_state_vectors_mean_what_they_say(engine: NativeEngine) -> None:
    robot_obs, scene_obs = start_of("calvin_d", 8)
    scene_obs[:6] = 0.1, 0.05, 0.0, 0.06, 1, 0
    engine.reset(robot_obs, scene_obs)
    np.testing.assert_allclose(engine.robot_obs(), robot_obs, atol=1e-3)
    np.testing.assert_allclose(engine.scene_obs()[:18], scene_obs[:18], atol=5e-3)
    info = engine.info()["scene_info"]
    assert list(info["movable_objects"]) == list(BLOCKS)
    assert info["lights"] == {"lightbulb": {"logical_state": 1}, "led": {"logical_state": 0}}
    assert info["doors"]["base__slide"]["current_state"] == engine.scene_obs()[0]


def test_pressing_the_button_toggles_the_led_and_the_switch_sets_the_bulb(table: NativeEngine) -> None:
    robot_obs, scene_obs = start_of("calvin_d", 0)
    scene_obs[:6] = 0, 0, 0.02, 0.088, 0, 1
    table.reset(robot_obs, scene_obs)
    dark = table.render("static", 100)
    start = table.info()
    table.step(still())
    assert table.scene_obs()[4:6].tolist() == [1, 0]
    assert achieved(table, start, table.info()) == {"turn_on_lightbulb", "turn_off_led"}
    assert (table.render("static", 100) != dark).any(axis=2).sum() > 20


def test_every_scene_is_its_own() -> None:
    looks = []
    for scene in SCENES:
        engine = native(scene)
        engine.reset(*start_of(scene, 0))
        looks.append(engine.render("static", 64).astype(float))
        engine.close()
    for one in range(4):
        for other in range(one):
            assert np.abs(looks[one] - looks[other]).mean() > 8


def test_a_primitive_table_touches_where_the_official_one_does(table: NativeEngine) -> None:
    """Blocks come to rest at CALVIN's heights: on the table, behind the slider (on the plank) and in the drawer. The
    task rules need it: initial states put them there, and they must touch what they lie on at once."""
    robot_obs, scene_obs = start_of("calvin_d", 0)
    scene_obs[:2] = 0, 0.22
    scene_obs[6:9], scene_obs[12:15], scene_obs[18:21] = (0.2, -0.1, 0.47), (-0.24, 0.09, 0.47), (0.15, -0.3, 0.4)
    table.reset(robot_obs, scene_obs)
    for _ in range(30):
        table.step(still())
    np.testing.assert_allclose(table.scene_obs()[[8, 14, 20]], [TABLE_HEIGHT, SHELF_HEIGHT, DRAWER_HEIGHT], atol=3e-4)
    info = table.info()["scene_info"]
    links = info["fixed_objects"]["table"]["links"]
    for block, link in zip(BLOCKS, ("base_link", "plank_link", "drawer_link"), strict=True):
        assert {contact[4] for contact in info["movable_objects"][block]["contacts"]} == {links[link]}


@pytest.mark.parametrize("task", ["place_in_slider", "place_in_drawer"])
def test_a_block_in_the_hand_is_held_from_the_start(engine: NativeEngine, task: str) -> None:
    """The placing rules look at what touches the arm when the task begins."""
    engine.reset(*initial_state("calvin_d", task, 400))
    blocks = {engine.body_ids[block] for block in BLOCKS}
    held = {contact[2] for contact in engine.info()["robot_info"]["contacts"]}
    assert len(held) == 1 and held <= blocks


def test_drawing_in_layers_shows_the_same(table: NativeEngine) -> None:
    for seed in (1, 6):
        table.reset(*start_of("calvin_d", seed))
        for action in actions(seed, 30):
            table.step(action)
            layered = table.render("static", 100)
        plain = table._cameras._draw(table.static_view, {"fov": 10, "aspect": 1, "nearVal": 0.01, "farVal": 10}, 100)
        assert (plain.rgb != layered).any(axis=2).sum() <= 10


def test_images_have_any_size_and_follow_the_camera(engine: NativeEngine) -> None:
    engine.reset(*start_of("calvin_d", 0))
    for camera, size in (("static", 200), ("static", 84), ("gripper", 64)):
        image = engine.render(camera, size)
        assert image.shape == (size, size, 3) and image.dtype == np.uint8 and image.std() > 20
    before = engine.render("static", 64)
    engine.static_view = engine.client.computeViewMatrix([2, -2, 2], [0, 0, 0.4], [0, 0, 1])
    assert (engine.render("static", 64) != before).mean() > 0.2


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (np.array([0, 0, 0, 0, 0, 0, 1]), "floating-point"),
        ([0.0] * 6 + [1.0], "floating-point"),
        (np.zeros(6), r"shape \(7,\)"),
        (still(0.5), "threshold it"),
        (still(0.0), "threshold it"),
        (np.array([np.nan, 0, 0, 0, 0, 0, 1]), "finite"),
    ],
)
def test_refuses_actions_that_calvin_does_not_define(table: NativeEngine, action: object, message: str) -> None:
    before = table.state_digest()
    with pytest.raises(NativeError, match=message):
        table.step(action)  # type: ignore[arg-type]
    assert table.state_digest() == before


@pytest.mark.parametrize(
    ("index", "value", "message"),
    [
        (0, 0.5, "slider at 0.5 m; it moves from 0 to 0.280 m"),
        (1, -0.1, "drawer"),
        (2, 0.1, "button"),
        (3, 1.0, "switch"),
        (4, 0.5, "lightbulb to 0.5"),
        (5, 2, "led to 2"),
        (9, np.inf, "finite"),
    ],
)
def test_refuses_states_that_cannot_be(table: NativeEngine, index: int, value: float, message: str) -> None:
    robot_obs, scene_obs = start_of("calvin_d", 0)
    scene_obs[index] = value
    with pytest.raises(NativeError, match=message):
        table.reset(robot_obs, scene_obs)


def test_refuses_state_vectors_of_another_length(table: NativeEngine) -> None:
    robot_obs, scene_obs = start_of("calvin_d", 0)
    with pytest.raises(NativeError, match="scene_obs must be 24"):
        table.reset(robot_obs, scene_obs[:23])
    with pytest.raises(NativeError, match="robot_obs must be 15"):
        table.reset(robot_obs[:14], scene_obs)


def test_a_checkout_without_data_or_with_a_damaged_urdf_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path))
    with pytest.raises(CalvinEnvError, match=str(tmp_path)):
        native(assets="official")
    for needed in ("calvin_env/envs/play_table_env.py", "conf/env/play_table_env.yaml"):
        _touch(tmp_path / needed)
    _touch(tmp_path / "conf/tasks/new_playtable_tasks.yaml")
    with pytest.raises(CalvinEnvError, match="data"):
        native(assets="official")
    for needed in ("data/calvin_table_D/urdf/x", "data/blocks/x", "data/plane/plane.urdf"):
        _touch(tmp_path / needed)
    robot = _touch(tmp_path / "data/franka_panda/panda_longer_finger.urdf")
    robot.write_text("<robot name='panda'><link name='base'")
    with pytest.raises(NativeError, match=r"panda_longer_finger.urdf is damaged"):
        native(assets="official")


def test_a_table_without_a_part_or_a_mesh_is_named(tmp_path: Path) -> None:
    """Bullet would end the process."""
    urdfs = urdfs_of(EnvSpec(suite="calvin_d", engine="native", assets="primitive"))
    table = Path(shutil.copytree(urdfs.table.parent, tmp_path / "assets"), urdfs.table.name)
    whole = table.read_text()
    table.write_text(re.sub('<joint name="base__led".*?</joint>', "", whole, flags=re.DOTALL))
    with pytest.raises(NativeError, match=r"table_D.urdf is damaged: one link must have no parent"):
        check_urdfs(replace(urdfs, table=table))
    table.write_text(whole.replace('"led_link"', '"lamp_link"'))
    with pytest.raises(NativeError, match=r"table_D.urdf is damaged: it has no led_link"):
        check_urdfs(replace(urdfs, table=table))
    table.write_text(whole)
    table.with_name("table_D_drawer_link_0.obj").unlink()
    with pytest.raises(NativeError, match=r"its mesh .*drawer_link_0.obj is missing"):
        check_urdfs(replace(urdfs, table=table))


def _touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def test_an_unknown_task_is_named(table: NativeEngine) -> None:
    with pytest.raises(ValueError, match="did you mean 'open_drawer'"):
        completed(table.info(), table.info(), "open_the_drawer")


if __name__ == "__main__":
    numbers = json.loads(GOLDEN.read_text())
    numbers["primitive"] = {scene: golden_states(native(scene), scene) for scene in SCENES}
    if find_checkout():
        numbers["official"] = {scene: golden_states(official(scene), scene) for scene in SCENES}
    GOLDEN.write_text(json.dumps(numbers) + "\n")
