"""Test-time training: LoRA steps on the world model's loss over explored episodes. Plain torch.

Nothing but the adapter moves, the learning rate is constant and batch order is a function of (seed, step): so the
adapter after 16 steps is the same whether the run went on to 64 or not, and one run serves every smaller step count.
"""

import math
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from worldagen.data.order import Mixture, batch_indices
from worldagen.errors import WorldagenError
from worldagen.models import adapter
from worldagen.models.losses import frame_patches, image_loss, observation_errors
from worldagen.models.pixels import to_uint8, unpatchify
from worldagen.models.precision import compute_type, computing
from worldagen.models.worldagen import WorldAgen
from worldagen.results import Measurement
from worldagen.ttt.features import ExploredBatch, ExploredWindows, act, imagine
from worldagen.ttt.methods import Adaptation
from worldagen.ttt.snapshot import PREDICTIONS_FILE, Snapshot
from worldagen.types import Trajectory

NAME = "ttt"
"""The adapter's name inside the model."""
SHOWN = 6
"""Held-out transitions whose predictions are kept for the report."""
_OPTIMISER_FILE = "optimiser.pt"
_WINDOWS_AT_ONCE = 32


class AdaptationError(WorldagenError, RuntimeError):
    """An adaptation that went nowhere or broke. It is shown as a failed arm, never as a result."""


class Learner:
    """One adaptation of `model` (which it changes: an adapter named NAME is added and used).

    Trains on the windows of `training`, measures on those of `heldout`. `instructions` are the sentences under which
    the drift of the policy is measured; they take turns over the held-out windows.
    """

    def __init__(
        self,
        model: WorldAgen,
        training: Sequence[Trajectory],
        heldout: Sequence[Trajectory],
        how: Adaptation,
        instructions: Sequence[str],
        changed_threshold: float,
    ) -> None:
        started = time.perf_counter()
        self.model, self.how, self.changed_threshold = model, how, changed_threshold
        self.training, self.heldout = ExploredWindows(model, training), ExploredWindows(model, heldout)
        self.dtype = compute_type(how.precision, self.training.device.type)
        self.instructions = model.encode_text(instructions).detach()
        adapter.add(model, NAME, how.rank, how.alpha, how.seed)
        self.optimiser = self._optimiser()
        self.training_loss: list[float] = []
        self.base_actions = self._actions()  # a fresh adapter leaves the outputs as they are: these are the base's
        self.seconds = time.perf_counter() - started

    @property
    def steps(self) -> int:
        """TTT steps taken so far."""
        return len(self.training_loss)

    def advance(self, steps: int) -> None:
        """Take `steps` more steps. Raises AdaptationError when the loss is no longer a number."""
        started = time.perf_counter()
        for _ in range(steps):
            self.training_loss.append(self._step())
        self.seconds += time.perf_counter() - started

    def _step(self) -> float:
        indices = batch_indices(Mixture((len(self.training),)), self.how.batch_size, self.steps, self.how.seed)
        batch = self.training.batch(indices)
        with computing(self.dtype, self.training.device.type):
            predicted = imagine(self.model, batch)
        loss = image_loss(predicted.float(), self._patches(batch)[:, 1:], self._full(batch))
        self.optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(adapter.parameters(self.model, NAME), self.how.grad_clip)
        self.optimiser.step()
        if not math.isfinite(value := loss.item()):
            raise AdaptationError(
                f"the loss of step {self.steps + 1} is {value} (learning rate {self.how.learning_rate:g}, rank "
                f"{self.how.rank}); use a smaller ttt.learning_rate"
            )
        return value

    @torch.no_grad()
    def measure(self) -> Measurement:
        """World model and policy drift on the held-out episodes.

        Raises AdaptationError when steps were taken and the adapter is still nothing, or holds no numbers any more.
        """
        norm = float(adapter.update_norm(self.model, NAME))
        if self.steps and not (math.isfinite(norm) and norm > 0):
            raise AdaptationError(
                f"after {self.steps} steps at learning rate {self.how.learning_rate:g} the update has norm {norm:g}: "
                + ("nothing moved" if norm == 0 else "it exploded; use a smaller ttt.learning_rate")
            )
        drift, flips = self._drift()
        return Measurement(**self._errors(), arm_drift=drift, gripper_flips=flips, update_norm=norm)

    def _errors(self) -> dict[str, float]:
        """World-model errors over all held-out windows."""
        sums: defaultdict[str, float] = defaultdict(float)
        for batch, _ in self._heldout_batches():
            predicted = imagine(self.model, batch)
            frames, full = self._patches(batch), self._full(batch)
            errors = observation_errors(predicted, frames[:, 1:], frames[:, :-1], full, self.changed_threshold)
            count = float(full.sum())
            for name, value in errors._asdict().items():
                over_changed = name in ("changed", "copy_changed")
                sums[name] += float(value) * count * (float(errors.changed_fraction) if over_changed else 1.0)
            sums["count"] += count
        changed = sums["changed_fraction"]
        weights = {"changed": changed, "copy_changed": changed}
        return {
            name: value / max(weights.get(name, sums["count"]), 1e-12)
            for name, value in sums.items()
            if name != "count"
        }

    def _drift(self) -> tuple[float, float]:
        """Mean absolute difference to the base's arm actions and share of flipped gripper commands."""
        (arm, gripper), (base_arm, base_gripper) = self._actions(), self.base_actions
        flipped = (gripper > 0.5) != (base_gripper > 0.5)
        return float((arm - base_arm).abs().mean()), float(flipped.float().mean())

    @torch.no_grad()
    def _actions(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The policy's arm (n, a, 6) and gripper (n, a, 1) outputs at all real chunks of the held-out windows."""
        arms, grippers = [], []
        for batch, indices in self._heldout_batches():
            text = self.instructions[torch.from_numpy(indices % len(self.instructions))]
            output = act(self.model, batch, text)
            real = batch.windows.counts > 0
            arms.append(output.arm[real])
            grippers.append(output.gripper[real])
        return torch.cat(arms), torch.cat(grippers)

    def _heldout_batches(self) -> Iterator[tuple[ExploredBatch, np.ndarray]]:
        everything = np.arange(len(self.heldout))
        for first in range(0, len(everything), _WINDOWS_AT_ONCE):
            indices = everything[first : first + _WINDOWS_AT_ONCE]
            yield self.heldout.batch(indices), indices

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

    def save(self, folder: Path, provenance: Mapping[str, Any]) -> Snapshot:
        """Write into the empty `folder` what `restore` needs and what describes this step count.

        At zero steps there is no adapter to save, only the description. Raises AdaptationError as `measure` does.
        """
        snapshot = Snapshot(
            steps=self.steps,
            measurement=self.measure(),
            training_loss=tuple(self.training_loss),
            seconds=self.seconds,
        )
        if self.steps:
            adapter.save(self.model, NAME, folder, {**provenance, "arithmetic": str(self.dtype)})
            torch.save(self.optimiser.state_dict(), folder / _OPTIMISER_FILE)
        np.savez_compressed(folder / PREDICTIONS_FILE, allow_pickle=False, **self.predictions())
        snapshot.write(folder)
        return snapshot

    def restore(self, folder: Path, snapshot: Snapshot) -> None:
        """Go on from what `save` left in `folder`, as though this learner had taken those steps itself."""
        adapter.remove(self.model, NAME)
        adapter.load(self.model, NAME, folder)
        self.optimiser = self._optimiser()
        self.optimiser.load_state_dict(torch.load(folder / _OPTIMISER_FILE, weights_only=True))
        self.training_loss = list(snapshot.training_loss)
        self.seconds = snapshot.seconds

    def _optimiser(self) -> torch.optim.AdamW:
        parameters = adapter.parameters(self.model, NAME)
        return torch.optim.AdamW(parameters, lr=self.how.learning_rate, weight_decay=self.how.weight_decay)

    def _patches(self, batch: ExploredBatch) -> torch.Tensor:
        """Normalised patches (B, K + 1, 2, patches, values) of a batch's frames."""
        return frame_patches(batch.windows.primary, batch.windows.wrist, self.model.config)

    def _full(self, batch: ExploredBatch) -> torch.Tensor:
        """bool (B, K): the chunks that were executed in full."""
        return batch.windows.counts == self.model.config.actions_per_chunk
