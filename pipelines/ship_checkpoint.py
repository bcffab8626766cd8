"""Copy a checkpoint for shipping: weights in half precision, its history short and without this machine's paths."""

import argparse
import sys

from worldagen.models import checkpoint
from worldagen.models.shipping import DTYPES, ship
from worldagen.models.weights import CheckpointError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", help="checkpoint folder, e.g. runs/goal/checkpoint")
    parser.add_argument("out", help="new folder for the copy")
    parser.add_argument("--dtype", choices=list(DTYPES), default="float16", help="of the weights (%(default)s)")
    args = parser.parse_args()
    try:
        out = ship(args.source, args.out, args.dtype)
    except CheckpointError as error:
        sys.exit(f"error: {error}")
    size = sum(file.stat().st_size for file in out.iterdir()) / 1e6
    print(f"{out}: {size:.1f} MB, checkpoint {checkpoint.fingerprint(out)}")


if __name__ == "__main__":
    main()
