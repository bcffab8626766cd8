"""The main job: explore with the pretrained policy, adapt the world model in many ways, measure each, write the report.

Without a checkpoint, demonstrations are collected and a model is pretrained first. Whatever an earlier run of the same
folder finished is read back, so the same command resumes; a finished run prints its report's path.
"""

import sys

from worldagen.cli import main
from worldagen.config import Config, run_path
from worldagen.sweep.complete import REPORT, complete_sweep
from worldagen.sweep.forecast import describe


def run(config: Config) -> None:
    results = complete_sweep(config)
    print(f"report: {run_path(config) / REPORT}")
    if results.failed:
        lines = [f"  {arm.name}: {arm.error}" for arm in results.failed]
        sys.exit("\n".join([f"error: {len(lines)} arms failed; the report shows the others", *lines]))


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe)
