"""The best of many arms is partly the luckiest: before it is called a gain it meets the control on fresh episodes.

So does the one that the acceptance rule chooses, which is what adaptation without counting successes gets.
"""

from collections.abc import Sequence
from dataclasses import replace

from worldagen.arms import Arm
from worldagen.evaluation.episodes import evaluate, task_specs
from worldagen.results import Confirmation
from worldagen.rollout.pool import Pool
from worldagen.sweep.context import SweepContext
from worldagen.sweep.plan import fresh_init_states
from worldagen.types import EpisodeSpec


def confirm(context: SweepContext, pool: Pool, group: Sequence[Arm]) -> Confirmation | None:
    """The arms of `group` (one for each seed) and the control on initial states that neither search nor exploration has
    used; whether pretraining has, its demonstrations tell.

    None when no confirmation is configured, or the group is empty. A rejected arm is the base: its episodes are the
    control's here too.
    """
    if not (group and context.config.evaluation.confirm_episodes):
        return None
    control = evaluate(pool, confirmation_specs(context), "confirm control")
    arms = []
    for arm in group:
        outcomes, seconds = control.outcomes, dict[str, float]()
        if arm.accepted is not False:
            found = evaluate(pool, confirmation_specs(context, arm.adapter), f"confirm {arm.name}")
            outcomes, seconds = found.outcomes, found.seconds
        arms.append(replace(arm, outcomes=outcomes, seconds=seconds, videos=()))
    return Confirmation(control=control.outcomes, arms=tuple(arms), seconds=control.seconds)


def confirmation_specs(context: SweepContext, adapter: str = "") -> list[EpisodeSpec]:
    """The fresh episodes of the control, or of an adapter; tasks take turns."""
    states = fresh_init_states(context.config, context.unit)
    turns = zip(*states.values(), strict=True)
    episodes = [(task, state) for turn in turns for task, state in zip(states, turn, strict=True)]
    return task_specs(context.config, context.env, context.policy(adapter), episodes)
