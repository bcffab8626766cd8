"""calvin_env's `get_info()`: what task rules and experts read, under the same keys."""

from typing import Any

from worldagen.envs.calvin.native.articulation import Button, Switch
from worldagen.envs.calvin.native.world import World


def world_info(world: World) -> dict[str, Any]:
    table = {"uid": world.table, "links": world.links, "contacts": world.client.getContactPoints(bodyA=world.table)}
    return {
        "robot_info": world.robot.info(),
        "scene_info": {
            "fixed_objects": {"table": table},
            "movable_objects": {name: _block_info(world.client, block) for name, block in world.blocks.items()},
            "doors": {
                "base__slide": {"current_state": world.slider.position},
                "base__drawer": {"current_state": world.drawer.position},
            },
            "buttons": {"base__button": _pressed_info(world.button)},
            "switches": {"base__switch": _pressed_info(world.switch)},
            "lights": {
                "lightbulb": {"logical_state": int(world.bulb.on)},
                "led": {"logical_state": int(world.led.on)},
            },
        },
    }


def _block_info(client: Any, block: int) -> dict[str, Any]:
    position, quaternion = client.getBasePositionAndOrientation(block)
    linear, angular = client.getBaseVelocity(block)
    return {
        "current_pos": position,
        "current_orn": quaternion,
        "current_lin_vel": linear,
        "current_ang_vel": angular,
        "contacts": client.getContactPoints(bodyA=block),
        "uid": block,
    }


def _pressed_info(part: Button | Switch) -> dict[str, Any]:
    return {"joint_state": part.joint.position, "logical_state": int(part.on)}
