"""A simulator process as the dispatcher sees it: what it is busy with, whether it lives, and who is to blame if not."""

import asyncio
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from worldagen.config import PoolConfig
from worldagen.rollout.lane import Attempt
from worldagen.rollout.queue import Ticket
from worldagen.types import Status

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
        self.over = False
        self._verdicts: dict[int, Failure] = {}

    async def attempt(self, lane: int, ticket: Ticket) -> Attempt | Failure:
        """One try at an episode."""
        self.busy[lane] = ticket
        deadline = self.config.episode_deadline
        try:
            async with asyncio.timeout(deadline):
                return await self.actor.run.remote(lane, ticket.spec)
        except TimeoutError:
            self._hung(f"exceeded the deadline of {deadline:g} s (pool.episode_deadline)", {lane})
        except RayError as error:
            if await asyncio.to_thread(_lives, self.node):
                self._end("crashed", str(error), _DEATH, guilty=set(self.busy))
            else:
                self._end("crashed", str(error), "its node left the cluster", guilty=set())
        finally:
            del self.busy[lane]
        return self._verdicts[lane]

    async def watch(self) -> None:
        """End the process when a simulator has not moved for `pool.heartbeat` seconds, or the process cannot answer."""
        limit = self.config.heartbeat
        while not self.over:
            await asyncio.sleep(min(10.0, limit / 4))
            try:
                async with asyncio.timeout(limit):
                    stalled = await self.actor.stalled.remote()
            except TimeoutError:
                self._end(
                    "timed_out", "", f"its process has not answered for {limit:g} s (pool.heartbeat)", set(self.busy)
                )
            except RayError:
                return  # the lanes learn it themselves
            else:
                hung = {lane for lane, seconds in enumerate(stalled) if seconds > limit} & set(self.busy)
                if hung:
                    self._hung(f"its simulator has not moved for {limit:g} s (pool.heartbeat)", hung)

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
