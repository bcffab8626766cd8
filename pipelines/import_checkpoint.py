"""Convert a published WorldAgen checkpoint (authors' .pth files, or their Hugging Face repository) into our format.

Also brings CLIP, which these models read instructions with, into the Hugging Face cache ($HF_HOME).
"""

import argparse
import sys

from worldagen.models.published import PUBLISHED, REPOSITORY, convert
from worldagen.models.text import CLIP, load_clip
from worldagen.models.weights import CheckpointError


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("benchmark", choices=list(PUBLISHED), help="which of the published models")
    parser.add_argument("out", help="checkpoint folder to write")
    parser.add_argument("--source", default=REPOSITORY, help="local .pth file or hub repository id (%(default)s)")
    parser.add_argument("--mae", default=REPOSITORY, help="the same for the vision transformer; '' if in the source")
    args = parser.parse_args()
    try:
        for folder in convert(args.benchmark, args.source, args.mae, args.out):
            print(f"wrote {folder}")
    except CheckpointError as error:
        sys.exit(f"error: {error}")
    try:
        load_clip()
    except OSError as error:
        sys.exit(
            f"error: the checkpoint is complete, but {CLIP}, which it reads instructions with, is neither cached nor "
            f"to be downloaded here ({str(error).splitlines()[0]}); run this again where the hub can be reached, with "
            "the HF_HOME of the runs"
        )


if __name__ == "__main__":
    main()
