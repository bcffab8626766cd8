"""What a lane makes of what its simulator does: a result, a failure of this episode, or an error that ends the run."""

from pathlib import Path

import numpy as np
import pytest

from tests.fakes import FakeEnv, spec
from worldagen.envs.watchdog import Watchdog
from worldagen.rollout.errors import BuildError
from worldagen.rollout.lane import Attempt, Lane
from worldagen.types import Observation


def attempt(folder: Path, suite: str, **settings: object) -> Attempt:
    return Lane(folder, lambda: pytest.fail("a random policy needs no model"), Watchdog(60.0)).run(
        spec(suite=suite, **settings)
    )


class BlownUpEnv(FakeEnv):
    """Its state is no number after the first chunk."""

    def _observe(self) -> Observation:
        seen = super()._observe()
        return Observation(seen.primary, seen.wrist, seen.state * (np.nan if self.steps else 1))


@pytest.mark.parametrize("record", ["none", "trajectory"])
def test_a_simulation_that_blows_up_fails_its_own_episode(tmp_path: Path, record: str) -> None:
    """It ended the run: the recording, or the policy, refuses such a state, whoever asks again."""
    found = attempt(tmp_path, "tests.unit.test_lane:BlownUpEnv", record=record)
    assert found.result is None and found.fatal is None
    assert "SimulationError: the simulated state is [nan" in found.error


def test_a_simulator_that_cannot_start_here_may_start_on_another_node(tmp_path: Path) -> None:
    found = attempt(tmp_path, "tests.fakes:DamagedEnv")
    assert isinstance(found.fatal, BuildError) and str(found.fatal).startswith("the assets are damaged; fetch them ag")
