import numpy as np
import pytest

from tests.fakes import FakeEnv, FakeModel, NearGoalEnv, spec
from worldagen.rollout.episode import run_episode
from worldagen.rollout.errors import PolicyError
from worldagen.rollout.policies import LearnedPolicy, RandomPolicy
from worldagen.types import PolicySpec


def play(episode_spec, policy=None, env_class=FakeEnv):
    return run_episode(env_class(episode_spec.env), policy or RandomPolicy(), episode_spec)


class Constant:
    """Full speed along x."""

    def start(self, spec, env):
        self.executed = []

    def act(self, observation, executed):
        self.executed.append(executed)
        while True:
            yield np.array([1, 0, 0, 0, 0, 0, -1], np.float32)


def test_runs_to_the_step_limit_and_cuts_the_last_chunk():
    episode = play(spec(step_limit=8, record="trajectory"))
    assert (episode.result.status, episode.result.steps) == ("failure", 8)
    trajectory = episode.trajectory
    assert trajectory.counts.tolist() == [5, 3]
    assert trajectory.primary.shape == (3, 8, 8, 3) and trajectory.actions.shape == (2, 5, 7)
    assert not trajectory.actions[1, 3:].any() and trajectory.actions[1, :3].any()
    assert trajectory.primary[:, 0, 0, 0].tolist() == [0, 5, 8], "frame t + 1 is the one after chunk t"
    assert episode.frames == ()


def test_stops_on_success_unless_told_otherwise():
    stopped = play(spec(step_limit=40), Constant(), NearGoalEnv).result
    assert stopped.success and stopped.steps < 40
    explored = play(spec(step_limit=40, stop_on_success=False), Constant(), NearGoalEnv).result
    assert explored.success and explored.steps == 40


def test_same_spec_same_digest_and_any_change_another():
    base = play(spec())
    assert play(spec()).result.digest == base.result.digest
    assert play(spec(seed=1)).result.digest != base.result.digest


def test_noise_disturbs_the_arm_only_and_intentions_are_kept():
    noisy = spec(policy=PolicySpec(kind="random", noise=0.3), record="trajectory", step_limit=50)
    trajectory = play(noisy, Constant()).trajectory
    deviation = trajectory.actions - trajectory.intended
    assert (trajectory.intended[..., 0] == 1).all() and not deviation[..., 6].any()
    assert 0.2 < deviation[..., 1:6].std() < 0.4 and np.abs(trajectory.actions).max() <= 1


def test_the_policy_is_told_what_was_executed():
    policy = Constant()
    trajectory = play(
        spec(policy=PolicySpec(kind="random", noise=0.3), record="trajectory", step_limit=12), policy
    ).trajectory
    assert policy.executed[0].shape == (0, 7)
    assert np.array_equal(np.stack(policy.executed[1:]), trajectory.actions[:2])


def test_video_holds_every_step():
    episode = play(spec(record="video", step_limit=8))
    assert [frame[0, 0, 0] for frame in episode.frames] == list(range(9))


def test_learned_policy_carries_a_window_of_the_models_length():
    model = FakeModel()
    episode_spec = spec(
        kind="learned", policy=PolicySpec(checkpoint="fake", noise=0.2), step_limit=25, record="trajectory"
    )
    trajectory = play(episode_spec, LearnedPolicy(model)).trajectory
    assert [len(request.states) for request in model.requests] == [1, 2, 3, 3, 3]
    last = model.requests[-1]
    assert np.array_equal(last.states, trajectory.state[2:5])
    assert np.array_equal(last.actions, trajectory.actions[2:4]), "executed actions, noise included"
    assert last.features[:, 0, 0].tolist() == [10, 15]
    assert last.instruction == "push the point"


def test_learned_policy_refuses_another_checkpoint_and_chunk_length():
    with pytest.raises(PolicyError, match=r"checkpoint 'other'.*'fake'"):
        play(spec(policy=PolicySpec(checkpoint="other")), LearnedPolicy(FakeModel()))
    with pytest.raises(PolicyError, match=r"\(3, 7\).*\(5, 7\)"):
        play(spec(policy=PolicySpec(checkpoint="fake")), LearnedPolicy(FakeModel(actions_per_chunk=3)))


def test_an_env_that_executes_nothing_is_an_error():
    class Silent(Constant):
        def act(self, observation, executed):
            return []

    with pytest.raises(ValueError, match="at least one array"):
        play(spec(), Silent())


class Recorder(Constant):
    """Notes the task at each start."""

    def __init__(self):
        self.tasks = []

    def start(self, spec, env):
        super().start(spec, env)
        self.tasks.append(env.task)


def test_a_chain_goes_on_where_the_last_task_succeeded():
    policy = Recorder()
    chain = spec(task="push", then=("pull", "pull"), step_limit=40, record="video")
    episode = play(chain, policy, NearGoalEnv)
    assert policy.tasks == ["push", "pull", "pull"]
    assert (episode.result.status, episode.result.completed) == ("success", 3)
    assert len(episode.frames) == episode.result.steps + 1
    assert episode.trajectory is not None and episode.trajectory.success, "of the last task: it has one instruction"
    assert 0 < episode.trajectory.counts.sum() < episode.result.steps


def test_a_chain_ends_at_the_first_task_that_fails():
    policy = Recorder()
    result = play(spec(task="push", then=("pull",), step_limit=7), policy).result
    assert (result.status, result.completed, result.steps, policy.tasks) == ("failure", 0, 7, ["push"])


def test_a_chain_needs_to_stop_on_success():
    with pytest.raises(ValueError, match="stop_on_success"):
        spec(then=("pull",), stop_on_success=False)
