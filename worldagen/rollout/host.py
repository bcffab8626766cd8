"""A simulator process as the dispatcher sees it: what it is busy with, whether it lives, and who is to blame if not."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from worldagen.config import PoolConfig
from worldagen.rollout.lane import Attempt
from worldagen.rollout.queue import Ticket
from worldagen.types import Status

logger = logging.getLogger(__name__)

_DEATH = "its process died: killed, out of memory or a segmentation fault"
_NEIGHBOUR = "another episode of its process had to be stopped"


@dataclass(frozen=True)
class Failure:
    """A try that its process did not survive."""

    status: Status
    error: str
    reason: str
    """The same in one line."""
    guilty: bool | None
    """True: this episode did it. False: it did not. None: one of several of the same process, nobody knows which."""


class Host:
    """One `SimWorker` actor. Give each of its lanes one episode at a time; after a failure it is no longer `usable`."""

    def __init__(self, actor: Any, node: str, config: PoolConfig) -> None:
        self.actor = actor
        self.node = node
        self.config = config
        self.busy: dict[int, Ticket] = {}
        self.usable = True
        self.unbuilt = False
        """Whether it could not build a simulator."""
        self.over = False
        self._verdicts: dict[int, Failure] = {}
        self._told = 0.0
        """How long an episode had waited for the policy when that was last told."""

    async def attempt(self, lane: int, ticket: Ticket) -> Attempt | Failure:
        """One try at an episode."""
        self.busy[lane] = ticket
        try:
            return await self.actor.run.remote(lane, ticket.spec)
        except RayError as error:
            if await asyncio.to_thread(_lives, self.node):
                self._end("crashed", str(error), _DEATH, guilty=set(self.busy))
            else:
                self._end("crashed", str(error), "its node left the cluster", guilty=set())
        finally:
            del self.busy[lane]
        return self._verdicts[lane]

    async def watch(self) -> None:
        """End the process when a simulator has not moved for `pool.heartbeat` seconds, when an episode takes longer
        than `pool.episode_deadline`, or when the process cannot answer."""
        limit, deadline = self.config.heartbeat, self.config.episode_deadline
        silence, setting = min((limit, "pool.heartbeat"), (deadline, "pool.episode_deadline"))
        while not self.over:
            await asyncio.sleep(min(10.0, limit / 4, deadline / 4))
            try:
                async with asyncio.timeout(silence):
                    paces = await self.actor.paces.remote()
            except TimeoutError:
                self._end(
                    "timed_out", "", f"its process has not answered for {silence:g} s ({setting})", set(self.busy)
                )
            except RayError:
                return  # the lanes learn it themselves
            else:
                if hung := {lane for lane in self.busy if paces[lane].stalled > limit}:
                    self._hung(f"its simulator has not moved for {limit:g} s (pool.heartbeat)", hung)
                elif late := {lane for lane in self.busy if paces[lane].spent > deadline}:
                    self._hung(f"exceeded the deadline of {deadline:g} s (pool.episode_deadline)", late)
                self._tell_of_waiting(max((paces[lane].waits for lane in self.busy), default=0.0))

    def _tell_of_waiting(self, seconds: float) -> None:
        """Warn of a policy that does not answer, every `pool.heartbeat` seconds."""
        self._told = min(self._told, seconds)
        if seconds > self._told + self.config.heartbeat:
            self._told = seconds
            logger.warning("an episode has waited %.0f s for the inference server's answer", seconds)

    def close(self) -> None:
        self.usable, self.over = False, True
        ray.kill(self.actor)

    def _hung(self, reason: str, lanes: set[int]) -> None:
        self._end("timed_out", "", reason, lanes, known=True)

    def _end(self, status: Status, error: str, reason: str, guilty: set[int], known: bool = False) -> None:
        """Kill the process and judge every episode in it; the first judgement counts.

        `guilty` are the lanes of which one, or with `known` each, is the cause.
        """
        if self.over:
            return
        known = known or len(guilty) == 1
        for lane in self.busy:
            if lane in guilty or not guilty:
                verdict = (True if known else None) if lane in guilty else False
                self._verdicts[lane] = Failure(status, error or reason, reason, verdict)
            else:
                self._verdicts[lane] = Failure(status, _NEIGHBOUR, _NEIGHBOUR, False)
        self.close()


def _lives(node: str) -> bool:
    return any(each["NodeID"] == node and each["Alive"] for each in ray.nodes())
