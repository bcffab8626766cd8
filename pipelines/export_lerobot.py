"""Export the successful episodes of a folder as a LeRobot dataset (format v3.0): one frame for each action chunk."""

import argparse
import sys
from pathlib import Path

from worldagen.data.episodes import find_demonstrations
from worldagen.data.lerobot import export
from worldagen.data.trajectories import load
from worldagen.errors import WorldagenError
from worldagen.tracking.progress import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder of trajectories, e.g. runs/from_scratch/demos")
    parser.add_argument("out", type=Path, help="new folder for the dataset")
    parser.add_argument("--fps", type=float, help="frames a second; by default the control rate / actions per chunk")
    args = parser.parse_args()
    try:
        episodes = progress(find_demonstrations(args.folder), description="export", unit="episode")
        info = export((load(episode.path) for episode in episodes), args.out, args.fps)
    except WorldagenError as error:
        sys.exit(f"error: {error}")
    print(f"{info['total_episodes']} episodes, {info['total_frames']} frames at {info['fps']:g} a second in {args.out}")


if __name__ == "__main__":
    main()
