"""Windows pair frames and actions exactly, pad only at the end, and come in an order that resumes exactly."""

import numpy as np
import pytest
import torch

from tests.synthetic import make_trajectory
from worldagen.data.order import Mixture, batch_indices, worker_share
from worldagen.data.trajectories import DataError
from worldagen.data.windows import WindowDataset, collate


def test_every_chunk_starts_a_window_with_exact_pairing() -> None:
    episodes = [make_trajectory(0, chunks=4), make_trajectory(1, chunks=2)]
    dataset = WindowDataset(episodes, chunks=2)
    assert len(dataset) == 6
    window = dataset[1]
    np.testing.assert_array_equal(window.primary, episodes[0].primary[1:4])
    np.testing.assert_array_equal(window.wrist, episodes[0].wrist[1:4])
    np.testing.assert_array_equal(window.state, episodes[0].state[1:3])
    np.testing.assert_array_equal(window.action, episodes[0].actions[1:3])
    np.testing.assert_array_equal(window.intended, episodes[0].intended[1:3])
    np.testing.assert_array_equal(dataset[4].primary, episodes[1].primary)


def test_the_end_of_an_episode_is_padded_and_not_counted() -> None:
    episode = make_trajectory(chunks=2, last=3)
    window = WindowDataset([episode], chunks=4)[1]
    assert window.counts.tolist() == [3, 0, 0, 0]
    np.testing.assert_array_equal(window.primary[:2], episode.primary[1:3])
    assert (window.primary[2:] == episode.primary[2]).all()
    assert not window.action[1:].any()


def test_batch_shapes_and_types() -> None:
    dataset = WindowDataset([make_trajectory(chunks=5)], chunks=3)
    batch = dataset.batch([0, 4])
    assert batch.primary.shape == (2, 4, 16, 16, 3) and batch.primary.dtype == torch.uint8
    assert batch.wrist.shape == (2, 4, 16, 16, 3)
    assert batch.state.shape == (2, 3, 7) and batch.state.dtype == torch.float32
    assert batch.action.shape == batch.intended.shape == (2, 3, 5, 7)
    assert batch.counts.tolist() == [[5, 5, 5], [3, 0, 0]] and batch.counts.dtype == torch.int64
    assert batch.instruction == ["do a", "do a"]
    assert torch.equal(collate([dataset[0], dataset[4]]).primary, batch.primary)
    assert batch.to("cpu").instruction == batch.instruction


def test_mixed_sizes_are_refused() -> None:
    dataset = WindowDataset([make_trajectory(0, chunks=2, size=16), make_trajectory(1, chunks=2, size=24)], chunks=2)
    with pytest.raises(DataError, match=r"\(\(24, 24\), \(24, 24\), 5\), the first one \(\(16, 16\)"):
        dataset.batch([0, 2])
    with pytest.raises(DataError, match="no trajectories"):
        WindowDataset([], chunks=2)


def test_each_epoch_sees_every_window_once() -> None:
    seen = np.concatenate([batch_indices(Mixture((10,)), 4, step, seed=3) for step in range(5)])
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10))
    assert seen[:10].tolist() != seen[10:].tolist()
    assert (
        seen[:10].tolist()
        != np.concatenate([batch_indices(Mixture((10,)), 4, step, seed=4) for step in range(3)])[:10].tolist()
    )


def test_order_depends_on_seed_and_step_only() -> None:
    np.testing.assert_array_equal(
        batch_indices(Mixture((100,)), 8, 7, seed=1), batch_indices(Mixture((100,)), 8, 7, seed=1)
    )
    assert len(batch_indices(Mixture((3,)), 8, 0, seed=1)) == 8


def test_sources_get_their_shares_and_all_their_windows_are_seen() -> None:
    mixture = Mixture((60, 30, 10), (1.0, 2.0, 1.0))
    assert mixture.draws == (25, 50, 25)
    seen = np.concatenate([batch_indices(mixture, 8, step, seed=3) for step in range(75)])
    counts = np.bincount(seen, minlength=100)
    sources = np.split(counts, [60, 90])
    assert [source.sum() for source in sources] == [150, 300, 150]
    for source in sources:
        assert source.min() >= 1 and source.max() - source.min() <= 1, "no window of a source is seen more than others"
    np.testing.assert_array_equal(batch_indices(mixture, 8, 50, seed=3), seen[400:408])
    assert batch_indices(mixture, 8, 50, seed=4).tolist() != seen[400:408].tolist()


def test_sources_are_mixed_within_an_epoch() -> None:
    mixture = Mixture((1000, 1000), (3.0, 1.0))
    shares = [(batch_indices(mixture, 200, step, seed=0) < 1000).mean() for step in range(10)]
    assert np.mean(shares) == pytest.approx(0.75) and 0.6 < min(shares) < max(shares) < 0.9


def test_a_source_of_little_weight_still_has_its_turn() -> None:
    assert Mixture((100, 10), (1.0, 1e-6)).draws == (110, 1)


def test_workers_share_one_global_batch() -> None:
    indices = batch_indices(Mixture((100,)), 8, 7, seed=1)
    shares = [worker_share(indices, rank, 2) for rank in range(2)]
    assert sorted(np.concatenate(shares)) == sorted(indices)
