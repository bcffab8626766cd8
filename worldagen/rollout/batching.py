"""Questions that arrive one by one, answered together: plain asyncio around a function of a list."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Gives `compute` up to `max_batch` questions at a time; the first waits at most `max_wait_ms` for others to join.

    `compute` runs in the batcher's only thread, so questions are collected meanwhile and it need not be thread-safe.
    What it raises reaches everyone in the batch.
    """

    def __init__(self, compute: Callable[[list[Question]], list[Answer]], max_batch: int, max_wait_ms: float) -> None:
        self.compute = compute
        self.max_batch = max_batch
        self.max_wait = max_wait_ms / 1000
        self.thread = ThreadPoolExecutor(1)
        self.queue: asyncio.Queue[tuple[Question, asyncio.Future[Answer]]] = asyncio.Queue()
        self.loop: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer to `question`, as part of some batch."""
        if self.loop is None:
            self.loop = asyncio.create_task(self._answer_batches())
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        await self.queue.put((question, answer))
        return await answer

    async def _answer_batches(self) -> None:
        while True:
            batch = await self._collect()
            questions = [question for question, _ in batch]
            try:
                answers = await asyncio.get_running_loop().run_in_executor(self.thread, self.compute, questions)
                for (_, waiting), answer in zip(batch, answers, strict=True):
                    if not waiting.done():  # its asker may have gone
                        waiting.set_result(answer)
            except Exception as error:
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)

    async def _collect(self) -> list[tuple[Question, asyncio.Future[Answer]]]:
        batch = [await self.queue.get()]
        try:
            async with asyncio.timeout(self.max_wait):
                while len(batch) < self.max_batch:
                    batch.append(await self.queue.get())
        except TimeoutError:
            pass
        return batch
