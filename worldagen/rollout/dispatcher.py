"""The actor that owns the simulator workers: hands out episodes, replaces what dies, logs what finishes.

Each slot is a coroutine that keeps one worker at work, with a coroutine for each of its lanes. A worker that dies,
hangs or grows too large is killed and replaced; its episodes go back into the queue. Where several ran in a process
that died, each is tried again alone, so that only the one that kills processes ends as crashed. Results reach their
runs only after they are in the log.
"""

import asyncio
import copy
import logging
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from worldagen.config import PoolConfig
from worldagen.rollout.errors import BuildError, RunError
from worldagen.rollout.host import Failure, Host
from worldagen.rollout.log import LEASE_PATIENCE, LOCK_PATIENCE, EpisodeLog
from worldagen.rollout.metrics import PoolMetrics
from worldagen.rollout.queue import EpisodeQueue, Group, Ticket
from worldagen.rollout.stats import PoolStats
from worldagen.rollout.worker import SimWorker
from worldagen.types import GAVE_UP, EnvSpec, EpisodeResult, EpisodeSpec, Status

logger = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds a caller waits in `exchange` before it is answered without results."""
IDLE_SECONDS = 120.0
"""A worker without work for this long is ended, so that others (training, say) can have its CPU."""
START_WARNING_SECONDS = 30.0
BACK_OFF = 2.0
MOST_BACK_OFF = 60.0
"""Seconds by which a slot waits longer after each worker in a row that did not start, or could build no simulator."""
UPKEEP_SECONDS = 5.0
"""How often the pool looks whether the cluster has grown or shrunk, and reports its metrics."""
ALONE_PATIENCE = 0.2
"""Seconds until a lane with nothing to do looks again whether what must run alone has found a process."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
IN_THREADS = {"RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0"}
"""Lanes ask their inference server from threads of their own, which Ray takes for the event loop and warns of."""

NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}
"""Ray leaves this variable as it is for an actor without a GPU: its simulators would draw on one that others use, and
pictures would depend on the node."""


@dataclass
class _Run:
    """A caller of `Pool.run`, and what it has not fetched yet."""

    results: list[EpisodeResult] = field(default_factory=list)
    error: Exception | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Dispatcher:
    """Async Ray actor. `Pool` is its handle; nothing else should call it."""

    def __init__(self, config: PoolConfig, storage: Path, env_vars: dict[str, str], retry_failed: bool = False) -> None:
        self.config = config
        self.storage = storage
        self.retry_failed = retry_failed
        self.servers: Sequence[Any] = ()
        self.env_vars = ONE_THREAD | IN_THREADS | (env_vars if config.worker_gpus else env_vars | NO_GPU)
        self.queue = EpisodeQueue()
        self.work = asyncio.Event()
        self.opening = asyncio.Lock()
        self.runs: dict[str, _Run] = {}
        self.stats = PoolStats()
        self.starting: dict[int, float] = {}
        """Since when each slot has waited for its worker to start."""
        self.bad_starts = 0
        """Workers that did not start since the last that did."""
        self.unbuilt: Counter[str] = Counter()
        """Simulators that could not be built, by node, since an episode last ended there."""
        self.built: set[EnvSpec] = set()
        """Simulators in which an episode has ended."""
        self.gave_up: set[str] = set()
        """Keys of the episodes that this process ended as crashed or timed out."""
        self.slots: dict[int, asyncio.Task[None]] = {}
        self.hosts: dict[int, Host] = {}
        self.broken: RunError | None = None

    async def open(self, servers: Sequence[Any], patience: float = LOCK_PATIENCE) -> None:
        """Read the log, for whose lock it waits so many seconds, and be ready for work. Raises LogError or OSError when
        the storage cannot be used."""
        async with self.opening:  # after a restart several runs ask at once, and the log can be opened once only
            if not self.slots:
                self.servers = servers
                self.log = await asyncio.to_thread(EpisodeLog, self.storage / "episodes.jsonl", patience)
                try:
                    await self._resize()
                except BaseException:
                    self.log.close()
                    raise
                self.upkeep = asyncio.create_task(self._upkeep())

    async def exchange(
        self, run_id: str, specs: Sequence[EpisodeSpec], servers: Sequence[Any], begins: bool
    ) -> list[EpisodeResult] | None:
        """Take more specs of a run, give the results it has not seen. Waits a while for the first; may be empty.

        None if the run did not begin here, nor now: Ray has restarted this actor, and the specs that the run waits for
        have to be handed over again.
        """
        await self.open(servers, LEASE_PATIENCE)  # Ray may have restarted this actor
        if self.broken:
            raise self.broken
        if run_id not in self.runs and not begins:
            return None
        run = self.runs.setdefault(run_id, _Run())
        for spec in specs:
            self._accept(spec, run_id, run)
        try:
            async with asyncio.timeout(PATIENCE):
                await run.changed.wait()
        except TimeoutError:
            return []
        if run.error:
            raise run.error
        results, run.results = run.results, []
        run.changed.clear()
        return results

    async def leave(self, run_id: str) -> None:
        """Forget a run: what it still waits for is not started any more."""
        self.runs.pop(run_id, None)
        self.queue.leave(run_id)

    async def report(self) -> PoolStats:
        self.stats.workers, self.stats.waiting = len(self.hosts), len(self.queue) + len(self.queue.alone)
        return copy.deepcopy(self.stats)

    async def close(self) -> None:
        """End the workers and let go of the log. Whoever still waits in `exchange` learns it from the actor's death."""
        if not self.slots:
            return  # restarted, and nobody has asked for anything since
        self.upkeep.cancel()
        for slot in self.slots.values():
            slot.cancel()
        for host in self.hosts.values():
            host.close()
        self.log.close()

    async def _upkeep(self) -> None:
        metrics = PoolMetrics()
        while True:
            await asyncio.sleep(UPKEEP_SECONDS)
            try:
                await self._resize()
                metrics.show(await self.report())
            except Exception:  # the cluster did not answer, say: what works goes on, and the next look may succeed
                logger.warning("the pool could not look after its size and metrics; it tries again", exc_info=True)

    async def _resize(self) -> None:
        """As many slots as the configuration or the cluster says. Only slots without a worker are given up: those of a
        lost node wait in vain for the CPUs of another."""
        wanted = self.config.workers or await asyncio.to_thread(_workers_that_fit, self.config)
        for index in range(wanted):
            if index not in self.slots:
                self.slots[index] = asyncio.create_task(self._slot(index))
                self.slots[index].add_done_callback(self._slot_ended)
        for index in sorted(set(self.slots) - set(self.hosts), reverse=True)[: max(0, len(self.slots) - wanted)]:
            self.slots.pop(index).cancel()

    def _accept(self, spec: EpisodeSpec, run_id: str, run: _Run) -> None:
        result = self.log.get(spec)
        if result is not None and self._complete(result):
            self.stats.from_log += 1
            run.results.append(result)
            run.changed.set()
        else:
            self.queue.add(spec, run_id)
            self.work.set()

    def _complete(self, result: EpisodeResult) -> bool:
        """False when the log knows an episode whose recording somebody has deleted, or that is to be tried again."""
        if result.status in GAVE_UP and self.retry_failed and result.spec.key not in self.gave_up:
            return False
        return not result.trajectory or (self.storage / "trajectories" / result.trajectory).exists()

    async def _slot(self, index: int) -> None:
        """Keep one worker at work for ever; start it when there is something to do."""
        failures = 0
        while True:
            await self._wait_for_work()
            await asyncio.sleep(min(MOST_BACK_OFF, failures * BACK_OFF))
            try:
                self.starting[index] = time.monotonic()
                host = await self._start_host(index)
            except RayError as error:
                failures += 1
                self.bad_starts += 1
                del self.starting[index]
                logger.warning("a simulator worker did not start: %s", error)
                if self.bad_starts >= self.config.attempts and not self.hosts and not self._starts():
                    self._end_runs(set(self.runs), RunError(f"simulator workers do not start: {error}"))
                continue
            finally:
                self.starting.pop(index, None)
            self.bad_starts = 0
            self.hosts[index] = host
            watch = asyncio.create_task(host.watch())
            try:
                await self._serve(host)
            finally:
                watch.cancel()
                del self.hosts[index]
                host.close()
            failures = failures + 1 if host.unbuilt else 0

    def _starts(self) -> bool:
        """Whether a worker may be about to start; one that has waited for long waits for what others use."""
        return any(time.monotonic() - since < START_WARNING_SECONDS for since in self.starting.values())

    async def _start_host(self, index: int) -> Host:
        actor: Any = ray.remote(SimWorker)
        server = self.servers[index % len(self.servers)] if self.servers else None
        patience = 1.5 * self.config.heartbeat  # by then the host has ended it and knows why, if it can
        worker = actor.options(
            num_cpus=self.config.worker_cpus,
            num_gpus=self.config.worker_gpus,
            resources=self.config.worker_resources,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": self.env_vars},
        ).remote(self.storage / "trajectories", server, self.config.envs_per_worker, patience)
        ready = asyncio.ensure_future(worker.ready.remote())
        try:
            while not (await asyncio.wait([ready], timeout=START_WARNING_SECONDS))[0]:
                wanted = ", ".join(f"{amount:g} {name}" for name, amount in _reserved(self.config).items())
                logger.warning("a simulator worker waits for %s: others use them, or no node has so many", wanted)
            return Host(worker, await ready, self.config)
        except BaseException:
            ray.kill(worker)
            raise

    async def _serve(self, host: Host) -> None:
        """Keep `host` busy, first with what must run alone. Returns when it has to be replaced or is idle for long."""
        while host.usable and (ticket := self.queue.take_alone()):
            await self._try(host, 0, ticket)
        lanes = [asyncio.create_task(self._lane(host, lane)) for lane in range(self.config.envs_per_worker)]
        try:
            await asyncio.wait(lanes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            host.usable = False
            for number, lane in enumerate(lanes):
                if number not in host.busy:
                    lane.cancel()
        for outcome in await asyncio.gather(*lanes, return_exceptions=True):
            if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
                raise outcome

    async def _lane(self, host: Host, lane: int) -> None:
        """One episode after another in one lane."""
        group: Group | None = None
        while host.usable:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._wait_for_work()
            except TimeoutError:
                if not host.busy:
                    return
                continue
            ticket = self.queue.take(group) if host.usable else None
            if ticket is None:  # another lane was faster, or what waits must run alone
                if self.queue.alone and not host.busy:
                    return
                await asyncio.sleep(ALONE_PATIENCE)
                continue
            group = ticket.group
            await self._try(host, lane, ticket)

    async def _wait_for_work(self) -> None:
        while not (len(self.queue) or self.queue.alone):
            self.work.clear()
            await self.work.wait()

    async def _try(self, host: Host, lane: int, ticket: Ticket) -> None:
        """One try at an episode, and what follows from it."""
        start = time.monotonic()
        outcome = await host.attempt(lane, ticket)
        self.stats.busy_seconds += time.monotonic() - start
        if isinstance(outcome, Failure):
            self.stats.restarts += not host.busy
            self._died(ticket, outcome)
            return
        self.stats.peak_rss_mb = max(self.stats.peak_rss_mb, outcome.peak_rss_mb)
        if isinstance(outcome.fatal, BuildError) and not self._nowhere(host, ticket):
            logger.warning("%s; its worker is replaced", outcome.fatal)
            host.usable, host.unbuilt = False, True
            self.stats.restarts += 1
            self._put_back(ticket)
        elif outcome.fatal:
            self._end_runs(self.queue.done(ticket), outcome.fatal)
        elif outcome.result is None:
            self._failed(ticket, "crashed", outcome.error, outcome.error.strip().splitlines()[-1])
        else:
            self.built.add(ticket.spec.env)
            self.unbuilt.pop(host.node, None)
            self._finish(ticket, outcome.result)
        if outcome.peak_rss_mb > self.config.memory_limit_gb * 1024 and host.usable:
            logger.warning(
                "a simulator worker is replaced: it has used %.0f MB, the limit is %g GB (pool.memory_limit_gb)",
                outcome.peak_rss_mb,
                self.config.memory_limit_gb,
            )
            self.stats.restarts += 1
            host.usable = False

    def _nowhere(self, host: Host, ticket: Ticket) -> bool:
        """Count a simulator that `host` could not build. Whether it is so wherever there are workers: at once if it
        never was built, a few times in a row if it was, or a few times for this episode while others can be run."""
        self.unbuilt[host.node] += 1
        ticket.unbuilt[host.node] += 1
        limit = self.config.attempts if ticket.spec.env in self.built else 1
        nodes = {each.node for each in self.hosts.values()}
        return not self._starts() and (
            all(self.unbuilt[node] >= limit for node in nodes)
            or all(ticket.unbuilt[node] >= self.config.attempts for node in nodes)
        )

    def _died(self, ticket: Ticket, failure: Failure) -> None:
        """An episode whose process is gone: counted against it only if nothing else can have been the cause."""
        ticket.alone = ticket.alone or failure.guilty is None
        if failure.guilty:
            self._failed(ticket, failure.status, failure.error, failure.reason)
        else:
            logger.warning("episode %s of %s runs again: %s", ticket.key, ticket.spec.task, failure.reason)
            self._put_back(ticket)

    def _failed(self, ticket: Ticket, status: Status, error: str, reason: str) -> None:
        spec, attempts = ticket.spec, self.config.attempts
        logger.warning(
            "episode %s (%s, %s, initial state %d, seed %d), try %d of %d: %s",
            ticket.key, spec.env.suite, spec.task, spec.init_state, spec.seed, ticket.failures + 1, attempts, reason,
        )  # fmt: skip
        if ticket.failures + 1 >= attempts:
            self._finish(ticket, EpisodeResult(spec=spec, status=status, steps=0, error=error))
        else:
            ticket.failures += 1
            self._put_back(ticket)

    def _put_back(self, ticket: Ticket) -> None:
        self.stats.retries += 1
        self.queue.put_back(ticket)
        self.work.set()

    def _finish(self, ticket: Ticket, result: EpisodeResult) -> None:
        result = replace(result, attempts=ticket.failures + 1)
        if result.status in GAVE_UP:
            self.gave_up.add(ticket.key)
        waiting = self.queue.done(ticket)
        try:
            self.log.append(result)
        except OSError as error:
            self._end_runs(waiting, error)
            return
        self.stats.count(result)
        for run_id in waiting:
            self.runs[run_id].results.append(result)
            self.runs[run_id].changed.set()

    def _end_runs(self, run_ids: set[str], error: Exception) -> None:
        for run_id in set(run_ids):
            self.queue.leave(run_id)
            self.runs[run_id].error = error
            self.runs[run_id].changed.set()

    def _slot_ended(self, slot: asyncio.Task[None]) -> None:
        """A slot ends only when it is cancelled; anything else is a mistake in this file that nobody must wait on."""
        if not slot.cancelled():
            self.broken = RunError(f"the pool is broken: {slot.exception()!r}")
            self._end_runs(set(self.runs), self.broken)


def _workers_that_fit(config: PoolConfig) -> int:
    """How many workers the living nodes of the cluster hold; one at least, which then waits."""
    wanted = _reserved(config)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return max(1, sum(min(int(has.get(name, 0.0) / amount) for name, amount in wanted.items()) for has in nodes))


def _reserved(config: PoolConfig) -> dict[str, float]:
    """What a worker asks Ray for, by resource."""
    wanted = {"CPU": config.worker_cpus, "GPU": config.worker_gpus, **config.worker_resources}
    return {name: amount for name, amount in wanted.items() if amount > 0}
