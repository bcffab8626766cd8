"""The checkpoints in the repository: small, sound, and able to do what their pages say."""

import json
from pathlib import Path

import pytest

from worldagen.config import load as load_config
from worldagen.envs.base import make_env
from worldagen.models import checkpoint
from worldagen.models.decision import Decision, DecisionRequest
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import LearnedPolicy
from worldagen.rollout.predictor import Predictor
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

ROOT = Path(__file__).parents[2]
EASY = {
    "calvin": ("open_drawer", "close_drawer", "turn_on_led", "turn_off_led", "move_slider_left"),
    "libero": ("turn_on_the_stove", "open_the_middle_drawer_of_the_cabinet", "put_the_bowl_on_the_plate"),
}
"""Tasks that each policy solves in nearly every initial state."""


class Local:
    """The checkpoint in this process."""

    def __init__(self, folder: Path) -> None:
        self.predictor = Predictor(folder, folder / "adapters")
        self.fingerprint, self.chunks = self.predictor.fingerprint, self.predictor.chunks

    def decide(self, request: DecisionRequest) -> Decision:
        (answer,) = self.predictor.decide([request])
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("folder", sorted((ROOT / "checkpoints").iterdir()), ids=lambda folder: folder.name)
def test_it_is_small_whole_and_tells_where_it_comes_from(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < 10e6
    model, about = checkpoint.load(folder), checkpoint.describe(folder)["provenance"]
    assert model.config.preset == "tiny" and about["demonstrations"]["training"]["episodes"] > 500
    assert about["metrics"]["validation/image_changed"] < 0.5 * about["metrics"]["validation/copy_changed"]
    assert '"/' not in json.dumps(about), "no absolute paths"
    assert (folder / "README.md").exists()
    load_config([ROOT / "configs" / f"{folder.name}.yaml"])


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("calvin", EnvSpec(suite="calvin_a", engine="native", renderer="tiny")),
        ("libero", EnvSpec(suite="libero_goal", visuals="light", assets="primitive")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_its_policy_works_where_it_was_trained(name: str, spec: EnvSpec) -> None:
    model = Local(ROOT / "checkpoints" / name)
    env = make_env(spec)
    episodes = [
        EpisodeSpec(
            env=spec,
            task=task,
            init_state=0,
            seed=0,
            policy=PolicySpec(checkpoint=model.fingerprint),
            step_limit=180,
        )
        for task in EASY[name]
    ]
    solved = [run_episode(env, LearnedPolicy(model), episode).result.success for episode in episodes]
    env.close()
    assert sum(solved) >= len(episodes) - 1, dict(zip(EASY[name], solved, strict=True))
