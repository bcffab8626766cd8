"""Adapters of some tokens and some layers: what they leave alone they leave alone bit for bit, in mixed batches too."""

from pathlib import Path

import pytest
import torch
from peft.tuners.lora import LoraLayer

from tests.small import small_inputs, small_model
from worldagen.models import adapter
from worldagen.models.act import act
from worldagen.models.adapter import AdapterError
from worldagen.models.decision import DecisionRequest
from worldagen.models.tokens import GROUPS, Layout
from worldagen.models.worldagen import WorldAgen
from worldagen.ttt.methods import CONTEXT_ROWS, WORLD_MODEL_ROWS


def disturb(model: WorldAgen, name: str, **where: object) -> None:
    """Add an adapter that changes much."""
    adapter.add(model, name, rank=4, alpha=8.0, **where)  # type: ignore[arg-type]
    for seed, parameter in enumerate(adapter.parameters(model, name)):
        torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def outputs(model: WorldAgen, predict_image: bool = True) -> tuple[torch.Tensor, torch.Tensor | None]:
    output = model(**small_inputs(model, batch=3, seed=7), predict_image=predict_image)
    return torch.cat([output.arm, output.gripper], -1), output.image


@pytest.mark.parametrize("mask", ["strict", "compat"])
@pytest.mark.parametrize("predict_image", [True, False])
def test_an_adapter_of_world_model_rows_leaves_every_bit_of_the_actions(mask: str, predict_image: bool) -> None:
    model = small_model(mask=mask, predict_state=True)
    actions, image = outputs(model, predict_image)
    disturb(model, "a", rows=WORLD_MODEL_ROWS)
    adapted, adapted_image = outputs(model, predict_image)
    assert torch.equal(adapted, actions)
    if image is not None and adapted_image is not None:
        assert (adapted_image - image).abs().max() > 1e-2


def test_without_the_row_mask_the_same_adapter_changes_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the test above holds because of the mask, not because of the adapter."""
    model = small_model()
    actions, _ = outputs(model)
    disturb(model, "a", rows=WORLD_MODEL_ROWS)
    members = Layout.members
    for wrong in (GROUPS, (*WORLD_MODEL_ROWS, "policy"), (*WORLD_MODEL_ROWS, "image")):
        monkeypatch.setattr(Layout, "members", lambda self, groups, _, wrong=wrong: members(self, groups, wrong))
        assert (outputs(model)[0] - actions).abs().max() > 1e-3, wrong


def test_context_rows_change_actions_only_through_what_they_attend_to() -> None:
    model = small_model()
    actions, _ = outputs(model)
    disturb(model, "a", rows=(*WORLD_MODEL_ROWS, *CONTEXT_ROWS))
    assert (outputs(model)[0] - actions).abs().max() > 1e-3
    own = ~model.layout.members(model.running, (*WORLD_MODEL_ROWS, *CONTEXT_ROWS))
    assert own.sum() == model.config.chunks * (1 + model.config.actions_per_chunk), "text and policy"
    for layer in model.backbone.modules():
        if isinstance(layer, LoraLayer):
            x = torch.randn(2, len(own), layer.in_features)
            changed = (layer(x) != layer.base_layer(x)).any(-1).any(0)
            assert torch.equal(changed, ~own)


def test_rows_hold_in_a_mixed_batch_of_the_inference_server() -> None:
    model = small_model(image_size=16)
    generator = torch.Generator().manual_seed(0)
    frame = torch.randint(0, 256, (2, 16, 16, 3), generator=generator, dtype=torch.uint8).numpy()

    def decide(*adapters: str) -> list:
        empty = torch.zeros(0).numpy()
        requests = [
            DecisionRequest(
                primary=frame[0], wrist=frame[1], features=empty, states=torch.ones(1, 7).numpy(), actions=empty,
                instruction="do a", adapter=name,
            )
            for name in adapters
        ]  # fmt: skip
        return [decision.actions for decision in act(model, requests)]

    base = decide("", "", "", "")[0]
    disturb(model, "rows", rows=WORLD_MODEL_ROWS)
    disturb(model, "all")
    disturb(model, "last", layers=[1])
    for mixture in (("rows", "", "all", "last"), ("all", "rows", "rows", "last"), ("rows",) * 4):
        for name, actions in zip(mixture, decide(*mixture), strict=True):
            assert (actions == base).all() == (name in ("", "rows")), (mixture, name)


def test_an_adapter_of_some_layers_acts_in_no_other() -> None:
    model = small_model(layers=3)
    disturb(model, "a", layers=[1])
    disturb(model, "b")
    assert {key.split(".")[1] for key in adapter.state(model, "a")} == {"1"}
    assert len(adapter.parameters(model, "a")) * 3 == len(adapter.parameters(model, "b"))
    alone = small_model(layers=3)
    disturb(alone, "a", layers=[1])
    adapter.use(model, "a")
    assert torch.equal(outputs(model)[0], outputs(alone)[0])
    assert adapter.update_norm(model, "a") == adapter.update_norm(alone, "a") > 0


def test_removing_an_adapter_of_more_layers_leaves_none_in_use() -> None:
    model = small_model()
    before, _ = outputs(model)
    disturb(model, "last", layers=[1])
    disturb(model, "all")
    adapter.remove(model, "all")
    assert adapter.in_use(model) is None and torch.equal(outputs(model)[0], before)
    adapter.use(model, "last")
    assert not torch.equal(outputs(model)[0], before)
    with adapter.unused(model):
        assert torch.equal(outputs(model)[0], before)
    assert adapter.in_use(model) == "last" and not torch.equal(outputs(model)[0], before)


def test_rows_and_layers_are_saved_and_loaded(tmp_path: Path) -> None:
    model = small_model()
    disturb(model, "a", rows=WORLD_MODEL_ROWS, layers=[1])
    adapter.save(model, "a", tmp_path / "v1", {})
    other = small_model()
    adapter.load(other, "copy", tmp_path / "v1")
    for mine, its in zip(outputs(model), outputs(other), strict=True):
        assert mine is not None and its is not None and torch.equal(mine, its)
    assert adapter.state(other, "copy").keys() == adapter.state(model, "a").keys()


def test_rows_and_layers_that_there_are_not_are_refused() -> None:
    model = small_model()
    with pytest.raises(AdapterError, match=r"'observations'.*did you mean 'observation'"):
        adapter.add(model, "a", rank=2, alpha=4.0, rows=["observations"])
    with pytest.raises(AdapterError, match=r"no layer \[2\]; the backbone has layers 0 to 1"):
        adapter.add(model, "a", rank=2, alpha=4.0, layers=[0, 2])
    assert adapter.names(model) == ()
