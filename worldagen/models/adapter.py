"""Adapters: low-rank updates (LoRA; Hu et al., 2022) of the backbone's projections, by peft.

Several live beside one base model. They are small, they are files, and they remember which base weights they were
made for. The base is frozen when the first is added and stays as it is, bit for bit; with no adapter in use so do the
outputs.

An adapter may be confined to some layers and to the tokens of some groups. A token that it does not act on is computed
with the base weights, hence changed only through the tokens that it attends to.
"""

import json
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file, save_file

from worldagen.atomic import fresh_folder
from worldagen.config.checks import suggest
from worldagen.errors import WorldagenError
from worldagen.models.tokens import GROUPS
from worldagen.models.weights import fingerprint
from worldagen.models.worldagen import WorldAgen

ATTENTION, MLP = ("q_proj", "k_proj", "v_proj", "o_proj"), ("gate_proj", "up_proj", "down_proj")
PROJECTIONS = (*(f"self_attn.{name}" for name in ATTENTION), *(f"mlp.{name}" for name in MLP))
"""What adapters wrap in each layer of the backbone."""
FILES = ("adapter.json", "adapter.safetensors")
FORMAT_VERSION = 2
"""2 added `layers` and `rows`; without them an adapter acts on all."""
BASE = "__base__"
"""peft's name, in a mixed batch, for a sample without adapter."""


class AdapterError(WorldagenError, ValueError):
    """An adapter that does not fit the model it is loaded into."""


def add(
    model: WorldAgen,
    name: str,
    rank: int,
    alpha: float,
    seed: int = 0,
    *,
    layers: Sequence[int] = (),
    rows: Sequence[str] = (),
) -> None:
    """Add a fresh adapter and use it: scaled by alpha / rank, random A (from `seed`), zero B, so that outputs stay.

    It acts in the backbone layers `layers` on the tokens of the groups `rows` (tokens.GROUPS); empty means all.
    Freezes the whole base model. Raises AdapterError for a name in use or one that cannot be a module's, and for layers
    or groups that there are not.
    """
    if name in names(model):
        raise AdapterError(f"adapter {name!r} is already loaded; remove it first or choose another name")
    if not name or "." in name or name == BASE:
        raise AdapterError(f"adapter name {name!r} is empty, reserved, or holds a dot; choose another")
    if unknown := sorted(set(rows) - set(GROUPS)):
        raise AdapterError(f"there are no tokens {unknown}; {suggest(unknown[0], GROUPS)}")
    if outside := [layer for layer in layers if not 0 <= layer < model.config.layers]:
        raise AdapterError(f"there is no layer {outside}; the backbone has layers 0 to {model.config.layers - 1}")
    where = {"layers_to_transform": sorted(layers), "layers_pattern": "layers"} if layers else {}
    model.requires_grad_(False)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Already found a `peft_config`")  # several adapters are intended
        torch.manual_seed(seed)
        how = LoraConfig(r=rank, lora_alpha=alpha, target_modules=[*ATTENTION, *MLP], **where)  # type: ignore[arg-type]
        model.backbone.add_adapter(how, name)
    if rows:
        for layer in _layers(model, name).values():
            layer.lora_B[name].rows = tuple(rows)
            layer.lora_B[name].register_forward_hook(_confine(model))
    _switch(model, name)


def use(model: WorldAgen, name: str | None) -> None:
    """Run with adapter `name`, which becomes trainable, or with none. Raises AdapterError when it is not loaded."""
    if name is not None:
        _require(model, name)
    if name != in_use(model):
        _switch(model, name)


def _switch(model: WorldAgen, name: str | None) -> None:
    # Not by peft's set_adapter and enable_adapters, which go through all adapters that are loaded: a server decides
    # with another one at every request, and with 32 of them a switch then takes longer than the decision.
    for layer in _layers(model).values():
        layer._disable_adapters = name is None
        if name is not None:
            layer._active_adapter = [name]
    if name is not None:
        for parameter in parameters(model, name):
            parameter.requires_grad_(True)


def in_use(model: WorldAgen) -> str | None:
    """The adapter that the model runs with."""
    layer = next((layer for _, layer in _wrapped(model)), None)
    return None if layer is None or layer.disable_adapters else layer.active_adapters[0]


@contextmanager
def unused(model: WorldAgen) -> Iterator[None]:
    """Within the block the model is the base, whatever adapter it runs with outside."""
    name = in_use(model)
    use(model, None)
    try:
        yield
    finally:
        use(model, name)


@contextmanager
def mixed(model: WorldAgen, wanted: Sequence[str | None]) -> Iterator[None]:
    """Within the block, sample i of a batch runs with adapter `wanted[i]` (None: the base). For inference only.

    Equal to running each sample alone, up to rounding. Afterwards one of `wanted` is in use: nothing is switched back,
    so that a policy that decides again and again with one adapter pays nothing for it.
    """
    for name in wanted:
        if name is not None:
            _require(model, name)
    use(model, next((name for name in wanted if name is not None), None))
    hooks = []
    if len(set(wanted)) > 1:
        routed = {"adapter_names": [BASE if name is None else name for name in wanted]}
        hooks = [
            layer.register_forward_pre_hook(lambda _, args, kwargs: (args, {**kwargs, **routed}), with_kwargs=True)
            for layer in _layers(model).values()
        ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def remove(model: WorldAgen, name: str) -> None:
    """Forget adapter `name`; afterwards none is in use."""
    _require(model, name)
    _switch(model, None)  # in all layers, before peft chooses a new one for each of them
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Adapter .* was active which is now deleted")  # none is in use
        model.backbone.delete_adapter(name)


def names(model: WorldAgen) -> tuple[str, ...]:
    """Loaded adapters."""
    return tuple(getattr(model.backbone, "peft_config", {}))


def parameters(model: WorldAgen, name: str) -> list[torch.nn.Parameter]:
    """What an optimiser trains: both factors of every wrapped layer."""
    _require(model, name)
    return [parameter for layer in _layers(model, name).values() for parameter in _factors(layer, name)]


def state(model: WorldAgen, name: str) -> dict[str, torch.Tensor]:
    """Copies of the adapter's tensors, named `layers.0.self_attn.q_proj.lora_A.weight` and so on."""
    return {key: tensor.detach().clone() for key, tensor in _tensors(model, name).items()}


def set_state(model: WorldAgen, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
    """Overwrite the adapter's tensors in place. Raises AdapterError when names or shapes differ."""
    own = _tensors(model, name)
    wrong = sorted(set(own) ^ set(tensors))
    wrong += [key for key in own if key in tensors and own[key].shape != tensors[key].shape]
    if wrong:
        raise AdapterError(f"adapter {name!r}: {len(wrong)} tensors are missing, unexpected or mis-shaped: {wrong[:8]}")
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(tensors[key])


@torch.no_grad()
def update_norm(model: WorldAgen, name: str) -> float:
    """Frobenius norm of the change that the adapter makes to all weights together; 0 means that it changes nothing."""
    total = 0.0
    for layer in _layers(model, name).values():
        a, b = _factors(layer, name)
        # |BA|^2 = sum((B'B) * (AA')): two rank x rank products instead of the full matrix.
        total += layer.scaling[name] ** 2 * float(((b.T @ b) * (a @ a.T)).sum())
    return math.sqrt(max(total, 0.0))


@torch.no_grad()
def base_norm(model: WorldAgen, name: str) -> float:
    """Frobenius norm of all the base weights together that the adapter changes."""
    layers = _layers(model, name).values()
    return math.sqrt(sum(float(layer.get_base_layer().weight.square().sum()) for layer in layers))


def save(model: WorldAgen, name: str, folder: str | Path, provenance: Mapping[str, Any]) -> Path:
    """Write `adapter.safetensors` and `adapter.json` (what `add` takes, the base, `provenance`), atomically."""
    layers = _layers(model, name)
    layer = next(iter(layers.values()))
    about = {
        "format_version": FORMAT_VERSION,
        "base": fingerprint(model),
        "rank": layer.r[name],
        "alpha": layer.lora_alpha[name],
        "layers": sorted({int(key.split(".")[1]) for key in layers}),
        "rows": getattr(layer.lora_B[name], "rows", ()),
        "provenance": dict(provenance),
    }
    with fresh_folder(folder) as new:
        save_file(state(model, name), new / "adapter.safetensors")
        (new / "adapter.json").write_text(json.dumps(about, indent=2) + "\n")
    return Path(folder)


def load(model: WorldAgen, name: str, folder: str | Path, base: str = "") -> None:
    """Add the adapter of `folder` under `name`; it is in use afterwards. `base` is the model's fingerprint, if known;
    to compute it takes most of a second at the published size.

    Raises AdapterError as `describe` does, and for an adapter that was made for other base weights.
    """
    about = describe(folder)
    if about["base"] != (own := base or fingerprint(model)):
        raise AdapterError(
            f"{folder} was made for base weights {about['base']}, this model's are {own}; load the matching checkpoint"
        )
    tensors = load_file(Path(folder) / FILES[1])
    add(model, name, about["rank"], about["alpha"], layers=about.get("layers", ()), rows=about.get("rows", ()))
    set_state(model, name, tensors)


def describe(folder: str | Path) -> dict[str, Any]:
    """What `save` wrote about the adapter. Raises AdapterError when it is not there, damaged, or of a newer format."""
    for name in FILES:
        if not (Path(folder) / name).is_file():
            raise AdapterError(f"{folder} holds no adapter (no {name})")
    try:
        about = json.loads((Path(folder) / FILES[0]).read_text())
        version, _ = about.get("format_version", 1), about["base"]
    except (ValueError, KeyError, AttributeError) as error:
        raise AdapterError(f"{folder}: adapter.json is damaged ({error}); copy it again") from error
    if version > FORMAT_VERSION:
        raise AdapterError(f"{folder} has format version {version}, this worldagen reads up to {FORMAT_VERSION}")
    return about


def _confine(model: WorldAgen) -> Callable[[Any, Any, torch.Tensor], torch.Tensor]:
    """A hook that leaves of what a LoRA factor adds only the rows of the module's groups."""

    def only_rows(factor: Any, _: Any, added: torch.Tensor) -> torch.Tensor:
        kept = model.layout.members(model.running, factor.rows).to(added.device)
        return added.masked_fill(~kept[:, None], 0.0)  # not a product: 0 times infinity would spoil the other rows

    return only_rows


def _layers(model: WorldAgen, name: str | None = None) -> dict[str, Any]:
    """The wrapped projections; with `name`, those that this adapter acts in."""
    return {key: module for key, module in _wrapped(model) if name is None or name in module.lora_A}


def _wrapped(model: WorldAgen) -> Iterator[tuple[str, Any]]:
    for key in (f"layers.{layer}.{projection}" for layer in range(model.config.layers) for projection in PROJECTIONS):
        if isinstance(module := model.backbone.get_submodule(key), LoraLayer):
            yield key, module


def _factors(layer: Any, name: str) -> tuple[torch.nn.Parameter, torch.nn.Parameter]:
    return layer.lora_A[name].weight, layer.lora_B[name].weight


def _tensors(model: WorldAgen, name: str) -> dict[str, torch.nn.Parameter]:
    _require(model, name)
    found = {}
    for key, layer in _layers(model, name).items():
        found[f"{key}.lora_A.weight"], found[f"{key}.lora_B.weight"] = _factors(layer, name)
    return found


def _require(model: WorldAgen, name: str) -> None:
    if name not in names(model):
        raise AdapterError(f"adapter {name!r} is not loaded; loaded: {', '.join(names(model)) or 'none'}")
