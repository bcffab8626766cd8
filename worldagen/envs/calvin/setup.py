"""What CALVIN needs on this machine, chosen from the configuration and announced."""

import logging
import os
from typing import Literal

from worldagen.config import EnvConfig
from worldagen.envs.calvin.engine import check_scene
from worldagen.envs.calvin.package import ROOT_VARIABLE, checkout, find_checkout
from worldagen.types import EnvSpec

logger = logging.getLogger(__name__)


def prepare_calvin(config: EnvConfig) -> EnvSpec:
    """Choose engine and assets, and say which.

    Sets CALVIN_ENV_ROOT, which the pool hands on to its workers, where a checkout is used. Raises ConfigError for an
    unknown scene and CalvinEnvError when the checkout asked for is missing or not whole.
    """
    check_scene(config.suite)
    engine, why = _choose_engine(config)
    # The package has its own assets and one way of drawing; only our own engine has a choice.
    assets: Literal["official", "primitive"]
    assets = "official" if engine == "calvin_env" or config.assets == "official" else "primitive"
    if assets == "official":
        os.environ[ROOT_VARIABLE] = str(find_checkout(config.calvin_root) or checkout())
    logger.info("%s runs on %s%s, %s assets, renderer %s", config.suite, engine, why, assets, config.renderer)
    return EnvSpec(
        suite=config.suite,
        image_size=config.image_size,
        wrist_image_size=config.wrist_image_size,
        visuals="full" if engine == "calvin_env" else config.visuals,  # type: ignore[arg-type]
        assets=assets,
        engine=engine,
        renderer=config.renderer,  # type: ignore[arg-type]
    )


def _choose_engine(config: EnvConfig) -> tuple[Literal["calvin_env", "native"], str]:
    if config.engine == "native":
        return "native", ""
    if config.engine == "calvin_env":
        return "calvin_env", ""
    if find_checkout(config.calvin_root):
        return "calvin_env", " (a checkout of calvin_env was found)"
    return (
        "native",
        " (no checkout of calvin_env is configured; fetch one with `python -m worldagen.envs.calvin install`)",
    )
