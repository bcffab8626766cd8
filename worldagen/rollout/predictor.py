"""A checkpoint and its adapters, answering decision requests: plain torch."""

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch

from worldagen.models import adapter, checkpoint
from worldagen.models.act import act, check_requests
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.errors import PolicyError


class Predictor:
    """A checkpoint and the adapters of one folder, in plain torch."""

    def __init__(
        self, checkpoint_dir: Path, adapters_dir: Path, device: str = "cpu", threads: int = 1, max_adapters: int = 32
    ) -> None:
        """Keeps at most `max_adapters` adapters loaded, or as many as one batch needs.

        Raises CheckpointError when the checkpoint cannot be loaded.
        """
        torch.set_num_threads(threads)
        self.model = checkpoint.load(checkpoint_dir).to(device)
        self.chunks = self.model.config.chunks
        self.fingerprint = checkpoint.fingerprint(checkpoint_dir)
        self.adapters_dir = adapters_dir
        self.max_adapters = max_adapters
        self.loaded: OrderedDict[str, None] = OrderedDict()
        """Versions, the one unused for longest first."""

    def decide(self, requests: Sequence[DecisionRequest]) -> list[Decision | Exception]:
        """One decision for each request, or the error that concerns this request alone."""
        self._make_room({request.adapter for request in requests if request.adapter})
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

    def _make_room(self, wanted: set[str]) -> None:
        """Forget adapters that are not `wanted`, until the new ones fit."""
        surplus = len(self.loaded.keys() | wanted) - self.max_adapters
        for version in [version for version in self.loaded if version not in wanted][: max(0, surplus)]:
            adapter.remove(self.model, version)
            del self.loaded[version]

    def _prepare(self, request: DecisionRequest) -> None:
        """Load the request's adapter if need be. Raises PolicyError, AdapterError, or ValueError for an odd window."""
        version = request.adapter
        if version and version not in self.loaded:
            folder = self.adapters_dir / version
            if not folder.is_dir():
                raise PolicyError(f"there is no adapter {version!r} in {self.adapters_dir}")
            adapter.load(self.model, version, folder, self.fingerprint)
            self.loaded[version] = None
        if version:
            self.loaded.move_to_end(version)
        check_requests(self.model, [request])
