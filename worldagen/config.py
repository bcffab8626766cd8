"""Every setting of worldagen: typed dataclasses, one docstring per field, filled from YAML and `key=value` overrides.

`load(paths, overrides)` merges defaults <- preset <- YAML files <- overrides and refuses unknown keys, wrong types and
impossible values with a one-line `ConfigError`, before anything is started.
"""

import dataclasses
import difflib
import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError


class ConfigError(ValueError):
    """A setting that cannot be used. The message is one line: what was given, what is allowed, what to do."""


@dataclass
class EnvConfig:
    suite: str = "libero_goal"
    """LIBERO suite, or `package.module:Class` for a simulator of your own."""
    tasks: list[str] = field(default_factory=list)
    """Tasks to demonstrate and train on; empty means every task of the suite that has a scripted expert."""
    image_size: int = 64
    """Edge of both camera images, in pixels."""
    visuals: str = "light"
    """`light` (simplified geometry, fast) or `full` (what the benchmark draws)."""
    assets: str = "auto"
    """`official` (an error if they are not at hand), `primitive` (generated), or `auto` (official if found, else
    primitive, announced)."""
    assets_path: str = ""
    """Folder of the official LIBERO assets; empty searches the installed package, the cache and the hub."""
    gl: str = "auto"
    """Headless OpenGL backend: `egl`, `osmesa`, or `auto` (the first that works, announced)."""


@dataclass
class DemosConfig:
    episodes_per_task: int = 20
    """Successful demonstrations kept per task."""
    first_init_state: int = 20
    """Demonstrations start from this initial state upwards; those below are kept for evaluation."""
    noise: float = 0.1
    """Standard deviation of the Gaussian noise on the expert's arm actions while recording."""


@dataclass
class ModelConfig:
    """Architecture. The defaults are the `tiny` preset; `PRESETS` holds the published ones."""

    preset: str = "tiny"
    """Named starting point: tiny, paper_calvin or paper_libero."""
    chunks: int = 2
    """K: observations (and action chunks) in the history window."""
    actions_per_chunk: int = 5
    """a: actions predicted and executed per observation."""
    mask: str = "strict"
    """`strict` hides the instruction from action tokens too; `compat` is the published weights' mask, which leaks."""
    image_size: int = 64
    """Input edge in pixels; must be a multiple of patch_size."""
    patch_size: int = 8
    """Edge of the vision transformer's patches."""
    vision_width: int = 128
    """Width of the vision transformer."""
    vision_depth: int = 3
    """Blocks of the vision transformer."""
    vision_heads: int = 4
    """Attention heads of the vision transformer."""
    vision_frozen: bool = False
    """True when the vision transformer comes pretrained (MAE) and is not trained."""
    resampler_depth: int = 1
    """Layers of the perceiver resampler."""
    resampler_heads: int = 4
    """Attention heads of the perceiver resampler."""
    resampler_head_dim: int = 32
    """Dimension of each resampler head."""
    resampler_queries: int = 4
    """Latent tokens that each camera image is resampled to."""
    hidden: int = 128
    """Width of the backbone."""
    layers: int = 4
    """Layers of the backbone."""
    heads: int = 4
    """Attention heads of the backbone."""
    head_dim: int = 32
    """Dimension of each backbone head."""
    mlp: int = 512
    """Inner width of the backbone's SwiGLU."""
    decoder_depth: int = 2
    """Transformer blocks of the image decoder."""
    decoder_heads: int = 4
    """Attention heads of the image decoder."""
    observation_queries: int = 9
    """World-model query tokens per image; a perfect square."""
    predict_state: bool = False
    """Also predict the next robot state (off in every published run)."""
    text: str = "words"
    """`words`: a small word embedding trained with the model; `clip`: frozen CLIP ViT-B/32 sentence features."""


PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {},
    "paper_calvin": dict(
        chunks=3, actions_per_chunk=5, image_size=224, patch_size=16, vision_width=768, vision_depth=12,
        vision_heads=12, vision_frozen=True, resampler_depth=3, resampler_heads=8, resampler_head_dim=64,
        resampler_queries=6, hidden=384, layers=24, heads=12, head_dim=128, mlp=1536, decoder_depth=2,
        decoder_heads=16, observation_queries=9, text="clip",
    ),
}  # fmt: skip
PRESETS["paper_libero"] = {**PRESETS["paper_calvin"], "chunks": 2, "actions_per_chunk": 3}


@dataclass
class PretrainConfig:
    steps: int = 600
    """Optimiser steps."""
    batch_size: int = 32
    """Windows per optimiser step, over all workers."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW; linear warm-up, cosine to zero."""
    warmup_steps: int = 50
    """Steps of linear warm-up."""
    weight_decay: float = 1e-4
    """AdamW weight decay."""
    grad_clip: float = 1.0
    """Gradient-norm limit, applied once per optimiser step."""
    arm_weight: float = 1.0
    """Weight of the arm SmoothL1 loss."""
    gripper_weight: float = 0.1
    """Weight of the gripper cross-entropy (published: 0.01)."""
    image_weight: float = 0.1
    """Weight of the next-observation loss."""
    validation_fraction: float = 0.1
    """Share of the episodes of each task held out for validation."""
    validate_every: int = 100
    """Steps between validations; a checkpoint is written at each."""
    workers: int = 1
    """Ray Train workers (data parallel)."""
    threads: int = 2
    """Torch threads of each worker."""
    gpu: bool = False
    """Give each worker a GPU."""


@dataclass
class PoolConfig:
    workers: int = 0
    """Simulator actors; 0 means one per CPU of the cluster."""
    worker_cpus: float = 1.0
    """CPUs reserved for each simulator actor."""
    worker_gpus: float = 0.0
    """GPU share reserved for each simulator actor (EGL rendering on GPU nodes)."""
    attempts: int = 3
    """Times an episode is tried before it ends as crashed."""
    episode_deadline: float = 600.0
    """Seconds after which an episode's worker is considered hung, killed and the episode tried again."""
    memory_limit_gb: float = 4.0
    """Resident memory above which a worker is replaced after its episode."""


@dataclass
class InferenceConfig:
    servers: int = 1
    """Inference server actors."""
    max_batch: int = 1
    """Requests computed together. 1 makes results independent of batching, bit for bit."""
    max_wait_ms: float = 2.0
    """How long a request waits for others to share its batch."""
    device: str = "cpu"
    """`cpu` or `cuda`."""
    threads: int = 1
    """Torch threads per server."""
    gpus: float = 0.0
    """GPU share reserved per server."""


@dataclass
class ExploreConfig:
    episodes: int = 12
    """Exploratory episodes the adapter is trained on."""
    heldout_episodes: int = 4
    """Further exploratory episodes, never trained on, that measure the world model."""
    step_limit: int = 120
    """Control steps of each exploratory episode."""
    noise: float = 0.2
    """Standard deviation of the Gaussian noise added to the exploring policy's arm actions."""


@dataclass
class TTTConfig:
    steps: list[int] = field(default_factory=lambda: [4, 16, 64])
    """TTT step counts to evaluate; the zero-step control is always added."""
    learning_rate: list[float] = field(default_factory=lambda: [3e-4, 3e-3])
    """Constant learning rates to sweep, one trial each."""
    rank: list[int] = field(default_factory=lambda: [8])
    """LoRA ranks to sweep."""
    alpha: float = 16.0
    """LoRA scaling numerator; the update is scaled by alpha / rank."""
    batch_size: int = 24
    """Windows per TTT step."""
    weight_decay: float = 0.01
    """AdamW weight decay on the adapter."""
    grad_clip: float = 1.0
    """Gradient-norm limit per TTT step."""
    changed_threshold: float = 0.02
    """A patch counts as changed when its mean squared difference to the last frame exceeds this (normalised pixels)."""
    threads: int = 1
    """Torch threads of each learner."""
    gpus: float = 0.0
    """GPU share of each learner."""
    max_concurrent_trials: int = 2
    """Trials that adapt and evaluate at the same time."""


@dataclass
class EvaluationConfig:
    tasks: list[str] = field(default_factory=list)
    """Tasks to evaluate; empty means env.tasks."""
    episodes_per_task: int = 10
    """Initial states 0 .. n-1 of each task, the same for every arm."""
    step_limit: int = 200
    """Control steps after which an episode has failed."""
    videos: int = 1
    """Evaluation episodes recorded step by step for the control and for the best arm."""


@dataclass
class TrackingConfig:
    mlflow_uri: str = ""
    """MLflow tracking URI; empty means sqlite in the run folder."""
    experiment: str = "worldagen"
    """MLflow experiment name."""


@dataclass
class Config:
    run_dir: str = "runs/default"
    """Folder for everything the run produces. The same command in the same folder resumes."""
    seed: int = 0
    """Seed of everything random."""
    checkpoint: str = ""
    """Pretrained checkpoint folder; empty means the one pretrained in run_dir (made first if missing)."""
    demos_dir: str = ""
    """Folder of demonstration episodes; empty means run_dir/demos."""
    ray_address: str = ""
    """Ray cluster to join; empty joins the one this job was submitted to, or starts a local one."""
    env: EnvConfig = field(default_factory=EnvConfig)
    demos: DemosConfig = field(default_factory=DemosConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    pretrain: PretrainConfig = field(default_factory=PretrainConfig)
    pool: PoolConfig = field(default_factory=PoolConfig)
    inference: InferenceConfig = field(default_factory=InferenceConfig)
    explore: ExploreConfig = field(default_factory=ExploreConfig)
    ttt: TTTConfig = field(default_factory=TTTConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)


def load(paths: Sequence[str | Path] = (), overrides: Sequence[str] = ()) -> Config:
    """Merge defaults, preset, YAML files and `key=value` overrides into a validated Config. Raises ConfigError."""
    given = OmegaConf.create({})
    for path in paths:
        given = OmegaConf.merge(given, _read_yaml(Path(path)))
    for override in overrides:
        given = OmegaConf.merge(given, _read_override(override))
    preset = OmegaConf.select(given, "model.preset", default="tiny")
    if preset not in PRESETS:
        raise ConfigError(f"model.preset={preset!r} is unknown; {_suggest(str(preset), list(PRESETS))}")
    base = OmegaConf.merge(OmegaConf.structured(Config), {"model": {**PRESETS[preset], "preset": preset}})
    try:
        config: Any = OmegaConf.to_object(OmegaConf.merge(base, given))
    except ConfigKeyError as error:
        raise ConfigError(_unknown_key(str(error.full_key))) from error
    except (ValidationError, OmegaConfBaseException) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"{error.full_key}: {reason[0].lower()}{reason[1:]}") from error
    validate(config)
    return config


def _read_yaml(path: Path) -> Any:
    if not path.is_file():
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*.yaml")], n=1, cutoff=0.5)
        raise ConfigError(f"no config file at {path}" + (f"; did you mean {path.parent / near[0]}?" if near else ""))
    try:
        loaded = OmegaConf.load(path)
    except Exception as error:  # the YAML parser has many error types; all of them mean the same to the reader
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not OmegaConf.is_dict(loaded):
        raise ConfigError(f"{path} must hold key: value pairs, found a {type(loaded).__name__}")
    return loaded


def _read_override(text: str) -> Any:
    if not re.match(r"^[\w.]+=", text):
        raise ConfigError(f"{text!r} is not an override; write key=value, e.g. ttt.learning_rate=[1e-4,1e-3]")
    return OmegaConf.from_dotlist([text])


def fields(cls: type = Config, prefix: str = "") -> dict[str, Any]:
    """Every dotted setting name with its default."""
    found: dict[str, Any] = {}
    for name, value in vars(cls()).items():
        if dataclasses.is_dataclass(value):
            found.update(fields(type(value), f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _unknown_key(key: str) -> str:
    known = list(fields())
    groups = sorted({name.rsplit(".", 1)[0] for name in known if "." in name})
    return f"unknown setting {key!r}; {_suggest(key, known + groups)}"


def _suggest(given: str, allowed: Sequence[str]) -> str:
    near = difflib.get_close_matches(given, allowed, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(allowed)}"


def _one_of(config: Config, key: str, allowed: Sequence[str]) -> None:
    value = OmegaConf.select(OmegaConf.structured(config), key)
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ConfigError(f"{key}={value!r} is not allowed; use one of {', '.join(allowed)}{hint}")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


def validate(config: Config) -> None:
    """Refuse impossible values, naming the setting. Task and suite names are checked by the envs that know them."""
    _one_of(config, "env.visuals", ["light", "full"])
    _one_of(config, "env.assets", ["auto", "official", "primitive"])
    _one_of(config, "env.gl", ["auto", "egl", "osmesa"])
    _one_of(config, "model.mask", ["strict", "compat"])
    _one_of(config, "model.text", ["words", "clip"])
    _one_of(config, "inference.device", ["cpu", "cuda"])
    positive = (
        "env.image_size demos.episodes_per_task model.chunks model.actions_per_chunk pretrain.steps "
        "pretrain.batch_size pretrain.learning_rate pretrain.grad_clip pretrain.validate_every pretrain.workers "
        "pretrain.threads pool.attempts pool.episode_deadline pool.memory_limit_gb inference.servers inference.max_batch "
        "inference.threads explore.episodes explore.heldout_episodes explore.step_limit ttt.batch_size ttt.grad_clip "
        "ttt.alpha ttt.threads ttt.max_concurrent_trials evaluation.episodes_per_task evaluation.step_limit"
    ).split()
    flat = OmegaConf.structured(config)
    for key in positive:
        value = OmegaConf.select(flat, key)
        _require(value > 0, f"{key}={value} must be greater than zero")
    for key in ("demos.noise", "demos.first_init_state", "explore.noise", "pool.workers", "evaluation.videos"):
        value = OmegaConf.select(flat, key)
        _require(value >= 0, f"{key}={value} must not be negative")
    model, ttt = config.model, config.ttt
    _require(
        model.image_size % model.patch_size == 0,
        f"model.image_size={model.image_size} is not a multiple of model.patch_size={model.patch_size}",
    )
    _require(
        config.env.image_size == model.image_size,
        f"env.image_size={config.env.image_size} differs from model.image_size={model.image_size}; set both alike",
    )
    root = round(model.observation_queries**0.5)
    _require(
        root * root == model.observation_queries,
        f"model.observation_queries={model.observation_queries} is not a perfect square",
    )
    _require(bool(ttt.learning_rate), "ttt.learning_rate is empty; name at least one rate")
    _require(bool(ttt.steps) and min(ttt.steps) >= 0, f"ttt.steps={ttt.steps} must be step counts of zero or more")
    _require(max(ttt.steps) > 0, f"ttt.steps={ttt.steps} holds no step count above zero; the control is always added")
    _require(min(ttt.learning_rate) > 0, f"ttt.learning_rate={ttt.learning_rate} must be greater than zero")
    _require(bool(ttt.rank) and min(ttt.rank) > 0, f"ttt.rank={ttt.rank} must be greater than zero")
    _require(
        0 < config.pretrain.validation_fraction < 1,
        f"pretrain.validation_fraction={config.pretrain.validation_fraction} must lie between 0 and 1",
    )
    _require(
        config.pretrain.batch_size % config.pretrain.workers == 0,
        f"pretrain.batch_size={config.pretrain.batch_size} does not divide by pretrain.workers={config.pretrain.workers}",
    )


def to_dict(config: Any) -> dict[str, Any]:
    """Plain nested dict of a config, for YAML, JSON and MLflow."""
    return dataclasses.asdict(config)


def content_key(*parts: Any) -> str:
    """Hexadecimal key (12 characters of SHA-256) of JSON-serialisable parts: the name of whatever they determine."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=dataclasses.asdict).encode()).hexdigest()[:12]
