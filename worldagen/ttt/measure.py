"""What an adapter is measured by: held-out explored windows, and what the base does on them."""

from collections import defaultdict
from collections.abc import Iterator

import numpy as np
import torch

from worldagen.arms import Measurement
from worldagen.models.losses import frame_patches, observation_errors
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.ttt.features import ExploredBatch, ExploredWindows, imagine_and_act

_WINDOWS_AT_ONCE = 32


class Yardstick:
    """The held-out `windows` of `model`, which must run as the base when this is made.

    The sentence embeddings `instructions` (n, 512), under which the policy's drift is measured, take turns over the
    windows. `few` windows, spread over all, serve the measurement after every step.
    """

    def __init__(
        self,
        model: WorldAgen,
        windows: ExploredWindows,
        instructions: torch.Tensor,
        changed_threshold: float,
        few: int,
    ) -> None:
        self.model, self.windows, self.changed_threshold = model, windows, changed_threshold
        self.instructions = instructions
        self.all = np.arange(len(windows))
        self.few = np.unique(np.linspace(0, len(windows) - 1, min(few, len(windows))).astype(int))
        base = [output for _, _, output in self._outputs(self.all)]
        self.base_arm = torch.cat([output.arm for output in base])
        self.base_gripper = torch.cat([output.gripper for output in base])

    def measure(self, update_norm: float, chosen: np.ndarray) -> Measurement:
        """The model as it runs now on the windows `chosen` (`all` or `few`); `update_norm` is passed on."""
        sums: defaultdict[str, float] = defaultdict(float)
        for indices, batch, output in self._outputs(chosen):
            self._add_errors(sums, batch, output)
            self._add_drift(sums, batch, output, torch.from_numpy(indices))
        names = ("all", "changed", "copy_all", "copy_changed", "changed_fraction", "arm_drift", "gripper_flips")
        return Measurement(
            **{name: sums[name] / max(sums[f"{name} of"], 1e-12) for name in names}, update_norm=update_norm
        )

    def _add_errors(self, sums: dict[str, float], batch: ExploredBatch, output: Output) -> None:
        """World-model errors: means over all patches of full chunks, or over those of them that changed."""
        assert output.image is not None
        frames = frame_patches(batch.windows.primary, batch.windows.wrist, self.model.config)
        full = batch.windows.counts == self.model.config.actions_per_chunk
        errors = observation_errors(output.image, frames[:, 1:], frames[:, :-1], full, self.changed_threshold)
        chunks = float(full.sum())
        for name, value in errors._asdict().items():
            weight = chunks * (float(errors.changed_fraction) if name in ("changed", "copy_changed") else 1.0)
            sums[name] += float(value) * weight
            sums[f"{name} of"] += weight

    def _add_drift(self, sums: dict[str, float], batch: ExploredBatch, output: Output, indices: torch.Tensor) -> None:
        """Mean absolute difference to the base's arm actions, and share of flipped gripper commands, at real chunks."""
        real = batch.windows.counts > 0
        moved = (output.arm - self.base_arm[indices])[real].abs()
        flipped = ((output.gripper > 0.5) != (self.base_gripper[indices] > 0.5))[real].float()
        for name, values in (("arm_drift", moved), ("gripper_flips", flipped)):
            sums[name] += float(values.sum())
            sums[f"{name} of"] += values.numel()

    @torch.no_grad()
    def _outputs(self, chosen: np.ndarray) -> Iterator[tuple[np.ndarray, ExploredBatch, Output]]:
        for first in range(0, len(chosen), _WINDOWS_AT_ONCE):
            indices = chosen[first : first + _WINDOWS_AT_ONCE]
            batch = self.windows.batch(indices)
            text = self.instructions[torch.from_numpy(indices % len(self.instructions))]
            yield indices, batch, imagine_and_act(self.model, batch, text)
