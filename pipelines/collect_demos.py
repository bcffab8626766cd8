"""Record demonstrations: the tasks' scripted experts act, with noise on the arm; successful episodes are kept."""

from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config
from worldagen.envs.suites import check_env, in_words, prepare_env
from worldagen.evaluation.episodes import known_tasks
from worldagen.models.given import given_checkpoint
from worldagen.rollout.demos import available_init_states, collect, demos_folder, table
from worldagen.run_folder import open_run_folder


def run(config: Config) -> None:
    tasks = list(available_init_states(config, known_tasks(config)))
    checkpoint = given_checkpoint(config) if config.demos.corrected else None
    open_run_folder(config)
    env = prepare_env(config.env)
    connect(config)
    print(in_words(env))
    print(table(collect(config, env, tasks, checkpoint)))
    print(f"demonstrations: {demos_folder(config)}")


def plan(config: Config) -> str:
    tasks = list(available_init_states(config, known_tasks(config)))
    check_env(config.env)
    if config.demos.corrected:
        given_checkpoint(config)
    count = config.demos.episodes_per_task
    return f"record {count} successful episodes of each of {', '.join(tasks)} in {demos_folder(config)}"


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=plan)
