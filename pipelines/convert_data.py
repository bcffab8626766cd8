"""Convert CALVIN's or LIBERO's published demonstrations into worldagen's Parquet trajectories."""

import argparse
import sys
from pathlib import Path

from worldagen.data import trajectories
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import Demonstrations, trajectory
from worldagen.data.libero import LiberoDemos
from worldagen.errors import WorldagenError
from worldagen.tracking.progress import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=["calvin", "libero"])
    parser.add_argument("source", help="CALVIN: folder of one split (task_D_D/training); LIBERO: folder of .hdf5 files")
    parser.add_argument("out", help="folder for the trajectories; what is there already is not converted again")
    parser.add_argument("--actions-per-chunk", type=int, default=5, help="control steps between two stored frames")
    parser.add_argument("--play", action="store_true", help="CALVIN: what no sentence describes, instead of the rest")
    parser.add_argument(
        "--suite",
        default="",
        help="suite of all demonstrations; if not given, LIBERO: the folder's name, CALVIN: what scene_info.npy says",
    )
    args = parser.parse_args()
    try:
        source: Demonstrations = (
            CalvinSplit(args.source, args.play, args.suite)
            if args.benchmark == "calvin"
            else LiberoDemos(args.source, args.suite)
        )
        convert(source, Path(args.out), args.actions_per_chunk)
    except WorldagenError as error:
        sys.exit(f"error: {error}")


def convert(source: Demonstrations, out: Path, actions_per_chunk: int) -> None:
    """Write one file for each demonstration, named after its place in the source."""
    names = [f"{index:06d}-{about.task}.parquet" for index, about in enumerate(source.demonstrations)]
    missing = [index for index, name in enumerate(names) if not (out / name).exists()]
    for index in progress(missing, len(names), "convert", "demonstration", initial=len(names) - len(missing)):
        trajectories.save(trajectory(source, index, actions_per_chunk), out / names[index])
    print(f"{len(names)} demonstrations in {out}")


if __name__ == "__main__":
    main()
