import random

from tests.fakes import spec
from worldagen.rollout.queue import EpisodeQueue


def test_a_worker_stays_with_its_group_while_it_lasts():
    queue = EpisodeQueue()
    for seed in range(2):
        queue.add(spec("a", seed), "run")
        queue.add(spec("b", seed), "run")
    first = queue.take(prefer=None)
    assert queue.take(first.group).group == first.group
    assert queue.take(first.group).group != first.group


def test_a_new_worker_takes_the_longest_group():
    queue = EpisodeQueue()
    queue.add(spec("short"), "run")
    for seed in range(3):
        queue.add(spec("long", seed), "run")
    assert queue.take(prefer=None).spec.task == "long"


def test_an_episode_asked_for_twice_runs_once_for_both():
    queue = EpisodeQueue()
    queue.add(spec(), "one")
    ticket = queue.take(None)
    queue.add(spec(), "two")
    assert queue.take(None) is None
    assert queue.done(ticket) == {"one", "two"}


def test_who_leaves_takes_its_waiting_episodes_along():
    queue = EpisodeQueue()
    queue.add(spec(seed=0), "one")
    queue.add(spec(seed=1), "one")
    queue.add(spec(seed=1), "two")
    running = queue.take(None)
    queue.leave("one")
    assert len(queue) == 1 and queue.take(None).runs == {"two"}
    queue.put_back(running)
    assert len(queue) == 0, "nobody waits for it any more"


def test_every_episode_is_done_exactly_once_under_random_failures():
    queue, chance, done = EpisodeQueue(), random.Random(0), []
    specs = [spec(task, seed) for task in "abc" for seed in range(50)]
    for one in specs:
        queue.add(one, "run")
    while ticket := queue.take(None):
        if chance.random() < 0.3:
            queue.put_back(ticket)
        else:
            queue.done(ticket)
            done.append(ticket.key)
    assert sorted(done) == sorted(one.key for one in specs) and not queue.tickets


def test_what_may_kill_its_process_is_given_out_only_to_run_alone():
    queue = EpisodeQueue()
    queue.add(spec(seed=0), "run")
    queue.add(spec(seed=1), "run")
    ticket = queue.take(None)
    ticket.alone = True
    queue.put_back(ticket)
    assert len(queue) == 1 and queue.take(None) is not ticket and queue.take(None) is None
    assert queue.take_alone() is ticket and queue.take_alone() is None
    queue.put_back(ticket)
    queue.leave("run")
    assert queue.take_alone() is None, "nobody waits for it any more"
