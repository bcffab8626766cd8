"""A study: one sweep for each of `study.settings`, then a page and a Markdown file about all of them.

Every setting has a run folder of its own inside run_dir, where the sweep's own report lies. The same command resumes;
what is finished is read back. The page is written anew after each setting.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from worldagen.cli import main
from worldagen.config import Config, ConfigError, run_path, without_passwords
from worldagen.models.given import given_checkpoint
from worldagen.study.page import write_folder
from worldagen.study.plan import setting_configs
from worldagen.sweep.complete import complete_sweep, look_up
from worldagen.sweep.forecast import describe


def run(config: Config) -> None:
    given_checkpoint(config)  # a base pretrained in each setting would be another one each time
    configs = setting_configs(config)
    for name, each in configs.items():
        with _named(name):
            look_up(each)  # refuses the last one before the first has run for an hour
    failed, command = [], without_passwords(f"python {' '.join(sys.argv)}")
    for number, (name, each) in enumerate(configs.items(), start=1):
        print(f"setting {name}, {number} of {len(configs)}")
        failed += [f"  {name}: {arm.name}: {arm.error}" for arm in complete_sweep(each).failed]
        print(f"study: {write_folder(run_path(config), list(configs), command)}")
    if failed:
        sys.exit("\n".join([f"error: {len(failed)} arms failed; the study shows the others", *failed]))


def describe_study(config: Config) -> str:
    """The plan of every setting. Starts nothing. Raises ConfigError as `run` does."""
    given_checkpoint(config)
    configs = setting_configs(config)
    described = []
    for name, each in configs.items():
        with _named(name):
            described.append(f"{name}\n{describe(each, settings=len(configs))}")
    return "\n\n".join(described)


@contextmanager
def _named(setting: str) -> Iterator[None]:
    """A ConfigError says in which setting it is."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(f"setting {setting}: {error}") from error


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=describe_study)
