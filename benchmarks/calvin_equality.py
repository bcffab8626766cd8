"""Native CALVIN against calvin_env, side by side on the same official assets.

    python benchmarks/calvin_equality.py [--scenes calvin_a ...] [--episodes 250] [--steps 40] [--results FILE]

Needs a checkout of calvin_env (CALVIN_ENV_ROOT). In each scene episodes alternate between a scripted expert with noise
and random actions. Both engines start from the same state and execute the same actions; after every control step
states, `info()` and the verdicts of all 34 task rules (ours on our infos, calvin_env's own `Tasks` on its) must be
equal. Cameras are left out. Each episode is noted in --results as it ends, and what is there is not run again. Exit
code 1 where anything differed.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from worldagen.config import EnvConfig
from worldagen.envs.calvin.engine import SCENES, Engine, make_engine
from worldagen.envs.calvin.experts import SCRIPTS
from worldagen.envs.calvin.official import OfficialEngine
from worldagen.envs.calvin.scene import Scene
from worldagen.envs.calvin.states import initial_state
from worldagen.envs.calvin.tasks import TASKS
from worldagen.envs.suites import prepare_env

_FIRST_SAMPLED = 100
"""Initial states from here on are all sampled, each of them different."""


@dataclass(frozen=True)
class Comparison:
    """One episode. `different_infos` counts infos, `different_verdicts` sets of achieved tasks."""

    scene: str
    episode: int
    transitions: int
    achieved: int
    """Transitions after which some task was achieved."""
    largest_difference: float
    """Of any number of robot_obs and scene_obs, m and rad."""
    different_infos: int
    different_verdicts: int
    examples: tuple[str, ...] = ()
    """Where infos or verdicts differed first, and how."""


def actions(scene: Scene, task: str, seed: int, steps: int, random: bool) -> Iterator[np.ndarray]:
    """float64 (7,) each: the task's expert with noise, or a random direction for ten steps at a time, first down."""
    generator = np.random.default_rng([seed, 1])
    gripper, direction = scene.gripper, np.zeros(7)
    for step in range(steps):
        if step % 10 == 0:
            direction = generator.uniform(-1, 1, 7)
        action = np.append(direction[:6], np.sign(direction[6])) if random else SCRIPTS[task](scene, gripper)
        if random and step < 20:
            action[2] = -1.0
        gripper = float(action[6])
        yield np.append(np.clip(action[:6] + 0.1 * generator.standard_normal(6), -1, 1), gripper).astype(np.float64)


def compare(ours: Engine, theirs: OfficialEngine, scene: str, episode: int, steps: int) -> Comparison:
    task = TASKS[episode // 2 % len(TASKS)]
    start = initial_state(scene, task, _FIRST_SAMPLED + episode)
    for engine in (ours, theirs):
        engine.reset(*start)
    starts = ours.info(), theirs.info()
    examples = list(differences(*starts))
    transitions, achieved, largest, infos, verdicts = 0, 0, _distance(ours, theirs), int(bool(examples)), 0
    for action in actions(Scene(ours), task, episode, steps, random=bool(episode % 2)):
        ours.step(action)
        theirs.step(action)
        transitions += 1
        largest = max(largest, _distance(ours, theirs))
        now = ours.info(), theirs.info()
        if now[0] != now[1]:
            infos += 1
            examples += [f"step {transitions}: {line}" for line in differences(*now)]
        done = {name for name in TASKS if ours.completed(starts[0], now[0], name)}
        if done != theirs.achieved(starts[1], now[1]):
            verdicts += 1
            examples.append(f"step {transitions}: achieved {done}, not {theirs.achieved(starts[1], now[1])}")
        achieved += bool(done)
        if task in done and not episode % 2:
            break
    return Comparison(scene, episode, transitions, achieved, largest, infos, verdicts, tuple(examples[:10]))


def _distance(ours: Engine, theirs: Engine) -> float:
    pairs = (ours.robot_obs(), theirs.robot_obs()), (ours.scene_obs(), theirs.scene_obs())
    return max(float(np.abs(one - other).max()) for one, other in pairs)


def differences(ours: Any, theirs: Any, where: str = "info") -> Iterator[str]:
    """What is different in two infos, leaf by leaf."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            yield from differences(ours.get(key), theirs.get(key), f"{where}.{key}")
    elif isinstance(ours, tuple | list) and isinstance(theirs, tuple | list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{where}[{number}]")
    elif ours != theirs:
        yield f"{where}: {ours!r}, not {theirs!r}"


def run(scene: str, episodes: range, steps: int) -> Iterator[Comparison]:
    ours = make_engine(prepare_env(EnvConfig(suite=scene, engine="native", assets="official")))
    theirs = OfficialEngine(prepare_env(EnvConfig(suite=scene, engine="calvin_env")))
    for episode in episodes:
        yield compare(ours, theirs, scene, episode, steps)
    ours.close()
    theirs.close()


def in_words(scene: str, found: list[Comparison]) -> str:
    transitions, achieved = sum(one.transitions for one in found), sum(one.achieved for one in found)
    return (
        f"{scene}: {len(found)} episodes, {transitions} transitions ({achieved} achieve a task); "
        f"largest difference of a state {max(one.largest_difference for one in found)}, "
        f"{sum(one.different_infos for one in found)} infos differ, "
        f"{sum(one.different_verdicts for one in found)} of {transitions} sets of verdicts differ"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", nargs="+", choices=SCENES, default=SCENES)
    parser.add_argument("--episodes", type=int, default=250, help="in each scene")
    parser.add_argument("--steps", type=int, default=40, help="at most, of an episode")
    parser.add_argument("--results", type=Path, default=Path("calvin_equality.jsonl"))
    args = parser.parse_args()
    known = [json.loads(line) for line in args.results.read_text().splitlines()] if args.results.exists() else []
    everything = []
    for scene in args.scenes:
        found = [Comparison(**line) for line in known if line["scene"] == scene and line["episode"] < args.episodes]
        with args.results.open("a", buffering=1) as file:
            for one in run(scene, range(len(found), args.episodes), args.steps):
                found.append(one)
                print(json.dumps(asdict(one)), file=file)
        print(in_words(scene, found), flush=True)
        for one in found:
            for example in one.examples:
                print(f"  episode {one.episode}, {example}")
        everything += found
    if any(one.largest_difference or one.different_infos or one.different_verdicts for one in everything):
        sys.exit("the engines differ")


if __name__ == "__main__":
    main()
