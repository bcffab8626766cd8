"""Policies that act in an episode: learned (through a model that answers requests), scripted expert, random."""

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import numpy as np

from worldagen.envs.base import Env
from worldagen.envs.experts import make_expert
from worldagen.models.decision import Decision, DecisionRequest, History
from worldagen.randomness import generator
from worldagen.rollout.errors import PolicyError
from worldagen.types import ACTION_SIZE, EpisodeSpec, Observation


class Policy(Protocol):
    """Decides what to do next. `start` is called once an episode, after the environment was reset."""

    def start(self, spec: EpisodeSpec, env: Env) -> None: ...

    def act(self, observation: Observation, executed: np.ndarray) -> Iterable[np.ndarray]:
        """At least `spec.actions_per_chunk` actions, each (7,); a lazy iterable may read the simulator between two.

        `executed` float32 (n, 7) holds the actions executed since the last call, noise included; empty at the first.
        """
        ...


class ExpertPolicy:
    """The task's scripted expert. Closed loop: each action is computed after the one before it was executed."""

    def start(self, spec: EpisodeSpec, env: Env) -> None:
        try:
            self.actions: Iterator[np.ndarray] = make_expert(spec, env)
        except ValueError as error:
            raise PolicyError(f"no scripted expert for this episode: {error}") from error

    def act(self, observation: Observation, executed: np.ndarray) -> Iterable[np.ndarray]:
        return self.actions


class RandomPolicy:
    """Uniform arm actions; the gripper opens or closes for a whole chunk."""

    def start(self, spec: EpisodeSpec, env: Env) -> None:
        self.chunk = spec.actions_per_chunk
        self.generator = episode_generator(spec, "random policy")

    def act(self, observation: Observation, executed: np.ndarray) -> Iterable[np.ndarray]:
        actions = self.generator.uniform(-1.0, 1.0, (self.chunk, ACTION_SIZE)).astype(np.float32)
        actions[:, -1] = np.sign(actions[0, -1])
        return actions


class Model(Protocol):
    """What a learned policy needs of a model, wherever it computes. It keeps nothing between two requests."""

    fingerprint: str
    """Of the base weights."""
    chunks: int
    """K: observations in its window."""

    def decide(self, request: DecisionRequest) -> Decision:
        """Raises PolicyError when it cannot answer."""
        ...


class LearnedPolicy:
    """Asks a model for one chunk at a time and carries the history window along."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def start(self, spec: EpisodeSpec, env: Env) -> None:
        expected = spec.policy.checkpoint
        if expected != self.model.fingerprint:
            raise PolicyError(
                f"the episode asks for checkpoint {expected!r}, the model that answers has the fingerprint "
                f"{self.model.fingerprint!r}; start the pool with servers of the checkpoint that the specs name"
            )
        self.spec = spec
        self.history = History(self.model.chunks, spec.instruction or env.instruction, spec.policy.adapter)
        self.last: tuple[Observation, Decision] | None = None

    def act(self, observation: Observation, executed: np.ndarray) -> Iterable[np.ndarray]:
        if self.last:
            self.history.record(*self.last, executed)
        decision = self.model.decide(self.history.request(observation))
        if decision.actions.shape != (self.spec.actions_per_chunk, ACTION_SIZE):
            raise PolicyError(
                f"the model decides on actions of shape {decision.actions.shape}, the episode asks for "
                f"({self.spec.actions_per_chunk}, {ACTION_SIZE}); it must be what the model was trained with"
            )
        self.last = observation, decision
        return decision.actions


def make_predecessor(spec: EpisodeSpec, model: Callable[[], Model]) -> Policy | None:
    """The policy that hands over to the one that `spec` names, if there is one."""
    return LearnedPolicy(model()) if spec.policy.handover else None


def make_policy(spec: EpisodeSpec, model: Callable[[], Model]) -> Policy:
    """The policy that `spec` names; `model` is called only for a learned one."""
    if spec.policy.kind == "expert":
        return ExpertPolicy()
    if spec.policy.kind == "random":
        return RandomPolicy()
    if spec.policy.kind == "recorded":
        raise PolicyError(f"{spec.policy.checkpoint} was recorded elsewhere; its demonstrator cannot act again")
    return LearnedPolicy(model())


def episode_generator(spec: EpisodeSpec, purpose: str) -> np.random.Generator:
    """Random numbers of one episode for one purpose. They do not depend on the policy, so paired arms share them."""
    return generator(spec.seed, spec.task, spec.init_state, purpose)
