"""The gradient of a global batch does not depend on how workers and micro-batches split it."""

import copy
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from tests.small import small_model
from tests.synthetic import make_trajectory
from worldagen.data.windows import WindowDataset
from worldagen.models.worldagen import WorldAgen
from worldagen.training.compilation import compile_parts, compiles, not_compiled
from worldagen.training.objective import Objective, Worker, backward

WEIGHTS = torch.tensor([1.0, 0.1, 0.1])
DATA = WindowDataset([make_trajectory(i, chunks=3, last=1 + i) for i in range(3)], chunks=2)
PARTS = {
    "two halves": [[0, 1, 2, 3], [4, 5, 6, 7]],
    "uneven": [[0, 1, 2], [3, 4, 5], [6, 7]],
    "one each": [[i] for i in range(8)],
    "ends of episodes apart": [[2, 5], [0, 1, 3, 4, 6, 7]],
}


def gradient(model: WorldAgen, parts: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """Losses (3,) and the whole gradient, computed in these micro-batches."""
    model.zero_grad()
    batches = [DATA.batch(part) for part in parts]
    found = backward(Objective(model, torch.float32, "cpu"), batches, WEIGHTS, Worker())
    return found, torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("parts", PARTS.values(), ids=PARTS)
def test_micro_batches_give_the_gradient_of_the_whole(parts: list[list[int]]) -> None:
    model = small_model()
    whole_losses, whole = gradient(model, [list(range(8))])
    losses, found = gradient(model, parts)
    torch.testing.assert_close(found, whole, rtol=0, atol=1e-6 * float(whole.abs().max()))
    torch.testing.assert_close(losses, whole_losses, rtol=1e-6, atol=0)


def test_a_micro_batch_without_a_whole_chunk_adds_no_image_loss() -> None:
    """The last windows of episodes 0 to 2 hold 1, 2 and 3 actions: no frame to predict, but actions to imitate."""
    losses, _ = gradient(small_model(), [[2, 5, 8]])
    assert losses[2] == 0 < losses[0]


def test_the_mean_of_means_would_be_another_gradient() -> None:
    """What the weights are for: halves that count differently many actions."""
    model = small_model()
    _, whole = gradient(model, [[0, 1, 2, 5, 7, 8]])
    naive = sum(gradient(model, [half])[1] / 2 for half in ([0, 1, 7], [2, 5, 8]))
    assert (naive - whole).abs().max() > 1e-3 * whole.abs().max()


@pytest.fixture
def one_process(tmp_path: Path) -> Iterator[None]:
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_workers_exchange_gradients_once_a_step(one_process: None) -> None:
    model = small_model()
    _, expected = gradient(model, [[0, 1, 2], [3, 4]])
    model.zero_grad()
    parallel = DistributedDataParallel(Objective(model, torch.float32, "cpu"))
    exchanged = []

    def exchange(state: object, bucket: distributed.GradBucket) -> torch.futures.Future[torch.Tensor]:
        exchanged.append(bucket.index())
        future = torch.futures.Future[torch.Tensor]()
        future.set_result(bucket.buffer())
        return future

    parallel.register_comm_hook(None, exchange)
    backward(parallel, [DATA.batch([0, 1, 2]), DATA.batch([3, 4])], WEIGHTS, Worker(0, 1))
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    assert len(exchanged) == len(set(exchanged)) > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("extra", ["unused_parameters", "predict_state"])
def test_parameters_that_no_loss_reaches_do_not_stop_data_parallel_training(one_process: None, extra: str) -> None:
    model = small_model(**{extra: True})
    names = set(model.state_dict())
    parallel = DistributedDataParallel(Objective(model, torch.float32, "cpu"))
    for _ in range(2):  # the second step fails when the first one did not give every gradient
        backward(parallel, [DATA.batch([0, 1, 2])], WEIGHTS, Worker(0, 1))
    unused = {name: parameter for name, parameter in model.named_parameters() if parameter.grad is None}
    assert unused and all(name.startswith(("state_", "backbone.embed_tokens")) for name in unused)
    assert not any(parameter.requires_grad for parameter in unused.values())
    assert names == set(model.state_dict()), "published weights carry them: they are loaded and saved all the same"


def test_compilation_is_for_gpus_unless_asked_for() -> None:
    assert [compiles(setting, device) for setting in ("auto", "on", "off") for device in ("cpu", "cuda:0")] == [
        *(False, True),
        *(True, True),
        *(False, False),
    ]


def test_a_compiled_model_has_the_same_gradient_and_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the tracing half of the compiler alone; generating machine code takes minutes."""
    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="eager"))
    plain = small_model()
    compiled = copy.deepcopy(plain)
    compile_parts(compiled)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    with torch._dynamo.config.patch(error_on_recompile=True):
        first, second = ([[0, 1]], [[2, 3]])
        for parts in (first, second):
            for found, expected in zip(gradient(compiled, parts), gradient(plain, parts), strict=True):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
        with not_compiled():
            gradient(compiled, [[0, 1, 2]])
