"""One control decision for each of a batch of requests: encode the new frames, decode the windows, read the last slot.

Training's alignment is kept: slot i holds observation i and the actions executed after it. While a window fills, the
free slots on the right are padding that causality hides; the own chunk's actions are unknown, and hidden from the
policy anyway.
"""

from collections.abc import Sequence

import numpy as np
import torch

from worldagen.models import adapter
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.models.pixels import normalise
from worldagen.models.worldagen import WorldAgen


@torch.no_grad()
def act(model: WorldAgen, requests: Sequence[DecisionRequest]) -> list[Decision]:
    """Decisions in the order of `requests`, which may name different adapters; both in worldagen's own conventions.

    Raises ValueError for windows that are too long or of another shape, AdapterError for an adapter that is not loaded.
    """
    device = model.offset.device
    check_requests(model, requests)
    requests = [model.conventions.request(request) for request in requests]
    primary, wrist = (_frames(model, requests, camera).to(device) for camera in ("primary", "wrist"))
    new = model.encode_frames(primary, wrist)
    features = new.new_zeros(len(requests), model.config.chunks, *new.shape[1:])
    state = new.new_zeros(len(requests), model.config.chunks, 7)
    action = new.new_zeros(len(requests), model.config.chunks, model.config.actions_per_chunk, 7)
    last = [len(request.states) - 1 for request in requests]
    for row, request in enumerate(requests):
        if last[row]:
            features[row, : last[row]] = torch.tensor(request.features)
            action[row, : last[row]] = torch.tensor(request.actions)
        features[row, last[row]] = new[row]
        state[row, : last[row] + 1] = torch.tensor(request.states)
    text = model.encode_text([request.instruction for request in requests])[:, None].expand(-1, model.config.chunks, -1)
    with adapter.mixed(model, [request.adapter or None for request in requests]):
        output = model.decode(features, state, text, action.flatten(1, 2), predict_image=False)
    rows = torch.arange(len(requests))
    gripper = torch.where(output.gripper[rows, last] > 0.5, 1.0, -1.0)
    actions = model.conventions.actions(torch.cat([output.arm[rows, last], gripper], dim=-1).cpu().numpy())
    return [Decision(*pair) for pair in zip(actions, new.cpu().numpy(), strict=True)]


def check_requests(model: WorldAgen, requests: Sequence[DecisionRequest]) -> None:
    """Raise ValueError for a window that does not fit the model."""
    layout, hidden = model.layout, model.config.hidden
    for request in requests:
        n = len(request.states)
        if not 1 <= n <= layout.chunks:
            raise ValueError(f"a window of {n} observations does not fit a model of {layout.chunks} chunks")
        for name, expected in (
            ("states", (n, 7)),
            ("features", (n - 1, layout.features, hidden)),
            ("actions", (n - 1, layout.actions, 7)),
        ):
            given = getattr(request, name).shape
            if n > 1 and given != expected:
                raise ValueError(f"the request's {name} have shape {given}, expected {expected}")


def _frames(model: WorldAgen, requests: Sequence[DecisionRequest], camera: str) -> torch.Tensor:
    images = torch.from_numpy(np.stack([getattr(request, camera) for request in requests]))
    return normalise(images, model.config.image_size)
