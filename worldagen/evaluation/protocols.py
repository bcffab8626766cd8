"""How others count success, by name: which episodes they run and how long each may take.

A protocol fixes episodes and step limits. What the world looks like is the simulator's setting; `departures` says where
that, or a smaller run, makes a number something else than the protocol's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from worldagen.config import Config, ConfigError
from worldagen.envs.suites import control_rate, task_infos
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Which episodes are run, and how many control steps each of their tasks may take."""

    name: str
    source: str
    """Where the numbers come from."""
    note: str = ""
    """In what our episodes still differ from the source's."""
    limits: Mapping[str, int]
    """For each task, by suite: the protocol is run nowhere else."""
    unit: Literal["steps", "chunks"] = "steps"
    """What the limits count: control steps, or the policy's decisions."""
    init_states: int = 0
    """Every task from so many initial states; 0 means CALVIN's 1,000 chains of five tasks."""

    @property
    def chains(self) -> bool:
        return self.init_states == 0

    def step_limit(self, suite: str, actions_per_chunk: int) -> int:
        """Control steps for each task."""
        return self.limits[suite] * (actions_per_chunk if self.unit == "chunks" else 1)

    def episodes(self, suite: str) -> list[tuple[int, tuple[str, ...]]]:
        """Initial state and tasks of each. Single tasks take turns, so that the first few already cover all of them."""
        if self.chains:
            from worldagen.envs.calvin.sequences import official_sequences  # LIBERO's protocols do not need CALVIN

            return [(sequence.init_state, sequence.tasks) for sequence in official_sequences()]
        tasks = task_infos(suite)
        return [(init_state, (task,)) for init_state in range(self.init_states) for task in tasks]


_ALL = (
    Protocol(
        name="libero_paper",
        source="WorldAgen's code: utils/eval_utils_libero.py (10 tasks x 20 episodes), --libero_eval_max_steps 600",
        note="there the policy first sees the scene before its objects have settled, here after",
        init_states=20,
        limits={"libero_10": 600},
    ),
    Protocol(
        name="libero_community",
        source="OpenVLA's experiments/robot/libero/run_libero_eval.py, which most later work follows",
        note="there objects settle for 10 control steps, here for 5; with all 50 initial states evaluated, "
        "demonstrations collected here start from some of them",
        init_states=50,
        limits={"libero_spatial": 220, "libero_object": 280, "libero_goal": 300, "libero_10": 520, "libero_90": 400},
    ),
    Protocol(
        name="calvin_official",
        source="CALVIN's calvin_agent/evaluation/evaluate_policy.py: NUM_SEQUENCES 1000, EP_LEN 360",
        limits={"calvin_d": 360},
    ),
    Protocol(
        name="calvin_paper_code",
        source="WorldAgen's code: utils/eval_utils_calvin.py counts CALVIN's 360 in chunks (of 5 control steps there)",
        limits={"calvin_d": 360},
        unit="chunks",
    ),
)
PROTOCOLS = {protocol.name: protocol for protocol in _ALL}


def find_protocol(config: Config) -> Protocol:
    """The protocol that `config` names. Raises ConfigError for one that does not fit the suite."""
    name, suite = config.evaluation.protocol, config.env.suite
    protocol = PROTOCOLS[name]
    if suite not in protocol.limits:
        fitting = [each.name for each in _ALL if suite in each.limits]
        raise ConfigError(
            f"evaluation.protocol={name} is run in {', '.join(protocol.limits)}, not in env.suite={suite}; "
            + (f"for {suite} use {' or '.join(fitting)}" if fitting else f"{suite} has no named protocol")
        )
    if config.evaluation.tasks:
        raise ConfigError(
            f"evaluation.protocol={name} runs all tasks; leave evaluation.tasks empty (evaluation.limit runs a part)"
        )
    return protocol


def protocol_specs(config: Config, env: EnvSpec, policy: PolicySpec) -> list[EpisodeSpec]:
    """The episodes of the protocol that `config` names: all of them, or the first `evaluation.limit`.

    Raises ConfigError as `find_protocol` does.
    """
    protocol = find_protocol(config)
    step_limit = protocol.step_limit(env.suite, config.model.actions_per_chunk)
    episodes = protocol.episodes(env.suite)[: config.evaluation.limit or None]
    return numbered_specs(config, env, policy, episodes, step_limit)


def numbered_specs(
    config: Config, env: EnvSpec, policy: PolicySpec, episodes: Sequence[tuple[int, tuple[str, ...]]], step_limit: int
) -> list[EpisodeSpec]:
    """Specs of `episodes` (initial state and tasks of each), told apart by their seeds."""
    return [
        EpisodeSpec(
            env=env,
            task=tasks[0],
            then=tasks[1:],
            init_state=init_state,
            seed=config.seed * 1_000_000 + number,
            policy=policy,
            step_limit=step_limit,
            actions_per_chunk=config.model.actions_per_chunk,
        )
        for number, (init_state, tasks) in enumerate(episodes)
    ]


def describe_protocol(config: Config, env: EnvSpec) -> list[str]:
    """What is run, on whose authority, and every way in which it is not the full protocol, one line each."""
    protocol = find_protocol(config)
    steps = protocol.step_limit(env.suite, config.model.actions_per_chunk)
    full, rate = len(protocol.episodes(env.suite)), control_rate(env.suite)
    what = "chains" if protocol.chains else "episodes"
    return [
        f"protocol {protocol.name}: {full} {what}, {steps} control steps a task ({steps / rate:g} s at {rate} Hz)",
        f"  source: {protocol.source}",
        *(f"  NOT the full protocol: {departure}" for departure in departures(config, env, full, what)),
        *([f"  note: {protocol.note}"] if protocol.note else []),
    ]


def departures(config: Config, env: EnvSpec, full: int, what: str = "episodes") -> list[str]:
    """Why results of `config` in `env` are not those of the protocol with `full` episodes; empty if they are."""
    limit = config.evaluation.limit
    part = [f"only the first {limit} of its {full} {what}"] if 0 < limit < full else []
    return [*part, *world_departures(env)]


def world_departures(env: EnvSpec) -> list[str]:
    """In what `env` is not the world that the benchmarks are run in."""
    found = {
        "primitive assets instead of the benchmark's": env.assets == "primitive",
        "visuals=light instead of what the benchmark draws": env.visuals == "light",
        "our native engine instead of calvin_env": env.engine == "native",
        "TinyRenderer's pictures instead of OpenGL's": env.renderer == "tiny",
        f"a shifted world ({', '.join(f'{shift.name} {shift.strength:g}' for shift in env.shifts)})": bool(env.shifts),
    }
    return [text for text, holds in found.items() if holds]
