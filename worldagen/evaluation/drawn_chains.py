"""Chains of tasks for a policy that knows only some of CALVIN's: drawn by its rule, in any of its scenes."""

import functools
from collections.abc import Sequence

from worldagen.config import Config, ConfigError
from worldagen.envs.suites import control_rate
from worldagen.evaluation.protocols import PROTOCOLS, numbered_specs, world_departures
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec


def runs_chains(config: Config) -> bool:
    """Whether evaluation episodes are chains of tasks: drawn ones, or a protocol's."""
    protocol = PROTOCOLS.get(config.evaluation.protocol)
    return bool(config.evaluation.chains) or (protocol is not None and protocol.chains)


def check_chains(config: Config, tasks: Sequence[str]) -> None:
    """Raise ConfigError where `evaluation.chains` cannot be drawn from `tasks`."""
    if not config.env.suite.startswith("calvin_"):
        raise ConfigError(
            f"evaluation.chains={config.evaluation.chains}: chains are CALVIN's, env.suite={config.env.suite} has "
            "none; set evaluation.episodes_per_task"
        )
    try:
        _episodes(tuple(tasks), 1, config.seed, config.evaluation.chain_length)
    except ValueError as error:
        raise ConfigError(f"evaluation.tasks: {error}") from error


def drawn_chain_specs(config: Config, env: EnvSpec, tasks: Sequence[str], policy: PolicySpec) -> list[EpisodeSpec]:
    """`evaluation.chains` chains of `tasks`; a smaller number is the beginning of a larger one."""
    evaluation = config.evaluation
    episodes = _episodes(tuple(tasks), evaluation.chains, config.seed, evaluation.chain_length)
    return numbered_specs(config, env, policy, episodes, evaluation.step_limit)


def describe_drawn_chains(config: Config, env: EnvSpec, tasks: Sequence[str]) -> list[str]:
    """What is run, and in what it is not CALVIN's benchmark, one line each."""
    steps, rate = config.evaluation.step_limit, control_rate(env.suite)
    departures = ["not its 1,000 chains (evaluation.protocol=calvin_official)", *world_departures(env)]
    return [
        f"{config.evaluation.chains} chains of {config.evaluation.chain_length} of these tasks, drawn by CALVIN's rule "
        f"from its initial conditions (seed {config.seed}); {steps} control steps a task ({steps / rate:g} s at "
        f"{rate} Hz)",
        f"  tasks: {', '.join(tasks)}",
        *(f"  NOT CALVIN's benchmark: {departure}" for departure in departures),
    ]


@functools.lru_cache(maxsize=8)
def _episodes(tasks: tuple[str, ...], count: int, seed: int, length: int) -> list[tuple[int, tuple[str, ...]]]:
    """Initial state of the first task, and the tasks, of each chain."""
    from worldagen.envs.calvin.sequences import drawn_sequences  # other suites do not need CALVIN

    return [(sequence.init_state, sequence.tasks) for sequence in drawn_sequences(tasks, count, seed, length)]
