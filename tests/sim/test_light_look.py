"""The light look changes pictures only, and everything a task needs can be seen in them."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from worldagen.envs.libero.env import LiberoEnv
from worldagen.envs.libero.package import prepare
from worldagen.envs.libero.primitive import write_tree
from worldagen.envs.libero.rendering import light_xml, with_model_xml
from worldagen.envs.libero.tasks import find_task, init_states
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

TASK = find_task("libero_goal", "put_the_bowl_on_the_plate")
SIZE = 64
SPEC = EpisodeSpec(
    env=EnvSpec(image_size=SIZE, visuals="light", assets="primitive"),
    task=TASK.name,
    init_state=0,
    seed=0,
    policy=PolicySpec(kind="random"),
)


@pytest.fixture(scope="module")
def full_xml(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The model text robosuite would compile, caught before its first compilation."""
    tree = tmp_path_factory.mktemp("assets")
    write_tree(tree)
    prepare(tree)
    from libero.libero.envs import TASK_MAPPING
    from robosuite import load_controller_config

    caught = []

    def catch(xml: str) -> str:
        caught.append(xml)
        return light_xml(xml, SIZE)

    np.random.seed(0)
    problem = with_model_xml(TASK_MAPPING["libero_tabletop_manipulation"], catch)(
        str(TASK.bddl_file),
        robots=["Panda"],
        controller_configs=load_controller_config(default_controller="OSC_POSE"),
        has_offscreen_renderer=False,
        use_camera_obs=False,
    )
    problem.close()
    return caught[0]


@pytest.fixture(scope="module")
def light(full_xml: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(light_xml(full_xml, SIZE))


def started(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    state = init_states(TASK)[0]
    data.qpos[:], data.qvel[:] = state[1 : 1 + model.nq], state[1 + model.nq :]
    mujoco.mj_forward(model, data)
    return data


def test_states_equal_those_of_the_full_look(full_xml: str, light: mujoco.MjModel) -> None:
    models = (mujoco.MjModel.from_xml_string(full_xml), light)
    full_data, light_data = map(started, models)
    torques = np.random.default_rng(0).uniform(-5, 5, size=(40, light.nu))
    for torque in torques:
        for model, data in zip(models, (full_data, light_data), strict=True):
            data.ctrl[:] = torque
            mujoco.mj_step(model, data, 25)
    assert np.array_equal(full_data.qpos, light_data.qpos)
    assert np.array_equal(full_data.qvel, light_data.qvel)
    assert light_data.time == pytest.approx(40 * 25 * light.opt.timestep)


def test_few_triangles_are_drawn_and_visual_meshes_are_not_read(full_xml: str, light: mujoco.MjModel) -> None:
    drawn = (light.geom_group == 1) & (light.geom_type == mujoco.mjtGeom.mjGEOM_MESH)
    assert 0 < light.mesh_facenum[light.geom_dataid[drawn]].sum() < 3000
    files = [Path(mesh.get("file", "")).name for mesh in ET.fromstring(light_xml(full_xml, SIZE)).iter("mesh")]
    assert len(files) == len(set(files)) == 10
    assert (light.vis.global_.offwidth, light.vis.global_.offheight, light.vis.quality.offsamples) == (SIZE, SIZE, 0)
    assert not light.mat_reflectance.any()


@pytest.mark.parametrize(
    ("suite", "task", "objects"),
    [
        ("libero_object", "pick_up_the_milk_and_place_it_in_the_basket", ["milk_1", "basket_1"]),
        ("libero_10", "KITCHEN_SCENE8_put_both_moka_pots_on_the_stove", ["moka_pot_1", "moka_pot_2", "flat_stove_1"]),
        ("libero_90", "LIVING_ROOM_SCENE5_put_the_red_mug_on_the_left_plate", ["red_coffee_mug_1", "plate_1"]),
        ("libero_90", "STUDY_SCENE3_pick_up_the_book_and_place_it_in_the_left_compartment_of_the_caddy",
         ["black_book_1", "desk_caddy_1"]),
    ],
)  # fmt: skip
def test_other_rooms_show_their_objects_and_the_robot(suite: str, task: str, objects: list[str]) -> None:
    spec = replace(SPEC, env=replace(SPEC.env, suite=suite), task=task)
    env = LiberoEnv(spec.env)
    env.reset(spec)
    for name in [*objects, "robot0", "gripper0"]:
        assert pixels_of(env, "agentview", name) >= 10, f"{name} is hardly seen"
    env.close()


@pytest.fixture(scope="module")
def env() -> Iterator[LiberoEnv]:
    env = LiberoEnv(SPEC.env)
    env.reset(SPEC)
    yield env
    env.close()


@pytest.mark.parametrize(
    ("camera", "bodies"),
    [
        ("agentview", ["akita_black_bowl_1", "cream_cheese_1", "wine_bottle_1", "plate_1", "wooden_cabinet_1"]),
        ("agentview", ["flat_stove_1", "wine_rack_1", "robot0", "gripper0"]),
        ("robot0_eye_in_hand", ["akita_black_bowl_1", "gripper0_leftfinger", "gripper0_rightfinger"]),
    ],
)
def test_task_objects_and_gripper_are_seen(env: LiberoEnv, camera: str, bodies: list[str]) -> None:
    for name in bodies:
        pixels = pixels_of(env, camera, name)
        assert pixels >= 10, f"{name} covers {pixels} pixels of {camera}"


def pixels_of(env: LiberoEnv, camera: str, name: str) -> int:
    """How many pixels change when a body is painted green (robosuite's segmentation fails under numpy 2)."""
    before, model = env._render(camera).astype(int), env.sim.model
    painted = np.char.startswith([model.body_id2name(body) for body in model.geom_bodyid], name)
    colours = model.geom_rgba.copy()
    model.geom_rgba[painted] = (0, 1, 0, 1)
    changed = np.abs(env._render(camera) - before).max(axis=2) > 8
    model.geom_rgba[:] = colours
    return int(changed.sum())
