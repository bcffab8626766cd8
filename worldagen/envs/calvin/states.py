"""Initial states: the simulator vectors (robot_obs, scene_obs) that an episode of a task can start from."""

import math

import numpy as np

from worldagen.envs.calvin.tasks import COLOURS, CONDITIONS, Situation, conditions_of

ROBOT_OBS = np.array(
    [
        0.02586889, -0.2313129, 0.5712808, 3.09045411, -0.02908596, 1.50013585, 0.07999963,
        -1.21779124, 1.03987629, 2.11978254, -2.34205014, -0.87015899, 1.64119093, 0.55344928, 1.0,
    ]
)  # fmt: skip
"""Where the arm starts in CALVIN's evaluation."""
_SLIDER_LEFT, _DRAWER_OPEN, _SWITCH_ON = 0.28, 0.22, 0.088
_SHELF = {
    "slider_left": np.array([-2.40851662e-01, 9.24044687e-02, 4.60990009e-01]),
    "slider_right": np.array([7.03416330e-02, 9.24044687e-02, 4.60990009e-01]),
}
_TABLE = (
    np.array([5.00000896e-02, -1.20000177e-01, 4.59990009e-01]),
    np.array([2.29995412e-01, -1.19995140e-01, 4.59990010e-01]),
)
_YAW = (math.pi / 2 - math.pi / 8, math.pi / 2 + math.pi / 8)


def initial_state(task: str, init_state: int) -> tuple[np.ndarray, np.ndarray]:
    """robot_obs (15,) and scene_obs (24,) of a task's initial state. Raises ValueError for one that does not exist."""
    count = init_state_count(task)
    if not 0 <= init_state < count:
        raise ValueError(
            f"{task} has initial states 0 to {count - 1}, not {init_state}"
            if count
            else f"{task} goes on from another task; run it in a chain (`then`) after one that grasps a block"
        )
    conditions = conditions_of(task)
    if init_state < len(conditions):
        return ROBOT_OBS.copy(), evaluation_scene(CONDITIONS[conditions[init_state]])
    raise NotImplementedError("sampled initial states")


def init_state_count(task: str) -> int:
    return len(conditions_of(task))


def evaluation_scene(situation: Situation) -> np.ndarray:
    """scene_obs (24,) that CALVIN's evaluation starts a situation from.

    Equal to `get_env_state_for_initial_condition` of mees/calvin (calvin_agent/evaluation/utils.py), which seeds numpy
    with a hash of the situation's values.
    """
    random = np.random.RandomState(_fnv1(f"dict_values({list(situation.values())})"))
    table = list(_TABLE)
    random.shuffle(table)  # type: ignore[arg-type]
    scene_obs = _furniture(situation)
    on_table = iter(table if situation["red_block"] == "table" or situation["blue_block"] == "table" else table[1:])
    for number, colour in enumerate(COLOURS):
        place = situation[f"{colour}_block"]
        block = scene_obs[6 + 6 * number :]
        block[:3] = next(on_table) if place == "table" else _SHELF[str(place)]
        block[5] = random.uniform(*_YAW)
    return scene_obs


def _furniture(situation: Situation) -> np.ndarray:
    scene_obs = np.zeros(24)
    scene_obs[0] = _SLIDER_LEFT if situation["slider"] == "left" else 0.0
    scene_obs[1] = _DRAWER_OPEN if situation["drawer"] == "open" else 0.0
    scene_obs[3] = _SWITCH_ON if situation["lightbulb"] else 0.0
    scene_obs[4:6] = situation["lightbulb"], situation["led"]
    return scene_obs


def _fnv1(text: str) -> int:
    """FNV-1, 32 bits, from zero over UTF-16: what pyhash's fnv1_32 gives for a Python string."""
    value = 0
    for byte in text.encode("utf-16-le"):
        value = (value * 0x01000193) & 0xFFFFFFFF ^ byte
    return value
