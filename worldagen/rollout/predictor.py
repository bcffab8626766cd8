"""A checkpoint and its adapters, answering decision requests: plain torch."""

from collections.abc import Sequence
from pathlib import Path

import torch

from worldagen.models import adapter, checkpoint
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.models.history import act, check_requests
from worldagen.rollout.errors import PolicyError


class Predictor:
    """A checkpoint and the adapters of one folder, in plain torch."""

    def __init__(self, checkpoint_dir: Path, adapters_dir: Path, device: str = "cpu", threads: int = 1) -> None:
        """Raises CheckpointError when the checkpoint cannot be loaded."""
        torch.set_num_threads(threads)
        self.model = checkpoint.load(checkpoint_dir).to(device)
        self.chunks = self.model.config.chunks
        self.fingerprint = checkpoint.fingerprint(checkpoint_dir)
        self.adapters_dir = adapters_dir
        self.loaded: set[str] = set()

    def decide(self, requests: Sequence[DecisionRequest]) -> list[Decision | Exception]:
        """One decision for each request, or the error that concerns this request alone."""
        answers: dict[int, Decision | Exception] = {}
        good = []
        for index, request in enumerate(requests):
            try:
                self._prepare(request)
                good.append(index)
            except (PolicyError, ValueError) as error:
                answers[index] = error
        decisions = act(self.model, [requests[index] for index in good]) if good else []
        answers.update(zip(good, decisions, strict=True))
        return [answers[index] for index in range(len(requests))]

    def _prepare(self, request: DecisionRequest) -> None:
        """Load the request's adapter if need be. Raises PolicyError, AdapterError, or ValueError for an odd window."""
        version = request.adapter
        if version and version not in self.loaded:
            folder = self.adapters_dir / version
            if not folder.is_dir():
                raise PolicyError(f"there is no adapter {version!r} in {self.adapters_dir}")
            adapter.load(self.model, version, folder)
            self.loaded.add(version)
        check_requests(self.model, [request])
