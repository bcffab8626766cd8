from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation

from tests.small import small_model
from tests.synthetic import make_trajectory
from worldagen.models import checkpoint
from worldagen.models.act import act
from worldagen.models.conventions import OWN, Conventions
from worldagen.models.decision import DecisionRequest
from worldagen.models.pixels import resize
from worldagen.models.published import PUBLISHED
from worldagen.models.weights import CheckpointError
from worldagen.ttt.features import ExploredWindows

PUBLISHED_LIBERO = PUBLISHED["libero"].conventions
PUBLISHED_CALVIN = PUBLISHED["calvin"].conventions


def test_the_published_pairing_is_late_for_calvin_only() -> None:
    assert "late" in PUBLISHED_CALVIN.pairing and PUBLISHED_LIBERO.pairing == Conventions().pairing


def request(model, seed: int = 0) -> DecisionRequest:
    rng, size = np.random.default_rng(seed), model.config.image_size
    return DecisionRequest(
        primary=rng.integers(0, 256, (size, size, 3), np.uint8),
        wrist=rng.integers(0, 256, (size, size, 3), np.uint8),
        features=rng.standard_normal((1, model.layout.features, model.config.hidden), np.float32),
        states=np.concatenate([rng.standard_normal((2, 6)), [[1], [-1]]], 1).astype(np.float32),
        actions=np.ones((1, model.config.actions_per_chunk, 7), np.float32),
        instruction="open the drawer",
    )


def test_a_model_of_other_conventions_acts_as_though_it_had_ours() -> None:
    """Asked by hand in its own terms, and asked in ours, it must say the same thing."""
    model = small_model()
    ours = request(model)
    theirs = replace(
        ours,
        primary=ours.primary[::-1].copy(),
        wrist=ours.wrist[::-1].copy(),
        states=ours.states * np.array([1, 1, 1, 1, 1, 1, -1], np.float32),
        actions=ours.actions * np.array([1, 1, 1, 1, 1, 1, -1], np.float32),
    )
    by_hand = act(model, [theirs])[0]
    model.conventions = PUBLISHED_LIBERO
    converted = act(model, [ours])[0]
    np.testing.assert_array_equal(converted.feature, by_hand.feature)
    np.testing.assert_array_equal(converted.actions[:, :6], by_hand.actions[:, :6])
    np.testing.assert_array_equal(converted.actions[:, 6], -by_hand.actions[:, 6])
    model.conventions = OWN
    assert not np.array_equal(act(model, [ours])[0].actions, converted.actions)


def test_euler_angles_are_those_of_the_same_rotation() -> None:
    states = request(small_model()).states
    converted = PUBLISHED_CALVIN.states(states)
    assert converted.dtype == np.float32
    matrices = Rotation.from_euler("xyz", converted[:, 3:6]).as_matrix()
    np.testing.assert_allclose(matrices, Rotation.from_rotvec(states[:, 3:6]).as_matrix(), atol=1e-6)
    np.testing.assert_array_equal(converted[:, [0, 1, 2, 6]], states[:, [0, 1, 2, 6]])


def test_adaptation_learns_in_the_models_conventions() -> None:
    model, explored = small_model(), make_trajectory()
    plain = ExploredWindows(model, [explored]).batch([0]).windows
    model.conventions = PUBLISHED_LIBERO
    batch = ExploredWindows(model, [explored]).batch([0]).windows
    assert torch.equal(batch.primary, plain.primary.flip(-3))
    assert torch.equal(batch.action[..., 6], -plain.action[..., 6])
    assert torch.equal(batch.action[..., :6], plain.action[..., :6])


def test_a_checkpoint_keeps_its_conventions(tmp_path: Path) -> None:
    model = small_model()
    model.conventions = PUBLISHED_LIBERO
    checkpoint.save(model, tmp_path / "a", {})
    assert checkpoint.load(tmp_path / "a").conventions == PUBLISHED_LIBERO
    path = tmp_path / "a" / "config.json"
    path.write_text(path.read_text().replace("upside down", "sideways"))
    with pytest.raises(
        CheckpointError, match=r"config\.json: unknown convention image='sideways'; did you mean 'upside down'"
    ):
        checkpoint.load(tmp_path / "a")


def test_unknown_conventions_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown convention gripper='open is good'"):
        Conventions(gripper="open is good")


@pytest.mark.parametrize("size", [224, 64])
def test_images_are_resized_as_clip_resizes_them(size: int) -> None:
    """CLIP's transform is Pillow's bicubic resize; rounding may differ by one level."""
    smooth = np.add.outer(np.arange(128), np.arange(128))[..., None] * np.array([0.9, 0.5, 0.2])
    image = (smooth + np.random.default_rng(0).integers(0, 20, (128, 128, 3))).clip(0, 255).astype(np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)).astype(int)
    found = resize(torch.from_numpy(image)[None, None], size)
    assert found.shape == (1, 1, size, size, 3)
    assert np.abs(found[0, 0].numpy().astype(int) - expected).max() <= 1


def test_images_of_the_models_size_stay_as_they_are_and_others_must_be_square() -> None:
    images = torch.randint(0, 256, (2, 16, 16, 3), dtype=torch.uint8)
    assert resize(images, 16) is images
    with pytest.raises(ValueError, match="square uint8 images"):
        resize(images[:, :8], 16)
