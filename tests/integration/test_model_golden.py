"""The published numbers: our model computes what the authors' model computed (tests/golden/README.md)."""

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from worldagen.config import PRESETS, ModelConfig
from worldagen.models.losses import losses
from worldagen.models.mask import attention_mask
from worldagen.models.pixels import patchify
from worldagen.models.tokens import Layout
from worldagen.models.worldagen import WorldAgen

GOLDEN = Path(__file__).parent.parent / "golden"
ELSEWHERE = Path(os.environ.get("WORLDAGEN_GOLDEN", GOLDEN))
DERIVED = ("attention_mask", "image_decoder_position_embedding", "vision_encoder.decoder", "vision_encoder.mask_token")


@dataclass(frozen=True)
class Case:
    name: str
    seed: int
    chunks: int
    actions: int
    layers: int


SMALL = [Case("calvin_k3_a5_l2", 11, 3, 5, 2), Case("libero_k2_a3_l2", 12, 2, 3, 2)]
PUBLISHED = Case("calvin_k3_a5_l24", 13, 3, 5, 24)


def reference_weights(layers: int) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(model, MAE) tensors under the authors' names, filled by formula."""
    model, mae = {}, {}
    for name, shape in json.loads((GOLDEN / "reference_shapes.json").read_text()).items():
        if name.startswith(DERIVED) or (
            ".layers." in name and "backbone" in name and int(name.split(".")[2]) >= layers
        ):
            continue
        if name.startswith("vision_encoder."):
            mae[name.removeprefix("vision_encoder.")] = fill(name.removeprefix("vision_encoder."), shape)
        else:
            model[name] = fill(name, shape)
    mae["pos_embed"] *= 0.1
    return model, mae


def fill(name: str, shape: list[int]) -> torch.Tensor:
    rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
    x = rng.standard_normal(shape, dtype=np.float32)
    last = name.rsplit(".", 1)[-1]
    if last == "bias":
        x = 0.02 * x
    elif len(shape) == 1:
        x = 1 + 0.02 * x
    elif last == "weight":
        x = x / np.sqrt(np.prod(shape[1:]))
    else:
        x = 0.5 * x
    return torch.from_numpy(x.astype(np.float32))


def inputs(case: Case) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """(arguments of the model, label images (2, K, 2, 3, 224, 224))."""
    r, k, a = np.random.Generator(np.random.PCG64(case.seed)), case.chunks, case.actions

    def normal(*shape: int) -> np.ndarray:
        return r.standard_normal(shape, dtype=np.float32)

    def gripper(*shape: int) -> np.ndarray:
        return (r.random(shape, dtype=np.float32) > 0.5).astype(np.float32)

    arguments = {
        "image_primary": normal(2, k, 3, 224, 224),
        "image_wrist": normal(2, k, 3, 224, 224),
        "state": np.concatenate([normal(2, k, 6) * np.float32(0.3), gripper(2, k, 1)], -1),
        "text_embedding": np.repeat(normal(2, 1, 512) * np.float32(0.4), k, axis=1),
        "action": np.concatenate([r.random((2, k * a, 6), dtype=np.float32) * 2 - 1, gripper(2, k * a, 1)], -1),
    }
    labels = np.stack([normal(2, k, 3, 224, 224), normal(2, k, 3, 224, 224)], axis=2)
    return {name: torch.from_numpy(value) for name, value in arguments.items()}, torch.from_numpy(labels)


def compare(case: Case, model: WorldAgen, folder: Path) -> None:
    expected = np.load(folder / f"{case.name}.npz")
    arguments, labels = inputs(case)
    output = model(**arguments)
    assert output.image is not None
    intended = arguments["action"].unflatten(1, (case.chunks, case.actions))
    full = torch.full((2, case.chunks), case.actions)
    loss = losses(output, intended, full, patchify(labels, 16))
    last = model.backbone.layers[-1]
    weights = [model.backbone.layers[0].self_attn.q_proj.weight, last.mlp.down_proj.weight]
    gradients = torch.autograd.grad(0.1 * loss.image, weights)
    found = {
        "arm": output.arm,
        "gripper": output.gripper,
        "image": output.image[:, :, ::7],
        "image_mean": output.image.mean((-2, -1)),
        "image_std": output.image.std((-2, -1), correction=0),
        "loss_image": loss.image,
        "loss_arm": loss.arm,
        "loss_gripper": loss.gripper,
        "grad_norm_q0": gradients[0].norm(),
        "grad_norm_down_last": gradients[1].norm(),
    }
    for key, value in found.items():
        np.testing.assert_allclose(value.detach().numpy(), expected[key], rtol=0, atol=1e-4, err_msg=key)
    np.testing.assert_array_equal(model.mask.numpy(), expected["mask"])


def build(case: Case, weights: tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]) -> WorldAgen:
    model = WorldAgen.from_reference(
        state_dict=weights[0],
        mae_state_dict=weights[1],
        chunks=case.chunks,
        actions_per_chunk=case.actions,
        layers=case.layers,
        mask="compat",
    )
    # Gradients are wanted of two backbone matrices only; the rest would double the test's time.
    model.requires_grad_(False)
    model.backbone.requires_grad_(True)
    return model


def test_two_layers_reproduce_the_published_numbers() -> None:
    weights = reference_weights(layers=2)
    for case in SMALL:
        compare(case, build(case, weights), GOLDEN)


@pytest.mark.full
def test_published_size_reproduces_the_published_numbers() -> None:
    if not (ELSEWHERE / f"{PUBLISHED.name}.npz").is_file():
        pytest.skip(f"{PUBLISHED.name}.npz is not in {ELSEWHERE}; set WORLDAGEN_GOLDEN to its folder")
    compare(PUBLISHED, build(PUBLISHED, reference_weights(PUBLISHED.layers)), ELSEWHERE)


def test_parameter_count_is_the_published_one() -> None:
    with torch.device("meta"):
        model = WorldAgen(ModelConfig(**PRESETS["paper_calvin"]))
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 124_213_262
    assert sum(p.numel() for p in model.vision.parameters()) + model.vision.pos_embed.numel() == 85_798_656


def test_comparison_notices_another_mask() -> None:
    """Positive control: the golden mask is neither ours for training nor that of another layout."""
    expected = np.load(GOLDEN / "calvin_k3_a5_l2.npz")["mask"]
    assert not np.array_equal(attention_mask(Layout(3, 5), "strict").numpy(), expected)
    np.testing.assert_array_equal(attention_mask(Layout(3, 5), "compat").numpy(), expected)
