"""Draw each shift of LIBERO at three strengths: `python docs/draw_shifts.py` writes docs/images/shifts_*.png."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from worldagen.config import EnvConfig
from worldagen.envs.base import make_env
from worldagen.envs.suites import prepare_env
from worldagen.types import EpisodeSpec, PolicySpec

IMAGES = Path(__file__).parent / "images"
STRENGTHS = (0.0, 0.25, 0.5, 1.0)
SEEN = ("camera", "light", "colour", "table_height", "sensor_noise")
STILL = np.array([0, 0, 0, 0, 0, 0, 1.0])
BOWL, DRAWER = "akita_black_bowl_1_main", "wooden_cabinet_1_cabinet_middle"


def episode(shift: str, strength: float, image_size: int = 16, visuals: str = "light") -> tuple[Any, EpisodeSpec]:
    """A simulator with one shift, and an episode for it."""
    config = EnvConfig(image_size=image_size, visuals=visuals, assets="primitive", shifts={shift: strength})
    env = prepare_env(config)
    policy = PolicySpec(kind="random")
    return make_env(env), EpisodeSpec(env=env, task="put_the_bowl_on_the_plate", init_state=0, seed=0, policy=policy)


def draw_seen(path: Path) -> None:
    figure, axes = plt.subplots(len(SEEN), len(STRENGTHS), figsize=(7.4, 9.3), layout="constrained")
    for row, shift in zip(axes, SEEN, strict=True):
        row[0].set_ylabel(shift, fontsize=11)
        for cell, strength in zip(row, STRENGTHS, strict=True):
            env, spec = episode(shift, strength, image_size=96, visuals="full")
            cell.imshow(env.reset(spec).primary, interpolation="nearest")
            cell.set(xticks=[], yticks=[])
            env.close()
    for cell, strength in zip(axes[0], STRENGTHS, strict=True):
        cell.set_title(f"strength {strength:g}" if strength else "no shift", fontsize=11)
    figure.savefig(path, dpi=95)


def slide(env: Any) -> Iterator[float]:
    """The bowl is kicked along the table."""
    joint = env.task_env.get_object(BOWL.removesuffix("_main")).joints[0]
    env.sim.data.qvel[env.sim.model.get_joint_qvel_addr(joint)[0] + 1] = 0.6
    return _watched(env, lambda: env.sim.data.get_body_xpos(BOWL)[1], [STILL] * 12)


def pull(env: Any) -> Iterator[float]:
    """The drawer is pulled with 10 newtons."""
    env.sim.data.xfrc_applied[env.sim.model.body_name2id(DRAWER), 1] = 10.0
    return _watched(env, lambda: env.sim.data.get_body_xpos(DRAWER)[1], [STILL] * 12)


def move(env: Any) -> Iterator[float]:
    """The arm is sent half a second to one side, then back."""
    aside = np.array([0, 0.4, 0, 0, 0, 0, 1.0])
    return _watched(env, lambda: env.tool_pose()[0][1], [aside] * 10 + [aside * [1, -1, 1, 1, 1, 1, 1]] * 10)


FELT = {
    "friction": (slide, "a kicked bowl (cm)"),
    "mass": (pull, "a drawer pulled with 10 N (cm)"),
    "action_scale": (move, "the hand, sent aside and back (cm)"),
    "action_delay": (move, "the hand, sent aside and back (cm)"),
}
"""Shift -> what is done, and whose way is drawn."""


def draw_felt(path: Path) -> None:
    figure, axes = plt.subplots(1, len(FELT), figsize=(12, 2.9), layout="constrained")
    for panel, (shift, (act, caption)) in zip(axes, FELT.items(), strict=True):
        for strength in STRENGTHS:
            env, spec = episode(shift, strength)
            env.reset(spec)
            way = 100 * np.array(list(act(env)))
            env.close()
            colour = plt.get_cmap("viridis")(0.85 * strength) if strength else "black"
            label = f"strength {strength:g}" if strength else "no shift"
            panel.plot(np.arange(len(way)) / 20, way - way[0], color=colour, label=label)
        panel.set_title(shift, fontsize=11)
        panel.set_xlabel("seconds")
        panel.set_ylabel(caption, fontsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=95)


def _watched(env: Any, measure: Any, actions: list[np.ndarray]) -> Iterator[float]:
    for action in actions:
        yield float(measure())
        env.step([action])
    yield float(measure())


if __name__ == "__main__":
    draw_seen(IMAGES / "shifts_seen.png")
    draw_felt(IMAGES / "shifts_felt.png")
