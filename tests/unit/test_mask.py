"""What the mask promises, 24 layers deep: proved on the mask (transitive closure) and on the module (perturbation).

Each promise stands beside a positive control: the same change moves what it should move.
"""

import pytest
import torch

from tests.small import small_inputs, small_model
from worldagen.models.mask import attention_mask, seen_by
from worldagen.models.tokens import GROUPS, PREDICTIONS, Layout
from worldagen.models.worldagen import Output, WorldAgen

LAYERS = 24
LAYOUTS = [Layout(3, 5), Layout(2, 3), Layout(2, 5, queries=4), Layout(2, 2, queries=1, predict_state=True)]
WORLD = ("observation", "next_state")


def reach(layout: Layout, kind: str, hops: int) -> torch.Tensor:
    """bool (L, L): can information of the column's token be in the row's after `hops` layers?"""
    once = (attention_mask(layout, kind) | torch.eye(layout.length, dtype=torch.bool)).double()
    total = torch.eye(layout.length, dtype=torch.float64)
    for _ in range(hops):
        total = ((total @ once) > 0).double()
    return total > 0


def where(layout: Layout, groups: tuple[str, ...], chunk: int | None = None) -> torch.Tensor:
    return torch.tensor([group in groups and chunk in (None, at) for at, group in layout.rows()])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strict_world_model_never_meets_the_instruction(layout: Layout) -> None:
    text, world = where(layout, ("text",)), where(layout, WORLD)
    assert not reach(layout, "strict", LAYERS)[world][:, text].any()
    assert reach(layout, "strict", 1)[where(layout, ("policy",))][:, text].any(1).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_strict_text_reaches_text_and_policy_only(layout: Layout) -> None:
    others = tuple(group for group in GROUPS if group not in ("text", "policy"))
    assert not reach(layout, "strict", LAYERS)[where(layout, others)][:, where(layout, ("text",))].any()


def test_compat_leaks_in_two_layers_but_not_in_one() -> None:
    layout = LAYOUTS[0]
    text, world = where(layout, ("text",)), where(layout, WORLD)
    assert not reach(layout, "compat", 1)[world][:, text].any()
    assert reach(layout, "compat", 2)[world][:, text].any()


@pytest.mark.parametrize("kind", ["strict", "compat"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_closure(layout: Layout, kind: str) -> None:
    mask, closure = attention_mask(layout, kind), reach(layout, kind, LAYERS)
    assert not mask[:, where(layout, PREDICTIONS)].any()
    assert mask.any(1).all(), "a row that sees nothing would be undefined"
    for chunk in range(layout.chunks):
        actions = where(layout, ("action",), chunk)
        assert not closure[where(layout, ("policy",), chunk)][:, actions].any()
        assert closure[where(layout, ("observation",), chunk)][:, actions].all()
        later = torch.tensor([at > chunk for at, _ in layout.rows()])
        assert not closure[where(layout, GROUPS, chunk)][:, later].any()


def test_world_model_depends_on_text_in_compat_only() -> None:
    assert seen_by(WORLD, "strict") == {"state", "action", "image", "cls", *WORLD}
    assert seen_by(WORLD, "compat") == {"text", "state", "action", "image", "cls", *WORLD}
    assert seen_by(["policy"], "strict") == {"text", "state", "action", "image", "cls", "policy"}


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'loose'.*strict, compat"):
        attention_mask(LAYOUTS[0], "loose")


def deep(kind: str) -> WorldAgen:
    return small_model(chunks=3, actions_per_chunk=2, layers=LAYERS, mask=kind)


@torch.no_grad()
def run(model: WorldAgen, **changes: torch.Tensor) -> Output:
    return model(**{**small_inputs(model), **changes})


def images(output: Output, chunk: int) -> torch.Tensor:
    assert output.image is not None
    return output.image.unflatten(0, (2, -1))[:, chunk]


def moved(a: torch.Tensor, b: torch.Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-4)


def test_another_instruction_moves_no_predicted_image() -> None:
    model = deep("strict")
    before, after = run(model), run(model, text_embedding=torch.randn(2, 3, 512))
    assert torch.equal(before.image, after.image)
    assert moved(before.arm, after.arm)


def test_another_instruction_moves_predicted_images_in_compat() -> None:
    model = deep("compat")
    before, after = run(model), run(model, text_embedding=torch.randn(2, 3, 512))
    assert moved(before.image, after.image)


@pytest.mark.parametrize("kind", ["strict", "compat"])
def test_policy_is_blind_to_its_own_chunks_actions(kind: str) -> None:
    model = deep(kind)
    action = small_inputs(model)["action"].clone()
    action[:, 2:4] = torch.randn(2, 2, 7)
    before, after = run(model), run(model, action=action)
    assert torch.equal(before.arm[:, :2], after.arm[:, :2])
    assert torch.equal(before.gripper[:, :2], after.gripper[:, :2])
    assert moved(before.arm[:, 2], after.arm[:, 2])
    assert moved(images(before, 1), images(after, 1))


@pytest.mark.parametrize("name", ["image_primary", "image_wrist", "state"])
def test_nothing_sees_the_future(name: str) -> None:
    model = deep("strict")
    changed = small_inputs(model)[name].clone()
    changed[:, 2] += 1.0
    before, after = run(model), run(model, **{name: changed})
    for chunk in (0, 1):
        assert torch.equal(before.arm[:, chunk], after.arm[:, chunk])
        assert torch.equal(images(before, chunk), images(after, chunk))
    assert moved(before.arm[:, 2], after.arm[:, 2])
    assert moved(images(before, 2), images(after, 2))


def test_queries_are_never_attended_to() -> None:
    model = deep("strict")
    before = run(model)
    model.observation_queries.data += torch.randn_like(model.observation_queries)
    world = run(model)
    assert torch.equal(before.arm, world.arm)
    assert moved(before.image, world.image)
    model.policy_query.data += torch.randn_like(model.policy_query)
    policy = run(model)
    assert torch.equal(world.image, policy.image)
    assert moved(world.arm, policy.arm)
