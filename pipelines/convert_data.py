"""Convert CALVIN's or LIBERO's published demonstrations into worldagen's Parquet trajectories."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from worldagen.data import trajectories
from worldagen.data.calvin import CalvinSplit
from worldagen.data.demonstrations import Demonstrations, origin, trajectory
from worldagen.data.libero import LiberoDemos
from worldagen.errors import WorldagenError
from worldagen.tracking.progress import progress


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=["calvin", "libero"])
    parser.add_argument("source", help="CALVIN: folder of one split (task_D_D/training); LIBERO: folder of .hdf5 files")
    parser.add_argument("out", help="folder for these trajectories alone; what an interrupted run left there stays")
    parser.add_argument("--actions-per-chunk", type=int, default=5, help="control steps between two stored frames")
    parser.add_argument("--play", action="store_true", help="CALVIN: what no sentence describes, instead of the rest")
    parser.add_argument(
        "--suite",
        default="",
        help="suite of all demonstrations; if not given, LIBERO: the folder's name, CALVIN: what scene_info.npy says",
    )
    args = parser.parse_args()
    if args.play and args.benchmark != "calvin":
        parser.error("--play is for CALVIN: every demonstration of LIBERO has a sentence")
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
    """Write one file for each demonstration, named after its place in the source.

    Raises DataError when `out` holds anything that this source and these settings would not give.
    """
    names = [f"{index:06d}-{about.task}.parquet" for index, about in enumerate(source.demonstrations)]
    _check_origins(source, out, names, actions_per_chunk)
    missing = [index for index, name in enumerate(names) if not (out / name).exists()]
    for index in progress(missing, len(names), "convert", "demonstration", initial=len(names) - len(missing)):
        trajectories.save(trajectory(source, index, actions_per_chunk), out / names[index])
    print(f"{len(names)} demonstrations in {out}")


def _check_origins(source: Demonstrations, out: Path, names: Sequence[str], actions_per_chunk: int) -> None:
    expected = dict(zip(names, source.demonstrations, strict=True))
    for path in sorted(out.glob("*.parquet")):
        file = trajectories.info(path)
        found, wanted = origin(file), expected.get(path.name)
        if (found, file.actions_per_chunk) != (wanted, actions_per_chunk):
            raise trajectories.DataError(
                f"{path} holds {found} with {file.actions_per_chunk} actions per chunk, but is to hold "
                f"{wanted or f'nothing from {source.demonstrations[0].name} and others'} with {actions_per_chunk}; "
                "convert into another folder, or delete what was converted into this one"
            )


if __name__ == "__main__":
    main()
