"""Write the report of a sweep, or the page of a study, again from its run folder:

    python pipelines/report.py run_dir=runs/quickstart

A study's settings come in the order of their names, or in that of the configuration, if it is given. Runs nothing.
"""

import sys

from worldagen.cli import main
from worldagen.config import Config, ConfigError, run_path, without_passwords
from worldagen.report.page import write_report
from worldagen.results import SweepResults
from worldagen.study.page import write_folder


def run(config: Config) -> None:
    folder = run_path(config)
    file = folder / "results.json"
    if file.is_file():
        return print(write_report(SweepResults.load(file), folder))
    settings = list(config.study.settings) or sorted(file.parent.name for file in folder.glob("*/results.json"))
    page = write_folder(folder, settings, without_passwords(f"python {' '.join(sys.argv)}"))
    if page is None:
        raise ConfigError(
            f"run_dir={config.run_dir} holds no results.json, nor does a folder in it; run pipelines/ttt_sweep.py "
            "or pipelines/study.py there first"
        )
    print(page)


if __name__ == "__main__":
    main(run, doc=__doc__)
