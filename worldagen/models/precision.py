"""In which arithmetic a step of training or adaptation runs. Weights, optimiser and losses are always float32."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel


def compute_type(setting: str, device: str) -> torch.dtype:
    """The type that a setting `precision` means here: `auto` is bfloat16 where the hardware multiplies it natively."""
    if setting != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16}[setting]
    if device.startswith("cuda"):
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32


@contextmanager
def computing(dtype: torch.dtype, device: str) -> Iterator[None]:
    """Within this context, matrix products run in `dtype`."""
    if dtype == torch.float32:
        yield
        return
    kind = torch.device(device).type
    with torch.autocast(kind, dtype):
        if kind == "cuda":
            yield
        else:  # torch's fused CPU attention is slow in bfloat16: at our sizes plain products halve the whole step
            with sdpa_kernel(SDPBackend.MATH):
                yield
