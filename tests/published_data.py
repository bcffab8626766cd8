"""Small datasets in exactly the formats that CALVIN and LIBERO publish. Every number tells which frame it is of."""

import json
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

SENTENCES = {"open_drawer": "open the drawer", "push_red_block_left": "push the red block left"}
SPANS = ((100, 109, "open_drawer"), (120, 133, "push_red_block_left"))


def write_calvin_split(
    folder: Path, frames: range = range(100, 140), spans: Sequence[tuple[int, int, str]] = SPANS
) -> Path:
    """One recording; `spans` have sentences. A frame's images and poses hold its number."""
    (folder / "lang_annotations").mkdir(parents=True)
    for frame in frames:
        robot_obs = np.zeros(15)
        robot_obs[:3], robot_obs[3:6], robot_obs[14] = frame / 1000, (np.pi, 0, frame / 1000), 1 - 2 * (frame % 2)
        np.savez(
            folder / f"episode_{frame:07d}.npz",
            rgb_static=np.full((200, 200, 3), frame, np.uint8),
            rgb_gripper=np.full((84, 84, 3), frame + 1, np.uint8),
            rel_actions=np.full(7, frame / 1000),
            robot_obs=robot_obs,
            scene_obs=np.zeros(24),
        )
    annotations = {
        "language": {
            "ann": [SENTENCES[task] for _, _, task in spans],
            "task": [task for _, _, task in spans],
            "emb": np.zeros((len(spans), 1, 384)),
        },
        "info": {"episodes": [], "indx": [(first, last) for first, last, _ in spans]},
    }
    np.save(folder / "lang_annotations" / "auto_lang_ann.npy", annotations)  # type: ignore[arg-type]
    np.save(folder / "ep_start_end_ids.npy", np.array([[frames.start, frames.stop - 1]]))
    np.save(folder / "scene_info.npy", {"calvin_scene_B": [0, 115], "calvin_scene_A": [116, 10**6]})  # type: ignore[arg-type]
    return folder


def write_libero_suite(folder: Path, demos: int = 3, samples: int = 13) -> Path:
    """One task file. An image's top row (its last as stored) is bright; its other rows hold the sample's number."""
    folder.mkdir(parents=True)
    with h5py.File(folder / "turn_on_the_stove_demo.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["problem_info"] = json.dumps({"language_instruction": "turn on the stove"})
        for demo in range(demos):
            group = data.create_group(f"demo_{demo}")
            numbers = np.arange(samples)
            images = np.broadcast_to(numbers[:, None, None, None], (samples, 128, 128, 3)).astype(np.uint8)
            images[:, -1] = 255
            group["obs/agentview_rgb"], group["obs/eye_in_hand_rgb"] = images, images
            group["obs/ee_states"] = np.repeat(numbers[:, None] / 100 + demo, 6, axis=1)
            actions = np.repeat(numbers[:, None] / 100, 7, axis=1)
            actions[:, 6] = np.where(numbers < 6, -1, 1)  # open, then closed
            group["actions"] = actions
    return folder
