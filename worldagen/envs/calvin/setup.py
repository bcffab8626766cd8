"""What CALVIN needs on this machine, chosen from the configuration and announced."""

import logging
import os
from typing import Literal

from worldagen.config import EnvConfig
from worldagen.envs.calvin.engine import check_choices, check_renderer
from worldagen.envs.calvin.package import ROOT_VARIABLE, checkout, find_checkout
from worldagen.envs.calvin.stage import check_opengl
from worldagen.types import EnvSpec

logger = logging.getLogger(__name__)


def prepare_calvin(config: EnvConfig) -> EnvSpec:
    """Choose engine and assets, and say which.

    Sets CALVIN_ENV_ROOT, which the pool hands on to its workers, where a checkout is used. Raises ConfigError for an
    unknown scene or for settings that exclude each other, CalvinEnvError when the checkout asked for is missing or not
    whole, and GLError when OpenGL is asked for and does not work.
    """
    check_choices(config)
    engine = _choose_engine(config)
    # The package has its own assets and one way of drawing; only our own engine has a choice.
    assets: Literal["official", "primitive"]
    assets = "official" if engine == "calvin_env" or config.assets == "official" else "primitive"
    if assets == "official":
        os.environ[ROOT_VARIABLE] = str(find_checkout(config.calvin_root) or checkout())
    if config.renderer == "egl":
        check_opengl()
    spec = EnvSpec(
        suite=config.suite,
        image_size=config.image_size,
        wrist_image_size=config.wrist_image_size,
        visuals="full" if engine == "calvin_env" else config.visuals,  # type: ignore[arg-type]
        assets=assets,
        engine=engine,
        renderer=config.renderer,  # type: ignore[arg-type]
    )
    check_renderer(spec)
    logger.info(
        "%s runs on %s, %s assets, visuals %s, renderer %s", spec.suite, engine, assets, spec.visuals, spec.renderer
    )
    return spec


def _choose_engine(config: EnvConfig) -> Literal["calvin_env", "native"]:
    if config.engine == "native":
        return "native"
    if config.engine == "calvin_env":
        return "calvin_env"
    if config.assets != "primitive" and find_checkout(config.calvin_root):
        return "calvin_env"
    if config.assets != "primitive":
        logger.warning(
            "no checkout of calvin_env was found: %s runs on our own engine (env.engine=native); "
            "`python -m worldagen.envs.calvin install` fetches one",
            config.suite,
        )
    return "native"
