"""Pretrain the model (policy and world model, one backbone) on the demonstrations of a run folder, with Ray Train."""

from worldagen.cli import main
from worldagen.cluster import connect
from worldagen.config import Config
from worldagen.run_folder import open_run_folder
from worldagen.tracking.mlflow_log import tracked
from worldagen.training.pretraining import describe, finished, plan
from worldagen.training.ray_train import pretrain


def run(config: Config) -> None:
    todo = plan(config)
    folder = open_run_folder(config)
    if not finished(todo):
        print(describe(todo))
        connect(config)
        with tracked(config, folder.name) as sweep:
            pretrain(config, sweep)
    print(f"checkpoint: {todo.checkpoint}")


if __name__ == "__main__":
    main(run, doc=__doc__, dry_run=lambda config: describe(plan(config)))
