"""Inference servers with a real, untrained tiny model, asked by simulator workers."""

import pytest
import torch

from tests.fakes import FakeEnv, spec
from worldagen.config import InferenceConfig, ModelConfig, PoolConfig
from worldagen.data import trajectories
from worldagen.models import adapter, checkpoint
from worldagen.models.weights import CheckpointError
from worldagen.models.worldagen import WorldAgen
from worldagen.rollout.episode import run_episode
from worldagen.rollout.errors import PolicyError
from worldagen.rollout.inference import start_servers
from worldagen.rollout.policies import LearnedPolicy
from worldagen.rollout.pool import Pool
from worldagen.rollout.predictor import Predictor
from worldagen.types import PolicySpec

pytestmark = pytest.mark.timeout(150)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A checkpoint, an adapter `moved` that changes decisions, and one made for other weights."""
    folder = tmp_path_factory.mktemp("model")
    for seed, name, version in ((0, "checkpoint", "moved"), (1, "other", "foreign")):
        torch.manual_seed(seed)
        model = WorldAgen(ModelConfig())
        checkpoint.save(model, folder / name, {})
        adapter.add(model, "new", rank=2, alpha=64.0)
        for parameter in adapter.parameters(model, "new"):
            torch.nn.init.normal_(parameter, std=0.5)
        adapter.save(model, "new", folder / "adapters" / version, {})
    return folder


class LocalModel:
    """What `RemoteModel` is to a worker, without Ray."""

    def __init__(self, folder):
        self.predictor = Predictor(folder / "checkpoint", folder / "adapters")
        self.fingerprint, self.chunks = self.predictor.fingerprint, self.predictor.chunks

    def decide(self, request):
        (answer,) = self.predictor.decide([request])
        if isinstance(answer, Exception):
            raise answer
        return answer


def learned(folder, version="", seed=0, **changes):
    policy = PolicySpec(checkpoint=checkpoint.fingerprint(folder / "checkpoint"), adapter=version)
    return spec(seed=seed, policy=policy, image_size=64, step_limit=20, **changes)


def alone(model, one):
    return run_episode(FakeEnv(one.env), LearnedPolicy(model), one).result.digest


def test_predictor_answers_each_request_or_says_why_not(folder):
    requests = []

    class Recorder(LocalModel):
        def decide(self, request):
            requests.append(request)
            return super().decide(request)

    model = Recorder(folder)
    digests = {version: alone(model, learned(folder, version)) for version in ("", "moved")}
    assert digests[""] != digests["moved"]
    with pytest.raises(PolicyError, match="no adapter 'absent'"):
        alone(model, learned(folder, "absent"))
    with pytest.raises(ValueError, match="made for base weights"):
        alone(model, learned(folder, "foreign"))
    answers = model.predictor.decide(requests)
    assert [isinstance(answer, Exception) for answer in answers] == [False] * 8 + [True] * 2


@pytest.mark.usefixtures("ray_cluster")
def test_episodes_through_a_server_equal_episodes_beside_the_model(folder, tmp_path):
    with pytest.raises(CheckpointError, match="absent"):
        start_servers(folder / "absent", folder / "adapters", InferenceConfig())
    servers = start_servers(folder / "checkpoint", folder / "adapters", InferenceConfig())
    pool = Pool.start(PoolConfig(workers=2), tmp_path, servers)
    model = LocalModel(folder)
    specs = [learned(folder, version, seed) for version in ("", "moved") for seed in range(3)]
    assert all(result.digest == alone(model, result.spec) for result in pool.run(specs))

    probe = learned(folder, suite="tests.fakes:ProbeEnv", record="trajectory")
    (result,) = pool.run([probe])
    recorded = trajectories.load(pool.trajectories / result.trajectory)
    assert recorded.instruction == "torch=False threads=1", "holding a server's handle must not import torch"

    with pytest.raises(PolicyError, match="made for base weights"):
        list(pool.run([learned(folder, "foreign")]))
    pool.close()
