"""When an adapter is used and when the base is kept."""

import pytest

from worldagen.arms import Measurement
from worldagen.config.schema import TTTConfig
from worldagen.ttt.acceptance import verdict

RULE = TTTConfig(accept_drift=0.05, accept_gain=0.1)


def measured(changed: float, drift: float = 0.0) -> Measurement:
    return Measurement(all=0.1, changed=changed, copy_all=0.1, copy_changed=0.3, changed_fraction=0.5, arm_drift=drift)


@pytest.mark.parametrize(
    ("changed", "drift", "words"),
    [
        (0.17, 0.05, []),
        (0.19, 0.0, ["error fell by 5.0%", "more than 10.0%"]),
        (0.3, 0.06, ["error fell by -50.0%", "drifted by 0.060"]),
        (0.1, float("nan"), ["drifted by nan"]),
        (float("nan"), 0.0, ["not a number"]),
    ],
)
def test_only_a_better_world_model_with_much_the_same_policy_is_accepted(
    changed: float, drift: float, words: list[str]
) -> None:
    reason = verdict(RULE, measured(changed, drift), measured(0.2))
    assert all(word in reason for word in words) and bool(reason) == bool(words)
