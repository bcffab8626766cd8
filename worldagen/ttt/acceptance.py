"""Is an adapter worth using? A rule that needs no success rate: only what exploration measures without any reward."""

import math

from worldagen.arms import Measurement
from worldagen.config.schema import TTTConfig


def verdict(ttt: TTTConfig, adapted: Measurement, control: Measurement) -> str:
    """Why the base should be kept, or nothing if the adapter is accepted.

    Accepted is what lowers the held-out error of changing patches by more than the share `ttt.accept_gain` of the
    control's and leaves the policy on held-out states within `ttt.accept_drift`: its arm actions move by at most that
    on average, and at most that share of its gripper commands flips.
    """
    if not control.changed > 0:
        return "nothing changes in the held-out episodes, so that nothing can be said about the world model"
    gain = 1 - adapted.changed / control.changed
    reasons = []
    if not gain > ttt.accept_gain:
        reasons.append(
            f"the held-out world-model error fell by {gain:.1%}, more than {ttt.accept_gain:.1%} was asked for"
            if math.isfinite(gain)
            else "the held-out world-model error is not a number"
        )
    if not adapted.arm_drift <= ttt.accept_drift:
        reasons.append(
            f"the policy's arm actions drifted by {adapted.arm_drift:.3f}, at most {ttt.accept_drift:g} is accepted"
        )
    if not adapted.gripper_flips <= ttt.accept_drift:
        reasons.append(
            f"{adapted.gripper_flips:.1%} of the policy's gripper commands flipped, at most {ttt.accept_drift:.1%} is "
            "accepted"
        )
    return "; ".join(reasons)
