"""When an adapter is used and when the base is kept."""

import math
import re

import pytest

from worldagen.arms import Measurement
from worldagen.config.schema import TTTConfig
from worldagen.ttt.acceptance import verdict

RULE = TTTConfig(accept_drift=0.05, accept_gain=0.2)


def measured(changed: float, drift: float = 0.0, flips: float = 0.0) -> Measurement:
    return Measurement(
        all=1.0,
        changed=changed,
        copy_all=1.0,
        copy_changed=1.0,
        changed_fraction=0.5,
        arm_drift=drift,
        gripper_flips=flips,
    )


@pytest.mark.parametrize(
    ("adapted", "reason"),
    [
        (measured(0.7, 0.05, 0.05), ""),
        (measured(0.7, 0.051), "arm actions drifted by 0.051, at most 0.05"),
        (measured(0.7, 0.0, 0.051), "5.1% of the policy's gripper commands flipped, at most 5.0%"),
        (measured(0.8), "fell by 20.0%, more than 20.0% was asked for"),
        (measured(1.1, 0.2, 0.1), "fell by -10.0%.*; .*drifted.*; .*flipped"),
        (measured(math.nan), "not a number"),
        (measured(0.7, math.nan), "drifted by nan"),
        (measured(0.7, 0.0, math.nan), "nan% of the policy's gripper"),
    ],
)
def test_only_a_better_world_model_with_much_the_same_policy_is_accepted(adapted: Measurement, reason: str) -> None:
    found = verdict(RULE, adapted, measured(1.0))
    assert re.search(reason, found) if reason else found == ""


def test_where_nothing_changes_no_adapter_is_accepted() -> None:
    assert "nothing changes" in verdict(TTTConfig(), measured(0.0), measured(0.0))


def test_the_default_rule_refuses_what_hardly_gains() -> None:
    assert verdict(TTTConfig(), measured(1.0), measured(1.0))
    assert "fell by 4.0%, more than 5.0%" in verdict(TTTConfig(), measured(0.96), measured(1.0))
    assert not verdict(TTTConfig(), measured(0.94), measured(1.0))
