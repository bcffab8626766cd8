"""Test-time training: LoRA steps on the world model's loss over explored episodes. Plain torch.

Nothing but the adapter moves, the learning rate is constant and batch order is a function of (seed, step): so the
adapter after 16 steps is the same whether the run went on to 64 or not, and one run serves every smaller step count.
"""

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldagen.arms import CurvePoint, Measurement
from worldagen.data.order import Mixture, batch_indices
from worldagen.errors import WorldagenError
from worldagen.models import adapter
from worldagen.models.losses import frame_patches, image_loss
from worldagen.models.pixels import to_uint8, unpatchify
from worldagen.models.precision import compute_type, computing
from worldagen.models.worldagen import WorldAgen
from worldagen.ttt.anchor import anchor_loss, drawn_instructions
from worldagen.ttt.features import ExploredBatch, ExploredWindows, act, imagine, imagine_and_act
from worldagen.ttt.measure import Yardstick
from worldagen.ttt.methods import METHODS, Adaptation
from worldagen.ttt.snapshot import PREDICTIONS_FILE, Snapshot
from worldagen.types import Trajectory

NAME = "ttt"
"""The adapter's name inside the model."""
SHOWN = 6
"""Held-out transitions whose predictions are kept for the report."""
_STATE_FILE = "learner.pt"


class AdaptationError(WorldagenError, RuntimeError):
    """An adaptation that went nowhere or broke. It is shown as a failed arm, never as a result."""


class Learner:
    """One adaptation of `model` (which it changes: an adapter named NAME is added and used).

    Trains on the windows of `training`, measures on those of `heldout`, on `measure_windows` of them after every step.
    `windows_at_once` of a step's windows go through the model together (0: all); the step is the same but for rounding.
    `instructions` are the sentences that the policy knows: under them its drift is measured, and anchored.
    Raises AdaptationError when there is nothing to train on or to measure with.
    """

    def __init__(
        self,
        model: WorldAgen,
        training: Sequence[Trajectory],
        heldout: Sequence[Trajectory],
        how: Adaptation,
        instructions: Sequence[str],
        changed_threshold: float,
        measure_windows: int = 64,
        windows_at_once: int = 0,
    ) -> None:
        for given, what in ((training, "exploratory episode to learn from"), (heldout, "held-out episode to measure")):
            if not given:
                raise AdaptationError(f"there is no {what}; in a sweep: all of them crashed or timed out")
        if not instructions:
            raise AdaptationError("there is no instruction under which the policy's drift could be measured")
        started = time.perf_counter()
        self.model, self.how, self.method = model, how, METHODS[how.method]
        self.training, self.heldout = ExploredWindows(model, training), ExploredWindows(model, heldout)
        self.dtype = compute_type(how.precision, self.training.device.type)
        self.instructions = model.encode_text(instructions).detach()
        self.seconds = time.perf_counter() - started
        """Wall clock of encoding and steps, and of measuring after each step where early stopping asks for it: else an
        adaptation needs none."""
        self.yardstick = Yardstick(model, self.heldout, self.instructions, changed_threshold, measure_windows)
        adapter.add(model, NAME, how.rank, how.alpha, how.seed, layers=how.layers, rows=self.method.rows)
        self.largest_update = adapter.base_norm(model, NAME)
        """An update larger than the weights that it changes has exploded, also where its outputs are still numbers."""
        self.optimiser = self._optimiser()
        self.windows_at_once = windows_at_once or how.batch_size
        self.curve: list[CurvePoint] = []
        self.best: dict[str, torch.Tensor] = {}
        """The adapter at its best step, where early stopping may want it back."""
        self.stopped = 0
        """The step that early stopping went back to; 0 while it has not."""

    @property
    def steps(self) -> int:
        """TTT steps taken so far."""
        return len(self.curve)

    @property
    def training_loss(self) -> tuple[float, ...]:
        return tuple(point.training_loss for point in self.curve)

    def advance(self, to: int) -> None:
        """Go on until `to` steps are taken, or early stopping has had enough.

        Raises AdaptationError when a loss is no longer a number, or the update larger than the weights that it changes.
        """
        while self.steps < to and not self.stopped:
            started = time.perf_counter()
            loss = self._step()
            stepped = time.perf_counter()
            measurement = self._measure(self.yardstick.few, self.steps + 1)
            self.seconds += (time.perf_counter() if self.how.early_stopping else stepped) - started
            point = CurvePoint(step=self.steps + 1, training_loss=loss, measurement=measurement, seconds=self.seconds)
            self.curve.append(point)
            if self.how.early_stopping:
                self._stop_early()

    def _step(self) -> float:
        """The step's observation loss, before the step."""
        indices = batch_indices(Mixture((len(self.training),)), self.how.batch_size, self.steps, self.how.seed)
        text = drawn_instructions(self.instructions, len(indices), self.steps, self.how.seed)
        counts = self.training.dataset.counts(indices)
        full, real = counts == self.model.config.actions_per_chunk, counts > 0
        self.optimiser.zero_grad()
        observation = total = 0.0
        for part in np.array_split(np.arange(len(indices)), math.ceil(len(indices) / self.windows_at_once)):
            # A part weighs as much of each mean as it has of what the mean is over.
            image, anchor = self._losses(self.training.batch(indices[part]), text[part])
            image = image * _share(full, part)
            loss = image + anchor * _share(real, part)
            loss.backward()
            observation, total = observation + image.item(), total + loss.item()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(self.model, NAME), self.how.grad_clip)
        self.optimiser.step()
        if not math.isfinite(total):
            raise self._broken(f"the loss of step {self.steps + 1} is {total}")
        return observation

    def _losses(self, batch: ExploredBatch, text: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | float]:
        """The observation loss, and what the anchor adds to it where the method has one; `text` is the anchor's."""
        target, device = self._patches(batch)[:, 1:], self.training.device.type
        if not self.method.anchored:
            with computing(self.dtype, device):
                predicted = imagine(self.model, batch)
            observation = image_loss(predicted.float(), target, self._full(batch))
            return observation, 0.0
        with computing(self.dtype, device):
            with torch.no_grad(), adapter.unused(self.model):
                base = act(self.model, batch, text)
            output = imagine_and_act(self.model, batch, text)
        assert output.image is not None
        observation = image_loss(output.image.float(), target, self._full(batch))
        return observation, self.how.anchor * anchor_loss(output, base, batch.windows.counts > 0)

    def _stop_early(self) -> None:
        """Keep the best step so far; when it lies `early_stopping` steps back, return to it and stop."""
        best = min(self.curve, key=lambda point: point.measurement.changed).step
        if best == self.steps:
            self.best = adapter.state(self.model, NAME)
        elif self.steps - best >= self.how.early_stopping:
            adapter.set_state(self.model, NAME, self.best)
            self.stopped = best

    def measure(self) -> Measurement:
        """World model and policy drift on all held-out windows.

        Raises AdaptationError when steps were taken and the adapter is still nothing, or when it has exploded.
        """
        return self._measure(self.yardstick.all, self.steps)

    def _measure(self, windows: np.ndarray, steps: int) -> Measurement:
        norm = adapter.update_norm(self.model, NAME)
        if steps and norm == 0:
            raise AdaptationError(
                f"after {steps} steps at learning rate {self.how.learning_rate:g} the update has norm 0: nothing moved"
            )
        if not norm <= self.largest_update:
            raise self._broken(
                f"after {steps} steps the update has norm {norm:g}, the weights that it changes "
                f"{self.largest_update:g}: it exploded"
            )
        measurement = self.yardstick.measure(norm, windows)
        if wrong := [name for name, value in measurement.metrics().items() if not math.isfinite(value)]:
            raise self._broken(f"after {steps} steps the held-out {', '.join(wrong)} is not a number")
        return measurement

    def _broken(self, what: str) -> AdaptationError:
        how = self.how
        return AdaptationError(
            f"{what} (method {how.method}, learning rate {how.learning_rate:g}, rank {how.rank}); "
            "use a smaller ttt.learning_rate"
        )

    @torch.no_grad()
    def predictions(self) -> dict[str, np.ndarray]:
        """The same few held-out transitions for every adapter: uint8 (n, 2, H, W, 3) `last`, `real`, `predicted`."""
        starts = np.linspace(0, len(self.heldout) - 1, min(SHOWN, len(self.heldout))).astype(int)
        batch = self.heldout.batch(starts)
        rows, slots = torch.arange(len(starts)), (self._full(batch).sum(1) - 1).clamp(min=0)
        predicted = imagine(self.model, batch).unflatten(0, (len(starts), -1))
        frames = self._patches(batch)
        shown = {"last": frames[rows, slots], "real": frames[rows, slots + 1], "predicted": predicted[rows, slots]}
        patch = self.model.config.patch_size
        images = {name: to_uint8(unpatchify(patches, patch)).cpu().numpy() for name, patches in shown.items()}
        return {name: self.model.conventions.frames(pixels) for name, pixels in images.items()}

    def save(self, folder: Path, steps: int, provenance: Mapping[str, Any]) -> Snapshot:
        """Write into the empty `folder` what `restore` needs and what describes the budget of `steps` steps.

        At zero steps there is no adapter to save, only the description. Raises AdaptationError as `measure` does.
        """
        snapshot = Snapshot(
            steps=steps,
            measurement=self.measure(),
            training_loss=self.training_loss,
            seconds=self.seconds,
            curve=tuple(self.curve),
            stopped=self.stopped,
        )
        if self.steps:
            adapter.save(self.model, NAME, folder, {**provenance, "arithmetic": str(self.dtype)})
            torch.save({"optimiser": self.optimiser.state_dict(), "best": self.best}, folder / _STATE_FILE)
        np.savez_compressed(folder / PREDICTIONS_FILE, allow_pickle=False, **self.predictions())
        snapshot.write(folder)
        return snapshot

    def restore(self, folder: Path, snapshot: Snapshot) -> None:
        """Go on from what `save` left in `folder`, as though this learner had taken those steps itself."""
        adapter.remove(self.model, NAME)
        adapter.load(self.model, NAME, folder)
        state = torch.load(folder / _STATE_FILE, weights_only=True, map_location=self.training.device)
        self.optimiser = self._optimiser()
        self.optimiser.load_state_dict(state["optimiser"])
        self.best, self.stopped = state["best"], snapshot.stopped
        self.curve, self.seconds = list(snapshot.curve), snapshot.seconds

    def _optimiser(self) -> torch.optim.AdamW:
        parameters = adapter.parameters(self.model, NAME)
        return torch.optim.AdamW(parameters, lr=self.how.learning_rate, weight_decay=self.how.weight_decay)

    def _patches(self, batch: ExploredBatch) -> torch.Tensor:
        """Normalised patches (B, K + 1, 2, patches, values) of a batch's frames."""
        return frame_patches(batch.windows.primary, batch.windows.wrist, self.model.config)

    def _full(self, batch: ExploredBatch) -> torch.Tensor:
        """bool (B, K): the chunks that were executed in full."""
        return batch.windows.counts == self.model.config.actions_per_chunk


def _share(counted: np.ndarray, part: np.ndarray) -> float:
    """How much of what is `counted` (B, K) lies in the windows `part`."""
    return float(counted[part].sum() / max(1, counted.sum()))
