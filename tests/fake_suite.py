"""A simulator of two tasks without physics, whose cameras show what moves: a whole sweep takes seconds."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from tests.fakes import FakeEnv
from worldagen.envs.suites import TaskInfo
from worldagen.types import EpisodeSpec

SUITE = "tests.fake_suite:SquareEnv"


class SquareEnv(FakeEnv):
    """A bright square that the arm's x and y push about. The goal: x beyond a half."""

    TASKS: ClassVar = {"push": TaskInfo("push the square", 50), "pull": TaskInfo("pull the square", 50)}
    EXPERTS: ClassVar = ("push", "pull")
    GOAL = 0.5

    def expert(self, spec: EpisodeSpec) -> Iterator[np.ndarray]:
        while True:
            yield np.array([1, 0, 0, 0, 0, 0, 1], np.float32)

    def next_task(self, task: str) -> None:
        super().next_task(task)
        self.instruction = self.TASKS[task].instruction

    def _image(self) -> np.ndarray:
        image = np.zeros((self.size, self.size, 3), np.uint8)
        row, column = (int(8 * (np.tanh(value) + 1) / 2) % 8 * self.size // 8 for value in self.position[:2])
        image[row : row + self.size // 4, column : column + self.size // 4] = 255
        return image

    def _misbehave(self) -> None:
        """This one never does."""
