"""Inference servers: they hold the model, so that simulator processes need no torch, and answer requests in batches.

A server keeps nothing that matters: a request carries its whole history. Ray restarts one that dies, and it loads the
same checkpoint, and the adapters as they are asked for, from storage.

A process that receives an actor's handle imports the module of its class: this one must not import torch.
"""

import asyncio
import copy
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayTaskError

from worldagen.config import InferenceConfig
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.batching import Batcher
from worldagen.rollout.metrics import InferenceMetrics
from worldagen.rollout.stats import InferenceStats

if TYPE_CHECKING:
    from worldagen.rollout.predictor import Predictor

logger = logging.getLogger(__name__)

START_WARNING_SECONDS = 30.0
REPEATS = 5
"""Times a request is sent again because its server died, before the run ends with an error."""


class InferenceServer:
    """Async Ray actor around a `Predictor`; made by `start_servers`."""

    def __init__(self, checkpoint_dir: Path, adapters_dir: Path, config: InferenceConfig) -> None:
        self.paths = checkpoint_dir, adapters_dir
        self.config = config
        self.predictor: Predictor | None = None
        self.stats, self.metrics = InferenceStats(), InferenceMetrics()
        self.batcher = Batcher(self._decide, config.max_batch, config.max_wait_ms)

    async def describe(self) -> tuple[str, int]:
        """Fingerprint of the checkpoint and length of its window in chunks."""
        predictor = await asyncio.get_running_loop().run_in_executor(self.batcher.thread, self._predictor)
        return predictor.fingerprint, predictor.chunks

    async def report(self) -> InferenceStats:
        return copy.deepcopy(self.stats)

    async def decide(self, request: DecisionRequest) -> Decision:
        started = time.perf_counter()
        answer = await self.batcher.ask(request)
        self.stats.answered(seconds := time.perf_counter() - started)
        self.metrics.latency.observe(seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _decide(self, requests: list[DecisionRequest]) -> list[Decision | Exception]:
        started = time.perf_counter()
        answers = self._predictor().decide(requests)
        self.stats.computed(len(requests), time.perf_counter() - started)
        self.metrics.batch.observe(len(requests))
        return answers

    def _predictor(self) -> "Predictor":
        """Loaded at the first call instead of in the constructor, where Ray would wrap an error beyond recognition."""
        if self.predictor is None:
            from worldagen.rollout.predictor import Predictor

            config = self.config
            self.predictor = Predictor(*self.paths, config.device, config.threads, config.max_adapters)
        return self.predictor


def start_servers(checkpoint_dir: Path | str, adapters_dir: Path | str, config: InferenceConfig) -> list[Any]:
    """Start `config.servers` inference servers and wait until they can answer; `Pool.start` takes what is returned.

    Raises CheckpointError when the checkpoint cannot be loaded.
    """
    server: Any = ray.remote(InferenceServer)
    servers = [
        server.options(
            num_cpus=0,
            num_gpus=config.gpus,
            max_concurrency=1000,
            max_restarts=-1,
            max_task_retries=REPEATS,
            runtime_env={"env_vars": {"OMP_NUM_THREADS": str(config.threads)}},
        ).remote(Path(checkpoint_dir).absolute(), Path(adapters_dir).absolute(), config)
        for _ in range(config.servers)
    ]
    waiting = [server.describe.remote() for server in servers]
    try:
        while waiting:
            done, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=START_WARNING_SECONDS)
            ray.get(done)
            if waiting:
                logger.warning(
                    "%d of %d inference servers still load their checkpoint, or wait for %g GPU each: others use them, "
                    "or no node has so many (inference.gpus, inference.servers)",
                    len(waiting), len(servers), config.gpus,
                )  # fmt: skip
    except RayTaskError as error:
        raise error.cause from None
    return servers
