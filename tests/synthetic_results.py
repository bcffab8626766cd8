"""Sweep results made up for tests of the report: the world model gains, the policy gains, loses or stays."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from worldagen.arms import Arm, CurvePoint, Measurement, Outcome
from worldagen.config import Config, to_dict
from worldagen.results import Confirmation, Exploration, SweepResults
from worldagen.tracking.video import write_mp4

TASKS = ("turn_on_the_stove", "open_the_middle_drawer_of_the_cabinet", "put_the_bowl_on_the_plate")
STEPS = (4, 16, 64)
RATES = (3e-4, 3e-3)


def make_results(
    folder: Path,
    *,
    effect: float = 0.0,
    per_task: int = 10,
    base_rate: float = 0.5,
    failed: bool = True,
    media: bool = True,
    methods: tuple[str, ...] = ("plain",),
    explorations: tuple[int, ...] = (12,),
    seeds: tuple[int, ...] = (0,),
    steps: tuple[int, ...] = STEPS,
    confirmed: float | None = None,
    chosen: float | None = None,
) -> SweepResults:
    """A sweep of 2 learning rates, 3 step counts and whatever else is given.

    `effect` is the change of success at the largest budget; methods other than `plain` keep the policy as it is, so
    that they have a quarter of it and little drift. `confirmed` is the effect on fresh initial states; `chosen`
    likewise, of a budget that is not the best of the search.
    """
    arms = []
    for method, rate, explored, seed, count in itertools.product(methods, RATES, explorations, seeds, steps):
        strength = np.log2(1 + count) / np.log2(65) * (1.0 if rate == RATES[0] else 1.2)
        held = 1.0 if method == "plain" else 0.25
        success = base_rate + effect * strength * held
        arm = _arm(folder, rate, count, strength, success, per_task, media and seed == seeds[0], seed)
        arms.append(_adapted(arm, method, explored, seed, held))
    if failed:
        reason = "AdaptationError: the loss of step 41 is nan; use a smaller ttt.learning_rate"
        arms[-1] = Arm(**_identity(arms[-1]), error=reason)
    control = _arm(folder, 0.0, 0, 0.0, base_rate, per_task, media)
    return SweepResults(
        unit="libero_goal",
        tasks=TASKS,
        control=control,
        arms=tuple(arms),
        exploration=Exploration(
            episodes=12,
            heldout_episodes=4,
            windows=276,
            heldout_windows=92,
            environment_steps=1920,
            noise=0.2,
            seconds={"reset": 21.0, "simulate": 61.0, "render": 30.0, "wait": 9.0},
            coverage={"tool_cells": 309.0, "gripper_switches": 0.5},
            mixture={"policy": 2.0, "random": 1.0},
        ),
        suite="libero_goal",
        assets="primitive",
        visuals="light",
        checkpoint="9f2c41d07a35be18",
        config=to_dict(Config()),
        confirmation=None if confirmed is None else _confirmation(arms, 16, base_rate, confirmed, per_task),
        chosen=None if chosen is None else _confirmation(arms, 4, base_rate, chosen, per_task),
    )


def _adapted(arm: Arm, method: str, explored: int, seed: int, held: float) -> Arm:
    """`arm`, adapted by `method`, which moves the policy by the share `held` of what plain steps do."""
    measured = arm.measurement
    assert measured
    measured = replace(measured, arm_drift=held * measured.arm_drift, changed=measured.changed * (1 - 0.001 * explored))
    curve = tuple(
        CurvePoint(step=n + 1, training_loss=loss, measurement=replace(measured, all=loss * 1.1), seconds=0.4 * n)
        for n, loss in enumerate(arm.training_loss)
    )
    return replace(
        arm,
        method=method,
        explored=explored,
        seed=seed,
        environment_steps=120 * explored,
        measurement=measured,
        curve=curve,
        acceptance="policy drift 0.08 is above 0.05" if measured.arm_drift > 0.05 else "",
    )


def _identity(arm: Arm) -> dict[str, Any]:
    """What tells an arm from the others."""
    return {**arm.trial._asdict(), "steps": arm.steps}


def _confirmation(arms: list[Arm], steps: int, base_rate: float, effect: float, per_task: int) -> Confirmation:
    """Of the way to adapt that the first arm belongs to."""
    group = [arm for arm in arms if arm.group == arms[0].group and arm.steps == steps]
    fresh = [_outcomes(base_rate + effect, 4 * per_task, seed=99 + arm.seed, first=500) for arm in group]
    return Confirmation(
        control=_outcomes(base_rate, 4 * per_task, seed=98, first=500),
        arms=tuple(replace(arm, outcomes=outcomes) for arm, outcomes in zip(group, fresh, strict=True)),
    )


def _arm(
    folder: Path, rate: float, steps: int, strength: float, success: float, per_task: int, media: bool, seed: int = 0
) -> Arm:
    name = f"lr{rate:g}-{steps}"
    return Arm(
        steps=steps,
        learning_rate=rate,
        rank=8 if steps else 0,
        adapter=name if steps else "",
        measurement=Measurement(
            all=0.098 * (1 - 0.2 * strength),
            changed=0.161 * (1 - 0.27 * strength),
            copy_all=0.112,
            copy_changed=0.243,
            changed_fraction=0.46,
            arm_drift=0.14 * strength**2,
            gripper_flips=0.05 * strength**2,
            update_norm=2.1 * strength,
        ),
        training_loss=tuple(0.1 * (1 - 0.25 * np.log2(1 + n) / 6) for n in range(steps)),
        outcomes=_outcomes(success, per_task, seed=steps + round(1e6 * rate) + 7 * seed),
        learn_seconds=0.4 * steps,
        seconds={"reset": 40.0, "simulate": 150.0, "render": 70.0, "wait": 30.0},
        predictions=_predictions(folder, name, strength) if media else "",
        videos=(_video(folder, name),) if media and steps in (0, 16) and rate in (0.0, RATES[0]) else (),
    )


def _outcomes(success: float, per_task: int, seed: int, first: int = 0) -> tuple[Outcome, ...]:
    """Episodes of equal difficulty in every arm, so that arms differ by their rate and by a little chance."""
    difficulty = np.random.default_rng(7).uniform(size=(len(TASKS), per_task))
    luck = np.random.default_rng(seed).normal(scale=0.06, size=difficulty.shape)
    return tuple(
        Outcome(
            task=task,
            init_state=first + state,
            seed=0,
            status="success" if difficulty[index, state] + luck[index, state] < success else "failure",
            steps=120,
        )
        for index, task in enumerate(TASKS)
        for state in range(per_task)
    )


def _scene(position: float, size: int = 64) -> np.ndarray:
    """A table, a box and a moving square."""
    image = np.full((size, size, 3), (196, 188, 176), np.uint8)
    image[size // 2 :] = (139, 110, 82)
    image[36:52, 8:24] = (70, 90, 120)
    left = int(position * (size - 14))
    image[26:40, left : left + 14] = (200, 70, 50)
    return image


def _predictions(folder: Path, name: str, strength: float) -> str:
    rng = np.random.default_rng(0)
    shape = (4, 2)
    last, real, predicted = (np.zeros((*shape, 64, 64, 3), np.uint8) for _ in range(3))
    for row in range(shape[0]):
        for camera in range(shape[1]):
            start = 0.2 * row + 0.1 * camera
            last[row, camera], real[row, camera] = _scene(start), _scene(start + 0.15)
            mixed = 0.5 * real[row, camera] + 0.5 * (strength * real[row, camera] + (1 - strength) * last[row, camera])
            predicted[row, camera] = (mixed + rng.normal(scale=14, size=mixed.shape)).clip(0, 255)
    path = folder / "adapters" / name / "predictions.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, last=last, real=real, predicted=predicted)
    return str(path.relative_to(folder))


def _video(folder: Path, name: str) -> str:
    path = folder / "evaluation" / f"{name}.mp4"
    write_mp4([_scene(step / 40) for step in range(40)], path)
    return str(path.relative_to(folder))
