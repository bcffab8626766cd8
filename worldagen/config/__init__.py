"""Settings: what there is (schema, limits), named sizes (presets), how they are read (loading) and checked (checks)."""

from worldagen.config.content import content_key, differences, flat, to_dict, without_passwords
from worldagen.config.limits import ConfigError
from worldagen.config.loading import changed, load
from worldagen.config.paths import in_ray_job, run_path
from worldagen.config.presets import PRESETS
from worldagen.config.schema import (
    PRETRAIN_FREE,
    Config,
    DemosConfig,
    EnvConfig,
    EvaluationConfig,
    ExploreConfig,
    InferenceConfig,
    ModelConfig,
    PoolConfig,
    PretrainConfig,
    StudyConfig,
    TrackingConfig,
    TTTConfig,
)

__all__ = [
    "PRESETS",
    "PRETRAIN_FREE",
    "Config",
    "ConfigError",
    "DemosConfig",
    "EnvConfig",
    "EvaluationConfig",
    "ExploreConfig",
    "InferenceConfig",
    "ModelConfig",
    "PoolConfig",
    "PretrainConfig",
    "StudyConfig",
    "TTTConfig",
    "TrackingConfig",
    "changed",
    "content_key",
    "differences",
    "flat",
    "in_ray_job",
    "load",
    "run_path",
    "to_dict",
    "without_passwords",
]
