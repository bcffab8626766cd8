"""The model's contract: shapes, shortcuts that change nothing, losses of what is real, errors that say why."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.small import small_config, small_inputs, small_model
from worldagen.config import PRESETS, ModelConfig
from worldagen.models.act import act
from worldagen.models.decision import DecisionRequest, History
from worldagen.models.losses import frame_patches, losses, observation_errors
from worldagen.models.pixels import normalise, patchify, to_uint8, unpatchify
from worldagen.models.text import ClipText
from worldagen.models.worldagen import Output, WorldAgen
from worldagen.types import Observation


def test_shapes() -> None:
    model = small_model(chunks=3, actions_per_chunk=4, predict_state=True)
    output = model(**small_inputs(model))
    assert output.arm.shape == (2, 3, 4, 6)
    assert output.gripper.shape == (2, 3, 4, 1)
    assert output.image.shape == (6, 2, 4, 192)
    assert output.next_arm.shape == (2, 3, 6)
    assert output.next_gripper.shape == (2, 3, 1)
    assert model.layout.length == 3 * (1 + 1 + 4 + 4 + 2 + 8 + 1 + 4)


def test_every_parameter_is_trained() -> None:
    """Data-parallel training needs it: a parameter without gradient stops it."""
    model = small_model(vision_frozen=False).train()
    inputs = {**small_inputs(model), "text_embedding": model.encode_text(["a", "b"])[:, None].expand(-1, 2, -1)}
    output = model(**inputs)
    (output.arm.sum() + output.gripper.sum() + output.image.sum()).backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_tiny_preset_is_small() -> None:
    with torch.device("meta"):
        model = WorldAgen(ModelConfig())
    assert 2e6 < sum(parameter.numel() for parameter in model.parameters()) < 3e6


@torch.no_grad()
def test_actions_do_not_depend_on_predicting_images() -> None:
    model = small_model(chunks=3)
    inputs = small_inputs(model)
    full, short = model(**inputs), model(**inputs, predict_image=False)
    assert short.image is None
    torch.testing.assert_close(full.arm, short.arm, atol=1e-5, rtol=0)
    torch.testing.assert_close(full.gripper, short.gripper, atol=1e-5, rtol=0)


@pytest.mark.parametrize("mask", ["strict", "compat"])
@torch.no_grad()
def test_imagining_is_the_world_model_alone(mask: str) -> None:
    model = small_model(chunks=3, mask=mask)
    inputs = small_inputs(model)
    features = model.encode_frames(inputs.pop("image_primary").flatten(0, 1), inputs.pop("image_wrist").flatten(0, 1))
    inputs["features"] = features.unflatten(0, (2, 3))
    torch.testing.assert_close(model.imagine(**inputs), model.decode(**inputs).image, atol=1e-5, rtol=0)


def observation(rng: np.random.Generator) -> Observation:
    frames = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    return Observation(frames[0], frames[1], rng.standard_normal(7).astype(np.float32))


@torch.no_grad()
def plain_decision(model: WorldAgen, seen: list[Observation], executed: list[np.ndarray], sentence: str) -> np.ndarray:
    """Actions of the last observation from one forward over the whole window, as in training."""
    window = seen[-model.config.chunks :]
    past = executed[len(executed) - len(window) + 1 :]
    missing = model.config.chunks - len(window)
    window += [window[-1]] * missing
    actions = np.stack([*past, *[np.ones((5, 7), np.float32)] * (missing + 1)])
    output = model(
        image_primary=normalise(torch.from_numpy(np.stack([o.primary for o in window])), model.config.image_size)[None],
        image_wrist=normalise(torch.from_numpy(np.stack([o.wrist for o in window])), model.config.image_size)[None],
        state=torch.from_numpy(np.stack([o.state for o in window]))[None],
        text_embedding=model.encode_text([sentence])[:, None].expand(-1, model.config.chunks, -1),
        action=torch.from_numpy(actions)[None].flatten(1, 2),
    )
    slot = -1 - missing
    gripper = torch.where(output.gripper[0, slot] > 0.5, 1.0, -1.0)
    return torch.cat([output.arm[0, slot], gripper], -1).numpy()


def test_a_decision_from_cached_features_equals_the_plain_forward() -> None:
    model = small_model(chunks=3)
    rng = np.random.default_rng(0)
    history, seen, executed = History(3, "open the drawer"), [], []
    for _ in range(5):
        seen.append(observation(rng))
        (decision,) = act(model, [history.request(seen[-1])])
        np.testing.assert_allclose(
            decision.actions, plain_decision(model, list(seen), executed, "open the drawer"), atol=1e-5
        )
        executed.append(decision.actions + rng.normal(0, 0.1, (5, 7)).astype(np.float32))
        history.record(seen[-1], decision, executed[-1])


def test_a_batch_of_decisions_equals_single_ones() -> None:
    model = small_model(chunks=3)
    rng = np.random.default_rng(1)
    requests = []
    for past in range(3):
        history = History(3, f"task {past}")
        for _ in range(past):
            now = observation(rng)
            (decision,) = act(model, [history.request(now)])
            history.record(now, decision, decision.actions)
        requests.append(history.request(observation(rng)))
    for together, request in zip(act(model, requests), requests, strict=True):
        (alone,) = act(model, [request])
        np.testing.assert_allclose(together.actions, alone.actions, atol=1e-5)
        np.testing.assert_allclose(together.feature, alone.feature, atol=1e-5)


def test_word_embedding_knows_words_and_their_order() -> None:
    model = small_model()
    with torch.no_grad():
        a, b, c, again = model.encode_text(
            ["Put the bowl on the plate", "put the plate on the bowl", "open the drawer", "put the bowl on the plate"]
        )
    torch.testing.assert_close(a, again)
    assert (a - b).norm() > 0.1
    assert (a - c).norm() > (a - b).norm()


def test_a_sentence_is_given_to_clip_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    clip = ClipText()
    monkeypatch.setattr(clip, "_encode", lambda new: asked.extend(new) or torch.ones(len(new), 512))
    assert clip(["a", "b", "a"]).shape == (3, 512)
    clip(["b", "c"])
    assert asked == ["a", "b", "c"]


def test_what_clip_says_does_not_depend_on_who_asks_first() -> None:
    """Training asks within a context of lower precision; what it got is kept for validation too."""

    class Model(torch.nn.Module):
        def forward(self, input_ids: torch.Tensor) -> SimpleNamespace:
            return SimpleNamespace(text_embeds=input_ids @ torch.full((3, 512), 0.1))

    clip = ClipText()
    clip._loaded = (lambda sentences, **settings: {"input_ids": torch.full((len(sentences), 3), 0.3)}), Model()
    with torch.autocast("cpu", torch.bfloat16):
        first = clip(["a"])
    assert first.dtype == torch.float32 and torch.equal(first, clip._encode(["a"]))


def test_clip_model_works_from_embeddings_without_clip_weights() -> None:
    model = small_model(text="clip")
    assert model(**small_inputs(model)).arm.shape == (2, 2, 5, 6)


def test_pixels_round_trip() -> None:
    images = torch.randint(0, 256, (2, 3, 16, 16, 3), dtype=torch.uint8)
    pixels = normalise(images, images.shape[-2])
    assert pixels.shape == (2, 3, 3, 16, 16)
    assert torch.equal(to_uint8(unpatchify(patchify(pixels, 8), 8)), images)


def test_patch_elements_are_row_column_channel() -> None:
    pixels = torch.arange(3 * 4 * 4).reshape(3, 4, 4).float()
    expected = pixels[:, 0:2, 2:4].permute(1, 2, 0).flatten()
    assert torch.equal(patchify(pixels, 2)[1], expected)


def make_output(model_batch: int = 2) -> tuple[Output, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    output = Output(
        torch.rand(model_batch, 3, 5, 6), torch.rand(model_batch, 3, 5, 1), torch.rand(model_batch * 3, 2, 4, 12)
    )
    return output, torch.rand(model_batch, 3, 5, 7) * 2 - 1, torch.rand(model_batch, 3, 2, 4, 12)


def test_losses_do_not_count_padding() -> None:
    output, intended, target = make_output()
    counts = torch.tensor([[5, 3, 0], [5, 5, 5]])
    before = losses(output, intended, counts, target)
    intended[0, 1, 3:], intended[0, 2], target[0, 1:] = 9.0, 9.0, 9.0
    after = losses(output, intended, counts, target)
    assert torch.equal(torch.stack(before), torch.stack(after))
    intended[0, 1, 2] = 9.0
    target[0, 0] = 9.0
    moved = losses(output, intended, counts, target)
    assert moved.arm != before.arm and moved.gripper != before.gripper and moved.image != before.image


def test_losses_by_hand() -> None:
    output, intended, target = make_output()
    found = losses(output, intended, torch.full((2, 3), 5), target)
    arm = torch.nn.functional.smooth_l1_loss(output.arm, intended[..., :6])
    gripper = -torch.log(1 - output.gripper).mean()  # no intended value reaches 1: all closed
    cameras = [(output.image[:, i] - target.flatten(0, 1)[:, i]).square().mean() for i in (0, 1)]
    torch.testing.assert_close(found.arm, arm)
    torch.testing.assert_close(found.gripper, gripper)
    torch.testing.assert_close(found.image, 0.5 * sum(cameras))


def test_losses_of_nothing_but_padding_are_zero() -> None:
    output, intended, target = make_output()
    assert sum(losses(output, intended, torch.zeros(2, 3, dtype=torch.long), target)) == 0


def test_observation_errors_stand_beside_copying() -> None:
    last = torch.zeros(1, 2, 2, 4, 12)
    target = last.clone()
    target[0, 0, 0, 1] = 1.0  # one patch of 16 changes
    target[0, 1] = 7.0  # not counted
    full = torch.tensor([[True, False]])
    predicted = torch.full((2, 2, 4, 12), 0.5)
    errors = observation_errors(predicted, target, last, full, threshold=0.02)
    assert errors.changed_fraction == pytest.approx(1 / 8)
    assert errors.copy_changed == pytest.approx(1.0)
    assert errors.copy_all == pytest.approx(1 / 8)
    assert errors.changed == pytest.approx(0.25)
    assert errors.all == pytest.approx(0.25)


def test_frame_patches_are_what_the_model_predicts() -> None:
    model = small_model()
    frames = torch.randint(0, 256, (2, 2, 16, 16, 3), dtype=torch.uint8)
    assert frame_patches(frames, frames, model.config).flatten(0, 1).shape == model(**small_inputs(model)).image.shape


@pytest.mark.parametrize("name", ["image_primary", "image_wrist", "state", "text_embedding", "action"])
def test_nan_is_refused(name: str) -> None:
    model = small_model()
    inputs = {key: value.clone() for key, value in small_inputs(model).items()}
    inputs[name].view(-1)[3] = float("nan")
    with pytest.raises(ValueError, match=f"{name} holds .* not finite"):
        model(**inputs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {k: v[:, :1] if k != "action" else v for k, v in x.items()}, "1 chunks, the model was built for 2"),
        (lambda x: {**x, "image_wrist": x["image_wrist"][..., :8]}, r"image_wrist has shape .*expected .*16, 16"),
        (lambda x: {**x, "state": x["state"][..., :6]}, r"state has shape \(2, 2, 6\), expected \(2, 2, 7\)"),
        (lambda x: {**x, "text_embedding": x["text_embedding"][:, 0]}, "text_embedding has shape"),
        (lambda x: {**x, "action": x["action"][:, :-1]}, "action has shape"),
    ],
)
def test_wrong_shapes_are_refused(change, message: str) -> None:
    model = small_model()
    with pytest.raises(ValueError, match=message):
        model(**change(small_inputs(model)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 20}, "image_size=20 is not a multiple of model.patch_size=8"),
        ({"observation_queries": 8}, "observation_queries=8 is not a perfect square"),
        ({"mask": "loose"}, "model.mask='loose' is not one of strict, compat"),
        ({"text": "bert"}, "model.text='bert' is not one of"),
        ({"vision_heads": 3}, "vision_width=16 is not a multiple of model.vision_heads=3"),
        ({"hidden": 34, "decoder_heads": 2}, "model.hidden=34 is not a multiple of 4, as its positions need it"),
        ({"layers": 0}, "model.layers=0 must be greater than 0"),
    ],
)
def test_impossible_sizes_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WorldAgen(small_config(**change))


def test_windows_that_do_not_fit_are_refused() -> None:
    model = small_model(chunks=2)
    frame = np.zeros((16, 16, 3), np.uint8)
    states = np.zeros((3, 7), np.float32)
    with pytest.raises(ValueError, match="3 observations does not fit a model of 2 chunks"):
        act(model, [DecisionRequest(frame, frame, np.zeros((2, 6, 32)), states, np.zeros((2, 5, 7)), "go")])
    with pytest.raises(ValueError, match="features have shape"):
        act(model, [DecisionRequest(frame, frame, np.zeros((1, 6, 31)), states[:2], np.zeros((1, 5, 7)), "go")])


def test_presets_differ_from_each_other_only_in_the_window() -> None:
    calvin, libero = PRESETS["paper_calvin"], PRESETS["paper_libero"]
    assert {key for key in calvin if calvin[key] != libero[key]} == {"chunks", "actions_per_chunk"}
