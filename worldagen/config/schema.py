"""Every setting of worldagen: typed dataclasses, a docstring under each field, limits beside each default."""

from dataclasses import dataclass, field
from typing import Any

from worldagen.config.limits import at_least_zero, one_of, positive, share

METHODS = (
    "plain",
    "anchored",
    "world_model_rows",
    "world_model_rows_context",
    "anchored_world_model_rows_context",
)
"""Names of the ways to adapt; `ttt.methods` says what they are."""
EXPLORERS = ("policy", "noisy", "random")
"""Names of what drives exploratory episodes; `ttt.explore` says what they are."""


@dataclass
class EnvConfig:
    suite: str = "libero_goal"
    """LIBERO suite, CALVIN scene (`calvin_a` to `calvin_d`), or `package.module:Class` for a simulator of your own."""
    tasks: list[str] = field(default_factory=list)
    """Tasks to demonstrate and train on; empty means every task of the suite that has a scripted expert."""
    image_size: int = positive(64)
    """Edge of both camera images, in pixels."""
    wrist_image_size: int = at_least_zero(0)
    """Edge of the wrist camera's image where it differs (CALVIN's own are 200 and 84); 0 means `image_size`."""
    visuals: str = one_of("light", "full")
    """`light` (simplified geometry, fast) or `full` (what the benchmark draws)."""
    assets: str = one_of("auto", "official", "primitive")
    """`official` (an error if they are not at hand), `primitive` (generated), or `auto`, announced: on LIBERO official
    if found, else primitive; on CALVIN what belongs to the engine, always primitive with `native`."""
    assets_path: str = ""
    """Folder of the official LIBERO assets; empty searches the installed package, the cache and the hub."""
    gl: str = one_of("auto", "egl", "osmesa")
    """Headless OpenGL backend: `egl`, `osmesa`, or `auto` (the first that works, announced)."""
    engine: str = one_of("auto", "calvin_env", "native")
    """What simulates CALVIN: the `calvin_env` package, our `native` play table, or `auto` (calvin_env if a checkout is
    configured, else native, announced)."""
    calvin_root: str = ""
    """Checkout of calvin_env; empty means the environment variable CALVIN_ENV_ROOT."""
    renderer: str = one_of("tiny", "egl")
    """What draws CALVIN: PyBullet's software renderer `tiny`, or `egl`."""
    shifts: dict[str, float] = field(default_factory=dict)
    """Changes to the world by name, each with its strength, e.g. `env.shifts.camera=0.5`."""
    shift_seed: int = at_least_zero(0)
    """Seed of what a shift draws at random, e.g. the direction in which the camera moves; the strength stays."""


@dataclass
class DemosConfig:
    episodes_per_task: int = positive(20)
    """Successful demonstrations kept per task."""
    first_init_state: int = at_least_zero(20)
    """Demonstrations start from this initial state upwards; those below are kept for evaluation."""
    noise: float = at_least_zero(0.1)
    """Standard deviation of the Gaussian noise on the expert's arm actions while recording."""
    chained: float = share(0.0)
    """Share of the demonstrations that begin where the expert of another task has just ended, as those of a chain do,
    instead of in the task's own initial states (CALVIN only)."""
    corrected: float = share(0.0)
    """Share of the demonstrations in which the policy of `checkpoint` acts first and the expert then takes over; only
    the expert's part is kept. They teach a policy to go on from its own mistakes (cf. DAgger, Ross et al., 2011)."""
    handover: int = positive(40)
    """Control steps, at most, before the expert takes over; how many is drawn for each demonstration."""
    step_limit: int = positive(300)
    """Control steps after which an attempt has failed; most experts need 30 to 100, those of LIBERO-10 twice that."""


@dataclass
class ModelConfig:
    """Architecture. The defaults are the `tiny` preset; `PRESETS` holds the published ones."""

    preset: str = "tiny"
    """Named starting point: tiny, paper_calvin or paper_libero."""
    chunks: int = positive(2)
    """K: observations (and action chunks) in the history window."""
    actions_per_chunk: int = positive(5)
    """a: actions predicted and executed per observation."""
    mask: str = one_of("strict", "compat")
    """`strict` hides the instruction from action tokens too; `compat` is the published weights' mask, which leaks."""
    image_size: int = positive(64)
    """Input edge in pixels; must be a multiple of patch_size."""
    patch_size: int = positive(8)
    """Edge of the vision transformer's patches."""
    vision_width: int = positive(128)
    """Width of the vision transformer."""
    vision_depth: int = positive(3)
    """Blocks of the vision transformer."""
    vision_heads: int = positive(4)
    """Attention heads of the vision transformer."""
    vision_frozen: bool = False
    """True when the vision transformer comes pretrained (MAE) and is not trained."""
    resampler_depth: int = positive(1)
    """Layers of the perceiver resampler."""
    resampler_heads: int = positive(4)
    """Attention heads of the perceiver resampler."""
    resampler_head_dim: int = positive(32)
    """Dimension of each resampler head."""
    resampler_queries: int = positive(4)
    """Latent tokens that each camera image is resampled to."""
    hidden: int = positive(128)
    """Width of the backbone."""
    layers: int = positive(4)
    """Layers of the backbone."""
    heads: int = positive(4)
    """Attention heads of the backbone."""
    head_dim: int = positive(32)
    """Dimension of each backbone head."""
    mlp: int = positive(512)
    """Inner width of the backbone's SwiGLU."""
    decoder_depth: int = positive(2)
    """Transformer blocks of the image decoder."""
    decoder_heads: int = positive(4)
    """Attention heads of the image decoder."""
    observation_queries: int = positive(9)
    """World-model query tokens per image; a perfect square."""
    predict_state: bool = False
    """Also predict the next robot state (off in every published run; nothing here trains it)."""
    text: str = one_of("words", "clip")
    """`words`: a small word embedding trained with the model; `clip`: frozen CLIP ViT-B/32 sentence features."""
    unused_parameters: bool = False
    """Keep the parameters that the published weights carry but never use (state head, token embedding)."""


@dataclass
class PretrainConfig:
    steps: int = positive(600)
    """Optimiser steps."""
    batch_size: int = positive(32)
    """Windows per optimiser step, over all workers."""
    learning_rate: float = positive(1e-3)
    """Peak learning rate of AdamW; linear warm-up, cosine to zero."""
    warmup_steps: int = at_least_zero(50)
    """Steps of linear warm-up; fewer than `steps`."""
    weight_decay: float = at_least_zero(1e-4)
    """AdamW weight decay."""
    grad_clip: float = positive(1.0)
    """Gradient-norm limit, applied once per optimiser step."""
    accumulate: int = positive(1)
    """Micro-batches that each worker's share of an optimiser step is computed in: less memory, the same gradient."""
    ema: float = at_least_zero(0.0)
    """Decay of a moving average of the weights, which is then what is validated and kept, e.g. 0.999; 0 is off."""
    arm_weight: float = 1.0
    """Weight of the arm SmoothL1 loss."""
    gripper_weight: float = 0.1
    """Weight of the gripper cross-entropy (published: 0.01)."""
    image_weight: float = 0.1
    """Weight of the next-observation loss."""
    data: dict[str, float] = field(default_factory=dict)
    """Folders to train on and how often each is drawn relative to the others; empty means `demos_dir`. Each holds our
    episodes, the .npz frames of one CALVIN split, or LIBERO's .hdf5 files."""
    pairing: str = one_of("exact", "published")
    """Which actions go with a frame of CALVIN's or LIBERO's own files: those that follow it, or, as the authors of
    WorldAgen trained, CALVIN's one later."""
    episodes_per_task: int = at_least_zero(0)
    """Train on at most so many episodes of each task of each folder, to see what more would buy; the same are held out
    whatever the number. 0: on all."""
    validation_fraction: float = 0.1
    """Share of the episodes of each task (of each folder) held out for validation."""
    validate_every: int = positive(100)
    """Steps between validations; a checkpoint is written at each."""
    validation_windows: int = positive(256)
    """Held-out windows measured at each validation, spread over all of them; the last validation takes all."""
    initial: str = ""
    """Checkpoint folder whose weights training goes on from, e.g. on more demonstrations; empty starts anew."""
    vision_checkpoint: str = ""
    """MAE weights (`.pth`) of the vision transformer; a frozen one (`model.vision_frozen`) needs them."""
    cache_vision: bool = False
    """Keep what a frozen vision transformer sees on disk instead of encoding every window anew."""
    precision: str = one_of("auto", "float32", "bfloat16")
    """Arithmetic of matrix products: `auto` is bfloat16 where the hardware has it. Weights are always float32."""
    compile: str = one_of("auto", "on", "off")
    """torch.compile: `auto` is on with a GPU. The first step then takes a minute or so longer, the others less."""
    workers: int = positive(1)
    """Ray Train workers (data parallel)."""
    worker_cpus: float = at_least_zero(1.0)
    """CPUs reserved for each worker."""
    threads: int = positive(2)
    """Torch threads of each worker."""
    loaders: int = at_least_zero(0)
    """Processes of each worker that read windows ahead; with 0 a thread of the worker does. Each holds two steps'
    windows in /dev/shm. Ray does not count them: raise `worker_cpus` by as many."""
    gpu: bool = False
    """Give each worker a GPU."""
    wait: bool = False
    """Wait for nodes that are not up yet, where an autoscaler brings them, instead of refusing to start."""
    failures: int = at_least_zero(3)
    """Times the workers are restarted, from the last checkpoint, after one of them died."""


PRETRAIN_FREE = (
    *("workers", "worker_cpus", "threads", "loaders", "gpu", "failures", "validate_every", "validation_windows"),
    *("accumulate", "compile", "wait"),
)
"""Settings of `pretrain` that may change on resume: they say how it is computed and watched, not what it computes."""


@dataclass
class PoolConfig:
    workers: int = at_least_zero(0)
    """Simulator actors; 0 means as many as the nodes that are up have room for (`worker_cpus` and the other resources
    below), more or fewer as nodes come and go, and never makes an autoscaler add one. With a number Ray is asked for
    all of them, whatever is up."""
    envs_per_worker: int = positive(1)
    """Simulators in each actor, each with its own episodes: while one waits for the policy, another moves."""
    worker_cpus: float = positive(1.0)
    """CPUs reserved for each simulator actor."""
    worker_gpus: float = at_least_zero(0.0)
    """GPU share reserved for each simulator actor (EGL rendering on GPU nodes)."""
    worker_resources: dict[str, float] = field(default_factory=dict)
    """Custom Ray resources reserved for each simulator actor, e.g. `{simulators: 1}` to keep them on some nodes."""
    attempts: int = positive(3)
    """Times an episode is tried before it ends as crashed."""
    episode_deadline: float = positive(600.0)
    """Seconds, waiting for the policy not counted, after which an episode's worker is considered hung, killed and the
    episode tried again."""
    heartbeat: float = positive(120.0)
    """Seconds without a control step (or the end of a reset) after which the worker is killed and the episode tried
    again."""
    memory_limit_gb: float = positive(4.0)
    """Resident memory above which a worker is replaced after its episode."""


@dataclass
class InferenceConfig:
    servers: int = positive(1)
    """Inference server actors."""
    max_batch: int = positive(1)
    """Requests computed together. 1 makes results independent of batching, bit for bit."""
    max_wait_ms: float = at_least_zero(2.0)
    """How long a request waits for others to share its batch."""
    max_adapters: int = positive(32)
    """Adapters that a server keeps loaded; the one unused for longest makes room for another."""
    device: str = one_of("cpu", "cuda")
    """Where the servers compute. With `cuda` set `gpus` too, so that Ray gives each server a node with a GPU."""
    threads: int = positive(1)
    """Torch threads per server."""
    gpus: float = at_least_zero(0.0)
    """GPU share reserved per server; needs `device=cuda`."""


@dataclass
class ExploreConfig:
    episodes: list[int] = field(default_factory=lambda: [12])
    """Numbers of exploratory episodes to adapt on, to sweep; smaller explorations are the beginnings of the largest."""
    heldout_episodes: int = positive(4)
    """Further exploratory episodes that measure the world model, from initial states that are never trained on."""
    mixture: dict[str, float] = field(default_factory=dict, metadata={"each_of": EXPLORERS})
    """What drives the exploratory episodes, and how often relative to the others: `policy` (the base policy with
    `noise`), `noisy` (the same with three times the noise), `random` (uniform arm actions); empty: the policy alone."""
    first_init_state: int = at_least_zero(40)
    """Exploration starts from this initial state upwards and begins again here after the task's last one; held-out
    episodes go downwards from the one below it."""
    step_limit: int = positive(120)
    """Control steps of each exploratory episode."""
    noise: float = at_least_zero(0.2)
    """Standard deviation of the Gaussian noise added to the exploring policy's arm actions."""
    unshifted: bool = False
    """Explore (and measure held-out episodes in) the world without `env.shifts`, which evaluation keeps: a control. A
    gain that comes all the same does not come from adapting to the shift."""


@dataclass
class TTTConfig:
    method: list[str] = field(default_factory=lambda: ["plain"], metadata={"each_of": METHODS})
    """Ways to adapt, to sweep (docs/ttt.md): `plain` (the paper's), `anchored` (the policy's outputs are held),
    `world_model_rows` (LoRA acts on world-model queries only), the same with `_context` rows, or that one anchored."""
    steps: list[int] = field(default_factory=lambda: [4, 16, 64])
    """TTT step counts to evaluate; the zero-step control is always added."""
    learning_rate: list[float] = field(default_factory=lambda: [3e-4, 3e-3])
    """Constant learning rates to sweep, one trial each."""
    rank: list[int] = field(default_factory=lambda: [8])
    """LoRA ranks to sweep."""
    alpha: float = positive(16.0)
    """LoRA scaling numerator; the update is scaled by alpha / rank."""
    batch_size: int = positive(24)
    """Windows per TTT step."""
    windows_at_once: int = at_least_zero(0)
    """Windows of a TTT step that are computed together, where a batch does not fit into memory; 0: all of them. The
    step is the same but for rounding."""
    weight_decay: float = at_least_zero(0.01)
    """AdamW weight decay on the adapter."""
    grad_clip: float = positive(1.0)
    """Gradient-norm limit per TTT step."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds of the adapter's initial weights and of the order of batches, to sweep; each is added to `seed`."""
    anchor: float = positive(1.0)
    """Weight of the anchor in the loss of the anchored methods; the gripper's part weighs a tenth of it."""
    layers: list[int] = field(default_factory=list)
    """Backbone layers with LoRA, counted from 0; empty means all."""
    early_stopping: int = at_least_zero(0)
    """Stop when the held-out error of changing patches has not improved for so many steps, and keep the best step;
    0 never stops."""
    accept: bool = False
    """Use only adapters that pass the acceptance rule (`accept_gain`, `accept_drift`), else the base."""
    accept_drift: float = positive(0.01)
    """Highest `arm_drift` (mean absolute change of the arm actions, which lie in [-1, 1]) and highest share of flipped
    gripper commands that are accepted."""
    accept_gain: float = at_least_zero(0.05)
    """Relative reduction of the held-out error of changing patches that an accepted adapter must exceed."""
    measure_windows: int = positive(64)
    """Held-out windows measured after every TTT step, spread over all of them; the evaluated steps measure all."""
    asha: str = one_of("", "heldout", "drift", "success")
    """What ASHA ends hopeless trials by: held-out world-model error, policy drift or success; empty ends none."""
    precision: str = one_of("auto", "float32", "bfloat16")
    """Arithmetic of the steps' matrix products, as in `pretrain.precision`. What is measured is always float32."""
    changed_threshold: float = 0.02
    """A patch counts as changed when its mean squared difference to the last frame exceeds this (normalised pixels)."""
    threads: int = positive(1)
    """Torch threads of each learner."""
    gpus: float = at_least_zero(0.0)
    """GPU share of each learner, which then computes on that GPU; 0: on the CPU."""
    max_concurrent_trials: int = positive(2)
    """Trials that adapt and evaluate at the same time."""


@dataclass
class EvaluationConfig:
    protocol: str = one_of("", "libero_paper", "libero_community", "calvin_official", "calvin_paper_code")
    """Episodes and step limit as others count them, in place of `tasks`, `episodes_per_task` and `step_limit`: the
    paper's code on LIBERO-10, the community's LIBERO (50 initial states a task), CALVIN's 1,000 chains, or these with
    the paper's longer limit. Empty: as set below."""
    limit: int = at_least_zero(0)
    """Run only the first so many episodes of the protocol (0: all); the output then says that it is a part."""
    chains: int = at_least_zero(0)
    """CALVIN, any scene: so many chains of `tasks`, drawn by its rule from its initial conditions, in place of
    `episodes_per_task`; each task may take `step_limit` control steps (CALVIN: 360). 0: single tasks."""
    chain_length: int = positive(5)
    """Tasks in each of these chains (CALVIN: 5), all of different categories: a policy that knows tasks of four
    categories only can be measured on chains of four."""
    tasks: list[str] = field(default_factory=list)
    """Tasks to evaluate; empty means env.tasks."""
    episodes_per_task: int = positive(10)
    """Initial states 0 .. n-1 of each task, the same for every arm."""
    step_limit: int = positive(200)
    """Control steps after which an episode has failed."""
    confirm_episodes: int = at_least_zero(0)
    """Fresh initial states of each task, used by neither search nor exploration, on which a sweep compares its best
    group, and the acceptance rule's choice, with the control once more. 0: no confirmation."""
    confirm_first_init_state: int = at_least_zero(500)
    """Fresh initial states are taken from here upwards, and from those below where a task has too few."""
    retry_failed: bool = False
    """Try episodes again that an earlier start of the same run folder gave up as crashed or timed out
    (pipelines/evaluate.py)."""
    adapter: str = ""
    """Adapter folder to evaluate beside the base model (pipelines/evaluate.py), e.g. `runs/a/adapters/0123456789ab`."""
    videos: int = at_least_zero(1)
    """Evaluation episodes recorded step by step for the control and for the best arm."""


@dataclass
class StudyConfig:
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Sweeps of a study (pipelines/study.py) by name, each with the settings that are its own, e.g. in a file
    `camera: {env: {shifts: {camera: 0.5}}}`; whatever they do not name is the study's. `env.shifts` is named as a
    whole: `{env: {shifts: {}}}` is the unshifted world, whatever the study's."""


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
    seed: int = at_least_zero(0)
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
    study: StudyConfig = field(default_factory=StudyConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
