"""`python -m worldagen.envs.calvin install [--url URL]`: fetch the calvin_env package.
`python -m worldagen.envs.calvin sequences`: generate CALVIN's evaluation sequences and compare with the shipped ones.
"""

import argparse
import sys
import time

from worldagen.envs.calvin.package import URL, install
from worldagen.envs.calvin.sequences import generate_sequences, official_sequences
from worldagen.errors import WorldagenError


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m worldagen.envs.calvin")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("install", help="clone calvin_env into worldagen's cache")
    fetch.add_argument("--url", default=URL, help="where to clone from (default: %(default)s)")
    commands.add_parser("sequences", help="generate the evaluation sequences and compare them with the shipped ones")
    chosen = parser.parse_args(arguments)
    if chosen.command == "install":
        try:
            print(f"calvin_env is in {install(chosen.url)}; env.engine=auto will use it")
        except WorldagenError as error:
            sys.exit(str(error))
    else:
        _compare_sequences()


def _compare_sequences() -> None:
    started = time.process_time()
    generated = generate_sequences()
    seconds = time.process_time() - started
    equal = sum(ours == theirs for ours, theirs in zip(generated, official_sequences(), strict=True))
    print(f"{equal} of {len(generated)} generated sequences equal the shipped ones ({seconds:.1f} s of CPU time)")
    sys.exit(equal != len(generated))


if __name__ == "__main__":
    main()
