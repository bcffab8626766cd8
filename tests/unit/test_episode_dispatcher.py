"""What the dispatcher decides, without Ray: its actor's process is only where this runs."""

import asyncio
import errno
import time
from types import SimpleNamespace

import pytest

from tests.fakes import spec
from worldagen.config import PoolConfig
from worldagen.rollout.dispatcher import Dispatcher, _workers_that_fit
from worldagen.rollout.log import EpisodeLog
from worldagen.rollout.queue import Ticket
from worldagen.types import EpisodeResult


@pytest.fixture
def dispatcher(tmp_path):
    """Opened, but without workers."""
    dispatcher = Dispatcher(PoolConfig(attempts=2), tmp_path, {})
    dispatcher.log = EpisodeLog(tmp_path / "episodes.jsonl")
    dispatcher.slots = {0: None}
    return dispatcher


def fail(dispatcher: Dispatcher, ticket: Ticket) -> None:
    dispatcher._failed(ticket, "crashed", "Traceback ...\nValueError: no", "ValueError: no")


def finish(dispatcher: Dispatcher, ticket: Ticket) -> None:
    dispatcher._finish(ticket, EpisodeResult(spec=ticket.spec, status="success", steps=3))


def exchange_after(dispatcher, event):
    """What a run of one episode receives after `event` has happened to it."""

    async def scenario():
        waiting = asyncio.create_task(dispatcher.exchange("run", [spec("push", seed=7)], (), begins=True))
        await asyncio.sleep(0)
        event(dispatcher, dispatcher.queue.take(None))
        return await asyncio.wait_for(waiting, 5)

    return asyncio.run(scenario())


def test_one_line_says_which_episode_failed_and_why(dispatcher, caplog):
    def fail_twice(dispatcher, ticket):
        fail(dispatcher, ticket)
        assert dispatcher.queue.take(None) is ticket, "it waits for its next try"
        fail(dispatcher, ticket)

    (result,) = exchange_after(dispatcher, fail_twice)
    assert (result.status, result.attempts) == ("crashed", 2) and "Traceback" in result.error
    first, second = caplog.messages
    assert first == f"episode {spec(seed=7).key} (tests.fakes:FakeEnv, push, initial state 0, seed 7), " + (
        "try 1 of 2: ValueError: no"
    )
    assert "try 2 of 2" in second


def test_a_result_that_cannot_be_stored_ends_the_run_with_the_reason(dispatcher, monkeypatch):
    def full(result):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dispatcher.log, "append", full)
    with pytest.raises(OSError, match="No space left"):
        exchange_after(dispatcher, finish)


def test_a_result_is_in_the_log_before_anyone_sees_it(dispatcher):
    (result,) = exchange_after(dispatcher, finish)
    assert dispatcher.log.get(result.spec) == result


def test_a_slot_that_breaks_is_no_hang(dispatcher):
    def break_slot(dispatcher, ticket):
        async def broken():
            raise AttributeError("a mistake")

        slot = asyncio.create_task(broken())
        slot.add_done_callback(dispatcher._slot_ended)

    with pytest.raises(RuntimeError, match="the pool is broken: AttributeError"):
        exchange_after(dispatcher, break_slot)


def test_runs_that_ask_at_once_open_the_log_once(tmp_path, monkeypatch):
    """As after a restart of the dispatcher, while it still asks the cluster for its size."""
    monkeypatch.setattr("worldagen.rollout.log.LOCK_PATIENCE", 0.1)
    monkeypatch.setattr("worldagen.rollout.dispatcher._workers_that_fit", lambda config: time.sleep(0.2) or 1)

    async def scenario():
        dispatcher = Dispatcher(PoolConfig(), tmp_path, {})
        await asyncio.gather(dispatcher.open(()), dispatcher.open(()))
        await dispatcher.close()

    asyncio.run(scenario())


def test_a_run_that_began_elsewhere_is_asked_for_its_specs(dispatcher):
    """By the dispatcher that Ray has started anew: it would wait for ever for what it was never given."""
    assert asyncio.run(dispatcher.exchange("run", [], (), begins=False)) is None


def test_workers_fit_where_a_node_has_all_that_they_need(monkeypatch):
    nodes = [
        {"Alive": True, "Resources": {"CPU": 7.0, "simulators": 9.0}},
        {"Alive": True, "Resources": {"CPU": 8.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "simulators": 9.0}},
        {"Alive": True, "Resources": {"CPU": 64.0, "GPU": 1.0, "simulators": 2.0}},
    ]
    monkeypatch.setattr("ray.nodes", lambda: nodes)
    assert _workers_that_fit(PoolConfig()) == 7 + 8 + 64
    assert _workers_that_fit(PoolConfig(worker_cpus=3)) == 2 + 2 + 21, "none across two nodes"
    assert _workers_that_fit(PoolConfig(worker_gpus=0.25)) == 4
    assert _workers_that_fit(PoolConfig(worker_resources={"simulators": 1.0})) == 7 + 2
    assert _workers_that_fit(PoolConfig(worker_resources={"other": 1.0})) == 1, "which says what it waits for"


def test_what_cannot_be_built_ends_the_runs_once_it_is_so_on_every_node(dispatcher):
    hosts = [SimpleNamespace(node=node, unbuilt=False) for node in ("good", "bad")]
    dispatcher.hosts = dict(enumerate(hosts))
    good, bad = hosts

    def nowhere(host):
        """A new episode each time."""
        return dispatcher._nowhere(host, Ticket(spec(), spec().key))

    assert not nowhere(bad), "the other node has not tried"
    dispatcher.starting = {2: time.monotonic()}
    assert not nowhere(good), "a third may be better"
    dispatcher.starting = {2: time.monotonic() - 60}
    assert nowhere(good), "nobody could ever build it"

    dispatcher.unbuilt.clear()
    dispatcher.built = {spec().env}
    assert [nowhere(host) for host in (bad, bad, bad, good)] == [False] * 4
    assert nowhere(good), "twice on each node: PoolConfig(attempts=2)"


def test_an_episode_that_cannot_be_built_ends_the_runs_though_others_can(dispatcher):
    """A damaged file of one task, say: between its attempts other episodes end well, for ever."""
    host = SimpleNamespace(node="here", unbuilt=False)
    dispatcher.hosts = {0: host}
    ticket = Ticket(spec(), spec().key)
    dispatcher.built = {spec().env}
    assert not dispatcher._nowhere(host, ticket)
    dispatcher.unbuilt.clear()
    assert dispatcher._nowhere(host, ticket), "PoolConfig(attempts=2)"


def test_simulators_see_a_gpu_only_if_one_is_reserved_for_them(tmp_path):
    """Ray leaves CUDA_VISIBLE_DEVICES as it is for an actor without a GPU, which would draw on one that others use."""
    assert Dispatcher(PoolConfig(), tmp_path, {}).env_vars["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in Dispatcher(PoolConfig(worker_gpus=0.1), tmp_path, {}).env_vars
