"""What the model costs, each figure beside the plain way of doing it.

    python benchmarks/model.py [--parts decision ttt tiny adapters] [--threads 2] [--device cpu] [--windows 12]

The plain way is the authors': every window is encoded anew, its sentence too (once per chunk), in float32.
Every measurement runs in a process of its own, so that peak memory is its own. Times are the best of a few repeats.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from transformers import CLIPTextConfig, CLIPTextModelWithProjection

from worldagen.config import ModelConfig, PretrainConfig
from worldagen.models import adapter
from worldagen.models.act import act
from worldagen.models.decision import DecisionRequest
from worldagen.models.losses import frame_patches, image_loss, losses
from worldagen.models.pixels import normalise
from worldagen.models.precision import compute_type, computing
from worldagen.models.reference import paper_config
from worldagen.models.worldagen import WorldAgen
from worldagen.tracking.memory import peak_rss_mb

TTT_WINDOWS = 204
"""Windows of one adaptation in the authors' CALVIN script."""
RANK = 128
BATCH = 4
"""Windows decoded together in a pass from features."""


def plain_decision(device: str, _: int) -> dict[str, Any]:
    """Two forwards over the whole window, for the policy and for the world model, as the authors' evaluator does."""
    model, text = paper(device), clip(device)
    inputs = arguments(model, 1)

    @torch.no_grad()
    def decide() -> None:
        for _ in range(2):
            text(model.config.chunks)
            model(**inputs)

    return {"seconds": best(decide, device)}


def cached_decision(device: str, _: int) -> dict[str, Any]:
    """Encode the new frames, decode the window without images."""
    model = paper(device)
    asked = requests(model, 1)
    return {"seconds": best(lambda: act(model, asked), device)}


def plain_ttt(device: str, windows: int) -> dict[str, Any]:
    """One gradient pass, every window encoded when its turn comes, one at a time."""
    model, text = paper(device), clip(device)
    adapter.add(model, "a", RANK, 32.0)
    inputs, target = arguments(model, 1), targets(model, 1)

    def one_pass() -> None:
        for _ in range(windows):
            text(model.config.chunks)
            image = model(**inputs).image
            image_loss(image, target, torch.ones(1, 3, dtype=torch.bool, device=device)).backward()

    return {"seconds per window": best(one_pass, device, repeats=2) / windows}


def cached_ttt(device: str, windows: int, dtype: torch.dtype = torch.float32) -> dict[str, Any]:
    """The same pass from features, in batches."""
    model = paper(device)
    adapter.add(model, "a", RANK, 32.0)
    batch = min(windows, BATCH)
    inputs, target = arguments(model, batch), targets(model, batch)
    features = torch.randn(batch, 3, model.layout.features, model.config.hidden, device=device)

    def one_pass() -> None:
        for _ in range(windows // batch):
            with computing(dtype, device):
                image = model.imagine(features, inputs["state"], inputs["text_embedding"], inputs["action"])
            image_loss(image.float(), target, torch.ones(batch, 3, dtype=torch.bool, device=device)).backward()

    return {"seconds per window": best(one_pass, device, repeats=2) / (windows // batch * batch)}


def fast_ttt(device: str, windows: int) -> dict[str, Any]:
    """The same from features, in the arithmetic that `precision: auto` takes here."""
    dtype = compute_type("auto", device)
    return {"arithmetic": str(dtype), **cached_ttt(device, windows, dtype)}


def tiny(device: str, _: int) -> dict[str, Any]:
    """Decisions and training of the tiny preset."""
    torch.manual_seed(0)
    model = WorldAgen(ModelConfig()).to(device)
    found: dict[str, Any] = {"parameters": sum(parameter.numel() for parameter in model.parameters())}
    step = training_step(model, PretrainConfig().batch_size)
    found["training windows/s"] = PretrainConfig().batch_size / best(step, device)
    model.eval()
    for batch in (1, 8, 32):
        asked = requests(model, batch)
        found[f"decisions/s at batch {batch}"] = batch / best(lambda: act(model, asked), device, repeats=10)  # noqa: B023
    return found


def adapters(device: str, _: int) -> dict[str, Any]:
    """A batch of 8 decisions with one adapter, and with eight."""
    model = paper(device)
    for index in range(8):
        adapter.add(model, f"a{index}", RANK, 32.0, seed=index)
    one = [replace(request, "a0") for request in requests(model, 8)]
    eight = [replace(request, f"a{index}") for index, request in enumerate(one)]
    found = {"one adapter": best(lambda: act(model, one), device), "eight": best(lambda: act(model, eight), device)}
    started = time.perf_counter()
    for _ in range(10):
        adapter.use(model, "a1")
        adapter.use(model, "a2")
    return {**found, "switch": (time.perf_counter() - started) / 20}


MEASUREMENTS: dict[str, Callable[[str, int], dict[str, Any]]] = {
    function.__name__: function
    for function in (plain_decision, cached_decision, plain_ttt, cached_ttt, fast_ttt, tiny, adapters)
}
PARTS = {
    "decision": ("plain_decision", "cached_decision"),
    "ttt": ("plain_ttt", "cached_ttt", "fast_ttt"),
    "tiny": ("tiny",),
    "adapters": ("adapters",),
}


def report(part: str, found: dict[str, dict[str, Any]]) -> None:
    """Print what a part found, and the ratio that it is about."""
    for name, values in found.items():
        print(f"  {name:16s} " + ", ".join(f"{key} {shown(value)}" for key, value in values.items()))
    if part == "decision":
        ratio = found["plain_decision"]["seconds"] / found["cached_decision"]["seconds"]
        print(f"  a control decision takes {ratio:.1f}x less time than two plain forwards")
    if part == "ttt":
        plain = found["plain_ttt"]["seconds per window"]
        for name, values in found.items():
            seconds = values["seconds per window"]
            print(
                f"  {name}: {seconds * TTT_WINDOWS:.0f} s for {TTT_WINDOWS} windows, {plain / seconds:.1f}x less time"
            )
    if part == "adapters":
        print(
            f"  eight adapters in a batch take {found[part]['eight'] / found[part]['one adapter']:.2f}x the time of one"
        )


def shown(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}"


def paper(device: str) -> WorldAgen:
    torch.manual_seed(0)
    return WorldAgen(paper_config()).to(device).eval()


def clip(device: str) -> Callable[[int], torch.Tensor]:
    """CLIP ViT-B/32's text tower (random weights, the right size): sentences -> (n, 512)."""
    tower: Any = CLIPTextModelWithProjection(CLIPTextConfig())  # transformers types its `to` wrongly
    tower.to(device).eval()
    return torch.no_grad()(lambda n: tower(torch.full((n, 77), 7, device=device)).text_embeds)


def arguments(model: WorldAgen, batch: int) -> dict[str, torch.Tensor]:
    chunks, size, device = model.config.chunks, model.config.image_size, model.offset.device
    return {
        "image_primary": torch.randn(batch, chunks, 3, size, size, device=device),
        "image_wrist": torch.randn(batch, chunks, 3, size, size, device=device),
        "state": torch.randn(batch, chunks, 7, device=device),
        "text_embedding": torch.randn(batch, chunks, 512, device=device),
        "action": torch.randn(batch, chunks * model.config.actions_per_chunk, 7, device=device),
    }


def targets(model: WorldAgen, batch: int) -> torch.Tensor:
    patches = (model.config.image_size // model.config.patch_size) ** 2
    shape = (batch, model.config.chunks, 2, patches, model.config.patch_size**2 * 3)
    return torch.randn(shape, device=model.offset.device)


def requests(model: WorldAgen, batch: int) -> list[DecisionRequest]:
    """Requests of full windows; the instruction's features are known, as after the first decision of an episode."""
    rng, config = np.random.default_rng(0), model.config
    if config.text == "clip":
        model.encode_text = lambda sentences: torch.randn(len(sentences), 512, device=model.offset.device)  # type: ignore
    frame = rng.integers(0, 256, (config.image_size, config.image_size, 3), np.uint8)
    past = config.chunks - 1
    return [
        DecisionRequest(
            primary=frame,
            wrist=frame,
            features=rng.standard_normal((past, model.layout.features, config.hidden), np.float32),
            states=rng.standard_normal((config.chunks, 7), np.float32),
            actions=rng.standard_normal((past, config.actions_per_chunk, 7), np.float32),
            instruction="put the bowl on the plate",
        )
        for _ in range(batch)
    ]


def replace(request: DecisionRequest, name: str) -> DecisionRequest:
    return DecisionRequest(**{**vars(request), "adapter": name})


def training_step(model: WorldAgen, batch: int) -> Callable[[], None]:
    """Forward, backward and AdamW on a batch of windows, from uint8 frames, as pretraining does."""
    config, device = model.config, model.offset.device
    chunks, size = config.chunks, config.image_size
    frames = torch.randint(0, 256, (batch, chunks + 1, size, size, 3), dtype=torch.uint8, device=device)
    state = torch.randn(batch, chunks, 7, device=device)
    action = torch.rand(batch, chunks, config.actions_per_chunk, 7, device=device) * 2 - 1
    counts = torch.full((batch, chunks), config.actions_per_chunk, device=device)
    optimiser, weights = torch.optim.AdamW(model.parameters(), 1e-4), PretrainConfig()

    def step() -> None:
        text = model.encode_text(["put the bowl on the plate"] * batch)[:, None].expand(-1, chunks, -1)
        pixels = normalise(frames[:, :chunks], size)
        output = model(pixels, pixels, state, text, action.flatten(1, 2))
        target = frame_patches(frames[:, 1:], frames[:, 1:], config)
        optimiser.zero_grad()
        loss = losses(output, action, counts, target)
        (loss.arm + weights.gripper_weight * loss.gripper + weights.image_weight * loss.image).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()

    return step


def best(function: Callable[[], Any], device: str, repeats: int = 5) -> float:
    """Seconds of the fastest of `repeats` calls, after one that warms up."""
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        function()
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def measure(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run one measurement in a fresh process."""
    command = [sys.executable, __file__, "--measure", name]
    for option in ("threads", "device", "windows"):
        command += [f"--{option}", str(getattr(args, option))]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--windows", type=int, default=12, help="windows measured of a TTT pass")
    parser.add_argument("--measure", choices=list(MEASUREMENTS), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is None:
        for part in args.parts:
            print(part)
            report(part, {name: measure(name, args) for name in PARTS[part]})
        return
    torch.set_num_threads(args.threads)
    found = MEASUREMENTS[args.measure](args.device, args.windows)
    memory = torch.cuda.max_memory_allocated() if args.device != "cpu" else peak_rss_mb() * 2**20
    print(json.dumps({**found, "peak memory GB": memory / 2**30}))


if __name__ == "__main__":
    main()
