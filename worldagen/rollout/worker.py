"""A simulator process: the Ray actor around its lanes.

Imports no torch: a learned policy asks an inference server, whose handle arrives pickled.
"""

import asyncio
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError, RayTaskError

from worldagen.envs.watchdog import Watchdog
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.errors import PolicyError
from worldagen.rollout.lane import Attempt, Lane, Pace
from worldagen.rollout.policies import Model
from worldagen.types import EpisodeSpec

PATIENCE = 3600.0
"""Seconds after which an inference server that lives and does not answer ends the run."""


class SimWorker:
    """Async Ray actor: `lanes` simulators side by side, each with one episode at a time.

    One that has not moved for `patience` seconds ends the process, should nobody outside have done so before.
    """

    def __init__(self, trajectory_folder: Path, server: Any = None, lanes: int = 1, patience: float = 180.0) -> None:
        self.server = server
        self.model: Model | None = None
        watchdog = Watchdog(patience)
        self.lanes = [Lane(trajectory_folder, self._model, watchdog) for _ in range(lanes)]

    async def ready(self) -> str:
        """The node it runs on, as soon as the process is up."""
        return ray.get_runtime_context().get_node_id()

    async def run(self, lane: int, spec: EpisodeSpec) -> Attempt:
        """One try at `spec` in a lane that is free."""
        chosen = self.lanes[lane]
        return await asyncio.get_running_loop().run_in_executor(chosen.thread, chosen.run, spec)

    async def paces(self) -> list[Pace]:
        """Of each lane. A process that cannot even answer hangs as a whole."""
        return [lane.pace() for lane in self.lanes]

    def _model(self) -> Model:
        if self.model is None:
            if self.server is None:
                raise PolicyError("a learned policy needs an inference server; the pool was started without one")
            self.model = RemoteModel(self.server)
        return self.model


class RemoteModel:
    """The model behind an inference server. A server that died is waited for: Ray restarts it and repeats the call."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.fingerprint, self.chunks = self._ask("describe")

    def decide(self, request: DecisionRequest) -> Decision:
        return self._ask("decide", request)

    def _ask(self, method: str, *arguments: object) -> Any:
        try:
            return ray.get(getattr(self.server, method).remote(*arguments), timeout=PATIENCE)
        except RayTaskError as error:
            raise PolicyError(f"the inference server cannot answer: {error.cause}") from error.cause
        except GetTimeoutError as error:
            raise PolicyError(f"the inference server has not answered for {PATIENCE / 60:.0f} minutes") from error
        except RayError as error:
            raise PolicyError(f"the inference server is gone and does not come back: {error}") from error
