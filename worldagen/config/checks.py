"""What no type can say: limits of single settings, and settings that must agree with each other."""

import dataclasses
import difflib
import math
from collections.abc import Sequence
from typing import Any

from worldagen.config.limits import ConfigError
from worldagen.config.schema import Config, ModelConfig

_LISTED = 40
"""Names in a message, at most."""
_LEAST = 0.0001
"""The smallest amount of a resource that Ray reserves."""


def check(config: Config) -> None:
    """Raise ConfigError at the first impossible value. Suites and tasks are checked by the envs, which know them."""
    check_limits(config)
    _require(bool(config.run_dir.strip()), "run_dir is empty (an unset variable?); name the folder of the run")
    check_model(config.model)
    _check_training(config)
    _check_exploration(config)
    _check_ttt(config)
    _check_resources(config)
    _require(
        config.inference.device == "cuda" or not config.inference.gpus,
        f"inference.gpus={config.inference.gpus:g} reserves a GPU, and inference.device={config.inference.device} "
        "leaves the model on the CPU; set inference.device=cuda too",
    )
    _require(
        config.inference.device != "cuda" or config.inference.gpus > 0,
        "inference.device=cuda needs a share of a GPU, so that Ray reserves one for the server; set inference.gpus=0.5",
    )
    _require(
        bool(config.evaluation.protocol) or not config.evaluation.limit,
        f"evaluation.limit={config.evaluation.limit} runs a part of a protocol, and evaluation.protocol names none; "
        "for fewer episodes set evaluation.episodes_per_task",
    )
    _require(
        config.evaluation.chain_length == 5 or not config.evaluation.protocol,
        f"evaluation.chain_length={config.evaluation.chain_length}: a protocol's chains have five tasks",
    )
    _require(
        not (config.evaluation.protocol and config.evaluation.chains),
        f"evaluation.chains={config.evaluation.chains} draws chains, and evaluation.protocol="
        f"{config.evaluation.protocol} brings its own episodes; set one of the two",
    )


def suggest(given: str, allowed: Sequence[str]) -> str:
    """`did you mean ...?`, or what is known when nothing is near."""
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    more = f" and {len(allowed) - _LISTED} more" if len(allowed) > _LISTED else ""
    return f"known: {', '.join(allowed[:_LISTED])}{more}"


def check_limits(part: Any, prefix: str = "") -> None:
    """Raise ConfigError at the first setting of a config, or of one of its parts, outside its own limits."""
    for field in dataclasses.fields(part):
        value, name = getattr(part, field.name), prefix + field.name
        if dataclasses.is_dataclass(value):
            check_limits(value, f"{name}.")
        if "above" in field.metadata and not value > field.metadata["above"]:
            raise ConfigError(f"{name}={value} must be greater than {field.metadata['above']}")
        if "at_least" in field.metadata and not value >= field.metadata["at_least"]:
            raise ConfigError(f"{name}={value} must be at least {field.metadata['at_least']}")
        if "at_most" in field.metadata and not value <= field.metadata["at_most"]:
            raise ConfigError(f"{name}={value} must be at most {field.metadata['at_most']}")
        for word in value if "each_of" in field.metadata else ():
            known = field.metadata["each_of"]
            if word not in known:
                raise ConfigError(f"{name}: {word!r} is unknown; {suggest(word, known)}")
        allowed = field.metadata.get("one_of")
        if allowed and value not in allowed:
            near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.7)  # not so low that gpu becomes cpu
            raise ConfigError(
                f"{name}={value!r} is not one of {', '.join(filter(None, allowed))}"
                + (f"; did you mean {near[0]!r}?" if near else "")
            )


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def _check_resources(config: Config) -> None:
    """What Ray can reserve for one process: shares of a GPU, or whole ones."""
    shares = {
        "pool.worker_gpus": config.pool.worker_gpus,
        "inference.gpus": config.inference.gpus,
        "ttt.gpus": config.ttt.gpus,
    }
    for name, amount in shares.items():
        _require(amount <= 1 or amount % 1 == 0, f"{name}={amount:g}: beyond 1 a process gets whole GPUs only")
        _require(not 0 < amount < _LEAST, f"{name}={amount:g}: Ray counts in steps of {_LEAST:g}; set 0 or more")
    for name, amount in config.pool.worker_resources.items():
        _require(
            name not in ("CPU", "GPU"),
            f"pool.worker_resources names {name}; set pool.worker_{name.lower()}s instead",
        )
        _require(_LEAST <= amount < math.inf, f"pool.worker_resources: {name}={amount:g} must be at least {_LEAST:g}")


def check_model(model: ModelConfig) -> None:
    """Raise ConfigError for sizes that no model can have."""
    check_limits(model, "model.")
    _require(
        math.isqrt(model.observation_queries) ** 2 == model.observation_queries,
        f"model.observation_queries={model.observation_queries} is not a perfect square (1, 4, 9, ...)",
    )
    for name, part in (
        ("image_size", "patch_size"),
        ("vision_width", "vision_heads"),
        ("hidden", "decoder_heads"),
    ):
        whole, divisor = getattr(model, name), getattr(model, part)
        _require(whole % divisor == 0, f"model.{name}={whole} is not a multiple of model.{part}={divisor}")
    for name, divisor in (("vision_width", 4), ("hidden", 4), ("head_dim", 2)):
        size = getattr(model, name)
        _require(size % divisor == 0, f"model.{name}={size} is not a multiple of {divisor}, as its positions need it")


def _check_training(config: Config) -> None:
    train = config.pretrain
    _require(
        0 < train.validation_fraction < 1,
        f"pretrain.validation_fraction={train.validation_fraction} must lie between 0 and 1",
    )
    _require(
        train.batch_size % train.workers == 0,
        f"pretrain.batch_size={train.batch_size} does not divide by pretrain.workers={train.workers}",
    )
    share = train.batch_size // train.workers
    _require(
        train.accumulate <= share,
        f"pretrain.accumulate={train.accumulate} micro-batches of the {share} windows that each worker has in a step",
    )
    _require(train.ema < 1, f"pretrain.ema={train.ema:g} must be less than 1, e.g. 0.999")
    _require(
        config.model.vision_frozen or not train.cache_vision,
        "pretrain.cache_vision=true needs model.vision_frozen=true: what a trained vision transformer sees changes",
    )
    for folder, weight in train.data.items():
        _require(
            0 < weight < math.inf,
            f"pretrain.data: the weight of {folder} is {weight:g}, it must be greater than 0; or leave it out",
        )
    _require(
        train.warmup_steps < train.steps,
        f"pretrain.warmup_steps={train.warmup_steps} must be less than pretrain.steps={train.steps}",
    )


def _check_exploration(config: Config) -> None:
    explore = config.explore
    _require(
        bool(explore.episodes) and min(explore.episodes) > 0,
        f"explore.episodes={explore.episodes} must name numbers of episodes greater than 0: there is nothing to adapt "
        "to without exploration, and the control without adaptation is always there",
    )
    _require(
        all(0 < weight < math.inf for weight in explore.mixture.values()),
        f"explore.mixture={explore.mixture} must hold weights greater than 0; leave out what is not wanted",
    )
    _require(
        explore.noise > 0 or "noisy" not in explore.mixture,
        "explore.mixture names noisy, which has three times explore.noise: that is 0, so it would be the policy alone",
    )
    _require(
        not explore.unshifted or any(config.env.shifts.values()) or bool(config.study.settings),
        "explore.unshifted=true explores the world without env.shifts, and there are none; name the shift that is "
        "evaluated, e.g. env.shifts.camera=1",
    )


def _check_ttt(config: Config) -> None:
    ttt = config.ttt
    _require(bool(ttt.method), "ttt.method=[] must name at least one way to adapt")
    _require(
        bool(ttt.seeds) and min(ttt.seeds) >= 0,
        f"ttt.seeds={ttt.seeds} must name at least one seed, none of them negative",
    )
    _require(
        not ttt.asha or len(set(ttt.seeds)) == 1,
        f"ttt.asha={ttt.asha} ends single trials, and a budget is judged by all its seeds (ttt.seeds={ttt.seeds}), so "
        "that none might be left; search with one seed, and run what it finds with several and without ttt.asha",
    )
    outside = [layer for layer in ttt.layers if not 0 <= layer < config.model.layers]
    _require(
        not outside,
        f"ttt.layers={ttt.layers}: the backbone has layers 0 to {config.model.layers - 1}, there is no layer {outside}",
    )
    _require(
        bool(ttt.steps) and min(ttt.steps) >= 0 and max(ttt.steps) > 0,
        f"ttt.steps={ttt.steps} must name at least one step count above zero (the zero-step control is always added)",
    )
    for name, values in (("ttt.learning_rate", ttt.learning_rate), ("ttt.rank", ttt.rank)):
        _require(bool(values) and min(values) > 0, f"{name}={values} must name at least one value greater than 0")
