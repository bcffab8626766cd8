"""Pretraining as plain code: what a run consists of (`plan`), and what each of its workers does (`work`).

In the run folder it leaves `checkpoint/`, the trained model, and `pretrain/` with the state to resume from, the curve
and a picture of predicted frames, the latest. The same plan in the same folder resumes; a finished one is only checked.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from worldagen.atomic import write_text
from worldagen.config import PRETRAIN_FREE, Config, ConfigError, content_key, run_path, to_dict
from worldagen.data.episodes import CACHE_BYTES, Episode, EpisodeFiles
from worldagen.data.order import Mixture
from worldagen.data.trajectories import TrajectoryInfo
from worldagen.data.windows import Windows
from worldagen.models import checkpoint, reference
from worldagen.models.precision import compute_type
from worldagen.models.weights import CheckpointError
from worldagen.models.worldagen import WorldAgen
from worldagen.training.compilation import not_compiled
from worldagen.training.loop import ALONE, Record, train
from worldagen.training.objective import Worker
from worldagen.training.pictures import save_predictions
from worldagen.training.sources import Episodes, Source, cut_windows, find_sources
from worldagen.training.state import FILES, TrainingError, check_settings
from worldagen.training.validation import validate
from worldagen.training.vision_cache import SeenWindows, cache_path, see_all


@dataclass(frozen=True)
class Plan:
    """One pretraining run: everything its workers need, picklable."""

    config: Config
    folder: Path
    """The run folder, absolute; with several nodes on storage that all of them share."""
    sources: list[Source]
    mixture: Mixture
    """How often the training windows of each source are drawn."""
    initial: Path | None = None
    vision: Path | None = None
    """The weights that the settings name, absolute: a worker has another current folder."""

    @property
    def training(self) -> list[Episode]:
        """One source after the other."""
        return [episode for source in self.sources for episode in source.training]

    @property
    def held_out(self) -> list[Episode]:
        """Likewise."""
        return [episode for source in self.sources for episode in source.held_out]

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def state(self) -> Path:
        return self.folder / "pretrain" / "state.pt"

    @property
    def curve(self) -> Path:
        return self.folder / "pretrain" / "curve.json"

    @property
    def picture(self) -> Path:
        return self.folder / "pretrain" / "predictions.png"

    @property
    def identity(self) -> dict[str, Any]:
        """What determines the trained weights. Two workers instead of one change them by rounding only."""
        pretrain = {name: value for name, value in asdict(self.config.pretrain).items() if name not in PRETRAIN_FREE}
        if self.initial:
            pretrain["initial"] = checkpoint.fingerprint(self.initial)
        episodes = {"training": self.training, "held_out": self.held_out}
        return {
            "model": asdict(self.config.model),
            "pretrain": pretrain,
            "seed": self.config.seed,
            "episodes": {name: content_key([e.key for e in infos]) for name, infos in episodes.items()},
            FILES: {e.key: [e.digest, Path(e.name).name] for infos in episodes.values() for e in infos},
        }


def plan(config: Config) -> Plan:
    """Find the demonstrations and split them. Raises DataError or ConfigError when they cannot train `config.model`."""
    folder = run_path(config)
    weights = config.pretrain.data or {config.demos_dir or str(folder / "demos"): 1.0}
    sources = find_sources(config, list(weights))
    initial, vision = given_weights(config)
    counts = tuple(sum(episode.windows for episode in source.training) for source in sources)
    return Plan(config, folder, sources, Mixture(counts, tuple(weights.values())), initial, vision)


def given_weights(config: Config) -> tuple[Path | None, Path | None]:
    """The checkpoint that training begins from and the file of the vision transformer, where the settings name them.

    Raises ConfigError when they are not there, do not fit, or one is needed and not named.
    """
    pretrain = config.pretrain
    if config.model.vision_frozen and not pretrain.vision_checkpoint:
        raise ConfigError(
            "model.vision_frozen=true trains no vision transformer, so it needs a trained one: set "
            "pretrain.vision_checkpoint to an MAE file (mae_pretrain_vit_base.pth)"
        )
    initial = Path(pretrain.initial).expanduser().absolute() if pretrain.initial else None
    vision = Path(pretrain.vision_checkpoint).expanduser().absolute() if pretrain.vision_checkpoint else None
    if initial:
        _check_initial(config, initial)
    if vision and not vision.is_file():
        raise ConfigError(f"pretrain.vision_checkpoint={vision} is no file; name MAE's mae_pretrain_vit_base.pth")
    return initial, vision


def _check_initial(config: Config, folder: Path) -> None:
    """Raise ConfigError unless `folder` holds a model of the configured size and of our conventions."""
    try:
        differing = checkpoint.differing(folder, config.model)
        foreign = checkpoint.conventions(folder).foreign()
    except CheckpointError as error:
        raise ConfigError(f"pretrain.initial={folder}: {error}") from error
    if differing:
        raise ConfigError(f"pretrain.initial={folder} holds another model; it differs in model.{', '.join(differing)}")
    if foreign:
        raise ConfigError(
            f"pretrain.initial={folder} was trained with other conventions: {'; '.join(foreign)}; pretraining knows "
            "worldagen's own only. Start from a checkpoint that it trained, or adapt this one at test time"
        )


def finished(plan: Plan) -> bool:
    """Whether the checkpoint is there. Raises TrainingError when it came from other settings or episodes."""
    if not (plan.checkpoint / "config.json").exists():
        return False
    provenance = checkpoint.describe(plan.checkpoint)["provenance"]
    if "shipped" in provenance or "identity" not in provenance:  # or imported
        raise TrainingError(
            f"{plan.checkpoint} holds a checkpoint that no pretraining made here; use another run_dir, or name it with "
            "checkpoint= (to adapt it) or pretrain.initial= (to train on)"
        )
    check_settings(plan.checkpoint, provenance["identity"], plan.identity)
    return True


def describe(plan: Plan) -> str:
    """The plan in words."""
    settings, windows = plan.config.pretrain, sum(plan.mixture.windows)
    return (
        f"pretrain in {plan.folder}: {settings.steps} steps of {settings.batch_size} windows on {settings.workers} "
        f"worker(s), {len(plan.training)} training episodes ({windows} windows), {len(plan.held_out)} held out"
    )


def work(plan: Plan, worker: Worker = ALONE, log: Callable[[Record], None] = lambda record: None) -> None:
    """Train, as one of the data-parallel workers; rank 0 measures, draws, prints and logs, and writes the checkpoint.

    When `log` is called with a record, `plan.picture` is the one of the same step.
    """
    config = plan.config

    def on_record(record: Record) -> None:
        sys.stderr.write(summary(record) + "\n")  # not print: in its workers Ray Train shows that twice
        log(record)

    torch.manual_seed(config.seed)
    model = (checkpoint.load(plan.initial) if plan.initial else WorldAgen(config.model)).to(worker.device)
    if plan.vision:
        reference.load_vision(model, plan.vision)
    training = _windows([s.training for s in plan.sources], plan, model, worker, max(1, config.pretrain.loaders))
    held_out = _windows([s.held_out for s in plan.sources], plan, model, worker)
    measure = partial(validate, dataset=held_out, threshold=config.ttt.changed_threshold)

    def validated(model: WorldAgen) -> Record:
        save_predictions(model, held_out, plan.picture)
        return measure(model, limit=config.pretrain.validation_windows)

    curve = train(
        model,
        training,
        config.pretrain,
        seed=config.seed,
        state_path=plan.state,
        identity=plan.identity,
        validate=validated,
        on_record=on_record,
        mixture=plan.mixture,
        worker=worker,
    )
    if worker.rank == 0:
        with not_compiled():
            last = curve[-1] | measure(model)
        _finish(plan, model, [*curve[:-1], last])


def summary(record: Record) -> str:
    """One line on a record of the curve."""
    return (
        "step {step}: arm error {validation/arm_error:.3f}, gripper right {validation/gripper_accuracy:.1%}, next "
        "observation {validation/image_changed:.3f} on changed patches (copying the last: {validation/copy_changed:.3f}"
        "), {validation/image_all:.3f} on all ({validation/copy_all:.3f}); {windows_per_second:.0f} windows/s"
    ).format(**record)


def _finish(plan: Plan, model: WorldAgen, curve: list[Record]) -> None:
    write_text(plan.curve, json.dumps(curve, indent=1) + "\n")
    provenance = {
        "identity": plan.identity,
        "date": time.strftime("%Y-%m-%d"),
        "steps": plan.config.pretrain.steps,
        "metrics": curve[-1],
        "demonstrations": {
            name: sorted(e.key for e in infos)
            for name, infos in {"training": plan.training, "held_out": plan.held_out}.items()
        },
        "config": to_dict(plan.config),
    }
    checkpoint.save(model, plan.checkpoint, provenance)


def _windows(sources: list[Episodes], plan: Plan, model: WorldAgen, worker: Worker, readers: int = 1) -> Windows:
    settings = plan.config.pretrain
    if not settings.cache_vision:
        return cut_windows(sources, model.config, readers)
    infos = [e for episodes in sources for e in episodes if isinstance(e, TrajectoryInfo)]
    files = EpisodeFiles(infos, CACHE_BYTES // readers)
    dtype = compute_type(settings.precision, worker.device)
    seen = cache_path(plan.folder / "pretrain" / "vision", model, files, dtype)
    if worker.rank == 0:
        see_all(model, files, seen, dtype)
    if worker.count > 1:
        torch.distributed.barrier()
    return SeenWindows(files, model.config.chunks, seen)
