import asyncio
import threading

import pytest

from worldagen.rollout.batching import Batcher


def answers(compute, questions, **settings):
    async def ask_all():
        batcher = Batcher(compute, **{"max_batch": 4, "max_wait_ms": 50, **settings})
        return await asyncio.gather(*map(batcher.ask, questions), return_exceptions=True)

    return asyncio.run(ask_all())


def test_everyone_gets_their_own_answer_from_full_batches():
    batches = []

    def square(numbers):
        batches.append(len(numbers))
        return [number**2 for number in numbers]

    assert answers(square, range(10)) == [number**2 for number in range(10)]
    assert batches == [4, 4, 2]


def test_batches_of_one_do_not_wait():
    assert answers(list, range(3), max_batch=1, max_wait_ms=1e6) == [0, 1, 2]


def test_a_lone_question_is_answered_after_the_wait():
    assert answers(list, [7], max_wait_ms=20) == [7]


def test_an_error_reaches_its_batch_and_no_other():
    def fussy(numbers):
        if 0 in numbers:
            raise ArithmeticError("zero")
        return numbers

    found = answers(fussy, range(8))
    assert all(isinstance(answer, ArithmeticError) for answer in found[:4]) and found[4:] == [4, 5, 6, 7]


def test_questions_are_collected_while_a_batch_is_computed():
    release, batches = threading.Event(), []

    def slow(numbers):
        batches.append(len(numbers))
        release.wait(5)
        return numbers

    async def scenario():
        batcher = Batcher(slow, max_batch=8, max_wait_ms=0)
        first = asyncio.create_task(batcher.ask(0))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.ask(number)) for number in range(1, 6)]
        await asyncio.sleep(0.05)
        release.set()
        return await asyncio.wait_for(asyncio.gather(first, *others), 5)

    assert asyncio.run(scenario()) == list(range(6))
    assert batches == [1, 5]


@pytest.mark.parametrize("count", [1, 3])
def test_a_lost_answer_is_an_error(count):
    with pytest.raises(ValueError, match="zip"):
        raise next(answer for answer in answers(lambda numbers: [], range(count)) if isinstance(answer, Exception))
