"""torch.compile for training: the parts of the model that are nearly all of its arithmetic, and nothing else.

What lies between them works on sentences and checks its input, which a compiler can only break off at.
"""

from contextlib import AbstractContextManager

import torch

from worldagen.models.worldagen import WorldAgen


def compiles(setting: str, device: str) -> bool:
    """Whether `pretrain.compile` means that parts are compiled on this device."""
    return setting == "on" or (setting == "auto" and device.startswith("cuda"))


def compile_parts(model: WorldAgen) -> None:
    """Have the large parts of `model` compiled at their first call, each in place: names of weights stay the same."""
    for part in (model.vision, model.resampler, model.backbone, model.image_decoder):
        part.compile()


def not_compiled() -> AbstractContextManager[None]:
    """Within this context nothing is compiled, or runs so: validation has other batch sizes, and each would compile."""
    return torch.compiler.set_stance("force_eager")
