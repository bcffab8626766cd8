"""What becomes of a Ray Train run when workers fail: those that died are started again, errors of our own end it."""

from ray.train.v2._internal.execution.failure_handling import DefaultFailurePolicy, FailureDecision
from ray.train.v2.api.exceptions import TrainingFailedError

from worldagen.errors import WorldagenError


class FailurePolicy(DefaultFailurePolicy):
    """Ray Train's own policy, but for our errors: on whichever worker, one ends the run. A restart would repeat it.

    While one worker has such an error the others wait for it in an exchange of gradients, and would for half an hour.
    """

    def make_decision(self, training_failed_error: TrainingFailedError) -> FailureDecision:
        if own_error(training_failed_error):
            return FailureDecision.RAISE
        return super().make_decision(training_failed_error)


def own_error(failed: TrainingFailedError) -> WorldagenError | None:
    """The error of our own that some worker raised, if any did."""
    return next((cause for cause in causes(failed) if isinstance(cause, WorldagenError)), None)


def causes(failed: TrainingFailedError) -> list[Exception]:
    """What each worker that failed raised, in the order of ranks; empty when it was not a worker that failed."""
    failures: dict[int, Exception] = getattr(failed, "worker_failures", {})
    return [failures[rank] for rank in sorted(failures)]
