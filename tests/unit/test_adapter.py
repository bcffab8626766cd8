"""Adapters touch what they may: the base stays, bit for bit, and many adapters share it."""

from pathlib import Path

import pytest
import torch

from tests.small import small_inputs, small_model
from worldagen.config import ModelConfig
from worldagen.models import adapter
from worldagen.models.adapter import AdapterError
from worldagen.models.losses import image_loss
from worldagen.models.weights import base_state, fingerprint
from worldagen.models.worldagen import WorldAgen


def trained(model: WorldAgen, name: str, steps: int = 3, seed: int = 0) -> None:
    """Add an adapter and take steps on the observation loss."""
    adapter.add(model, name, rank=4, alpha=8.0, seed=seed)
    inputs = small_inputs(model, seed=seed)
    target = torch.randn(2, 2, 2, 4, 192, generator=torch.Generator().manual_seed(seed))
    optimiser = torch.optim.AdamW(adapter.parameters(model, name), lr=1e-2)
    for _ in range(steps):
        optimiser.zero_grad()
        image = model(**inputs).image
        assert image is not None
        image_loss(image, target, torch.ones(2, 2, dtype=torch.bool)).backward()
        optimiser.step()


@torch.no_grad()
def outputs(model: WorldAgen) -> torch.Tensor:
    output = model(**small_inputs(model, batch=3, seed=7))
    assert output.image is not None
    return torch.cat(
        [output.arm.flatten(1), output.gripper.flatten(1), output.image.unflatten(0, (3, -1)).flatten(1)], 1
    )


def test_training_moves_the_adapter_and_nothing_else() -> None:
    model = small_model()
    weights = {name: tensor.clone() for name, tensor in base_state(model).items()}
    before = outputs(model)
    trained(model, "a")
    after = base_state(model)
    assert list(after) == list(weights)
    assert all(torch.equal(after[name], weights[name]) for name in weights)
    assert adapter.update_norm(model, "a") > 0
    assert (outputs(model) - before).abs().max() > 1e-3
    adapter.use(model, None)
    assert torch.equal(outputs(model), before)
    adapter.remove(model, "a")
    assert adapter.names(model) == ()
    assert torch.equal(outputs(model), before)


def test_freezing_the_tiny_preset_changes_no_bit() -> None:
    torch.manual_seed(0)
    model = WorldAgen(ModelConfig()).eval()
    before = outputs(model)
    adapter.add(model, "a", rank=4, alpha=8.0)
    adapter.use(model, None)
    assert torch.equal(outputs(model), before)


def test_only_the_adapter_gets_gradients() -> None:
    model = small_model()
    trained(model, "a")
    trainable = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert len(trainable) == 2 * 7 * model.config.layers
    assert all(".lora_" in name and ".a." in name for name in trainable)


def test_a_fresh_adapter_changes_nothing() -> None:
    model = small_model()
    before = outputs(model)
    adapter.add(model, "a", rank=4, alpha=8.0)
    assert torch.equal(outputs(model), before)
    assert adapter.update_norm(model, "a") == 0


def test_features_do_not_depend_on_adapters() -> None:
    model = small_model()
    images = torch.randn(2, 3, 16, 16)
    before = model.encode_frames(images, images)
    trained(model, "a")
    assert torch.equal(model.encode_frames(images, images), before)


def test_update_norm_is_the_norm_of_the_weight_change() -> None:
    model = small_model()
    trained(model, "a")
    total = sum(
        float(module.get_delta_weight("a").detach().square().sum())
        for module in model.backbone.modules()
        if hasattr(module, "get_delta_weight")
    )
    assert adapter.update_norm(model, "a") == pytest.approx(total**0.5, rel=1e-4)


def test_a_seed_decides_every_bit() -> None:
    states = []
    for seed in (1, 1, 2):
        model = small_model()
        torch.rand(seed)  # what ran before must not matter
        adapter.add(model, "a", rank=4, alpha=8.0, seed=seed)
        states.append(adapter.state(model, "a"))
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert any(not torch.equal(states[0][key], states[2][key]) for key in states[0])


def test_adapters_live_side_by_side_and_mix_in_a_batch() -> None:
    model = small_model()
    base = outputs(model)
    for seed, name in enumerate("ab"):
        trained(model, name, seed=seed)
    alone = {None: base}
    for name in ("a", "b"):
        adapter.use(model, name)
        alone[name] = outputs(model)
    assert (alone["a"] - alone["b"]).abs().max() > 1e-3
    for wanted in (["b", None, "a"], ["a", "a", "a"], [None, None, "b"], [None, None, None]):
        with adapter.mixed(model, wanted):
            together = outputs(model)
        for row, name in enumerate(wanted):
            torch.testing.assert_close(together[row], alone[name][row], atol=1e-5, rtol=0)
    adapter.use(model, None)
    assert adapter.in_use(model) is None
    assert torch.equal(outputs(model), base)


def test_save_and_load(tmp_path: Path) -> None:
    model = small_model()
    trained(model, "a")
    expected, norm = outputs(model), adapter.update_norm(model, "a")
    adapter.save(model, "a", tmp_path / "v1", {"steps": 3})
    other = small_model()
    adapter.load(other, "copy", tmp_path / "v1")
    assert torch.equal(outputs(other), expected)
    assert adapter.update_norm(other, "copy") == norm
    assert [path.name for path in tmp_path.iterdir()] == ["v1"]


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    model = small_model(seed=0)
    trained(model, "a")
    adapter.save(model, "a", tmp_path / "v1", {})
    other = small_model(seed=1)
    with pytest.raises(AdapterError, match=f"base weights {fingerprint(model)}, this model's are {fingerprint(other)}"):
        adapter.load(other, "a", tmp_path / "v1")
    assert adapter.names(other) == ()


def test_snapshots_restore() -> None:
    model = small_model()
    trained(model, "a")
    snapshot, before = adapter.state(model, "a"), outputs(model)
    adapter.set_state(model, "a", {key: tensor + 1 for key, tensor in snapshot.items()})
    assert not torch.equal(outputs(model), before)
    adapter.set_state(model, "a", snapshot)
    assert torch.equal(outputs(model), before)
    with pytest.raises(AdapterError, match=r"1 tensors are missing.*layers\.0\.self_attn\.q_proj\.lora_A"):
        adapter.set_state(
            model, "a", {k: v for k, v in snapshot.items() if k != "layers.0.self_attn.q_proj.lora_A.weight"}
        )


def test_names_that_cannot_be_are_refused(tmp_path: Path) -> None:
    model = small_model()
    adapter.add(model, "a", rank=2, alpha=4.0)
    with pytest.raises(AdapterError, match="already loaded"):
        adapter.add(model, "a", rank=2, alpha=4.0)
    with pytest.raises(AdapterError, match="holds a dot"):
        adapter.add(model, "lr0.1", rank=2, alpha=4.0)
    with pytest.raises(AdapterError, match="'b' is not loaded; loaded: a"):
        adapter.use(model, "b")
    with pytest.raises(AdapterError, match="'b' is not loaded"), adapter.mixed(model, [None, "b"]):
        pass
    with pytest.raises(AdapterError, match="holds no adapter"):
        adapter.load(model, "c", tmp_path)
