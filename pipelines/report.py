"""Write the report of a sweep again from its run folder, e.g. `python pipelines/report.py run_dir=runs/quickstart`."""

from worldagen.cli import main
from worldagen.config import Config, ConfigError, run_path
from worldagen.report.page import write_report
from worldagen.results import SweepResults


def run(config: Config) -> None:
    folder = run_path(config)
    file = folder / "results.json"
    if not file.is_file():
        raise ConfigError(f"run_dir={config.run_dir} holds no results.json; run pipelines/ttt_sweep.py there first")
    print(write_report(SweepResults.load(file), folder))


if __name__ == "__main__":
    main(run, doc=__doc__)
