"""One episode, from reset to result. Plain code: no Ray, no files."""

import hashlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from worldagen.envs.base import Env
from worldagen.rollout.policies import Policy, episode_generator
from worldagen.types import ACTION_SIZE, EpisodeResult, EpisodeSpec, Observation, StepOut, Trajectory


@dataclass(frozen=True)
class Episode:
    """What an episode left behind."""

    result: EpisodeResult
    trajectory: Trajectory | None
    """None when the spec records nothing."""
    frames: tuple[np.ndarray, ...]
    """Primary image at the start and after each action; empty unless the spec records video."""


def run_episode(env: Env, policy: Policy, spec: EpisodeSpec, before: Policy | None = None) -> Episode:
    """Let `policy` act in `env` until success (if the spec stops there) or the step limit.

    `before` acts first in the last task where the spec has a `handover`; if it succeeds, nothing is recorded.

    A chain goes on with its next task where the last one succeeded, and the policy starts anew, knowing nothing of what
    was before (CALVIN's protocol). The result depends on the spec and the policy alone. Whatever the simulator or the
    policy raises passes through.
    """
    seconds = dict.fromkeys(("reset", "simulate", "render", "wait"), 0.0)
    with _timed(seconds, "reset"):
        observation = env.reset(spec)
    tape = _Tape(observation)
    noise = episode_generator(spec, "noise")
    completed = 0
    for number, task in enumerate((spec.task, *spec.then)):
        if number:
            env.next_task(task)
        tape.began, limit, done = len(tape.chunks), spec.step_limit, False
        if before and number == len(spec.then):
            done = _attempt(env, before, spec, tape, noise, seconds, spec.policy.handover)
            tape.began, limit = len(tape.chunks), limit - spec.policy.handover
        if not (done or _attempt(env, policy, spec, tape, noise, seconds, limit)):
            break
        completed += 1
    result = EpisodeResult(
        spec=spec,
        status="success" if completed == 1 + len(spec.then) else "failure",
        steps=tape.steps,
        completed=completed,
        seconds=seconds,
        digest=tape.digest(env.state_digest()),
    )
    return Episode(
        result,
        None
        if spec.record == "none" or tape.began == len(tape.chunks)
        else tape.trajectory(spec, spec.instruction or env.instruction),
        tuple(tape.frames) if spec.record == "video" else (),
    )


def _attempt(
    env: Env,
    policy: Policy,
    spec: EpisodeSpec,
    tape: "_Tape",
    noise: np.random.Generator,
    seconds: dict[str, float],
    limit: int,
) -> bool:
    """`limit` steps at the env's current task, from where the simulator stands. Returns whether its goal held after any
    action."""
    with _timed(seconds, "wait"):
        policy.start(spec, env)
    observation = tape.chunks[-1].observation if tape.chunks else tape.first
    executed, steps, success = np.zeros((0, ACTION_SIZE), np.float32), 0, False
    while steps < limit and not (success and spec.stop_on_success):
        with _timed(seconds, "wait"):
            actions = policy.act(observation, executed)
        intended: list[np.ndarray] = []
        count = min(spec.actions_per_chunk, limit - steps)
        out = env.step(_disturbed(islice(actions, count), spec.policy.noise, noise, intended))
        tape.add(out, intended)
        observation, executed = out.observation, out.actions
        steps, success = steps + len(executed), success or out.success
        for name, value in out.seconds.items():
            seconds[name] += value
    return success


@dataclass
class _Tape:
    """What happened so far, chunk by chunk."""

    first: Observation
    chunks: list[StepOut] = field(default_factory=list)
    intended: list[np.ndarray] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)
    began: int = 0
    """Chunks before what is recorded: those of a chain's earlier tasks, and of whoever handed over."""

    def __post_init__(self) -> None:
        self.frames.append(self.first.primary)

    def add(self, out: StepOut, intended: list[np.ndarray]) -> None:
        if not len(out.actions):
            raise RuntimeError("the simulator executed no action: the policy gave none or the env stopped too early")
        self.chunks.append(out)
        self.intended.append(np.stack(intended)[: len(out.actions)])
        self.frames.extend(out.frames)

    @property
    def steps(self) -> int:
        return sum(len(out.actions) for out in self.chunks)

    def digest(self, state: bytes) -> str:
        actions = np.concatenate([np.zeros((0, ACTION_SIZE), np.float32), *(out.actions for out in self.chunks)])
        return hashlib.sha256(actions.astype(np.float32).tobytes() + state).hexdigest()

    def trajectory(self, spec: EpisodeSpec, instruction: str) -> Trajectory:
        """From chunk `began` on."""
        chunks, intended = self.chunks[self.began :], self.intended[self.began :]
        before = self.chunks[self.began - 1].observation if self.began else self.first
        observations = [before, *(out.observation for out in chunks)]
        return Trajectory(
            spec=spec,
            instruction=instruction,
            primary=np.stack([observation.primary for observation in observations]),
            wrist=np.stack([observation.wrist for observation in observations]),
            state=np.stack([observation.state for observation in observations]).astype(np.float32),
            actions=_padded([out.actions for out in chunks], spec.actions_per_chunk),
            intended=_padded(intended, spec.actions_per_chunk),
            counts=np.array([len(out.actions) for out in chunks], np.int32),
            success=any(out.success for out in chunks),
        )


def _disturbed(
    actions: Iterable[np.ndarray], noise: float, generator: np.random.Generator, intended: list[np.ndarray]
) -> Iterator[np.ndarray]:
    """Pass actions on with Gaussian noise on their six arm values, noting in `intended` what they were without it."""
    for action in actions:
        action = np.asarray(action, np.float32)
        intended.append(action)
        if noise:
            action = action.copy()
            action[:6] = np.clip(action[:6] + noise * generator.standard_normal(6), -1.0, 1.0)
        yield action


def _padded(chunks: list[np.ndarray], length: int) -> np.ndarray:
    """Stack (n, 7) chunks of n <= length into float32 (T, length, 7), zeros behind the short ones."""
    padded = np.zeros((len(chunks), length, ACTION_SIZE), np.float32)
    for row, chunk in zip(padded, chunks, strict=True):
        row[: len(chunk)] = chunk
    return padded


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[name] += time.perf_counter() - start
