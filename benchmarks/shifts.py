"""What shifts do to scripted experts, which see the truth: whether a shifted task can still be done.

    python benchmarks/shifts.py [--init-states 5]

Writes docs/shifts.md.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from worldagen.config import EnvConfig
from worldagen.envs.base import make_env
from worldagen.envs.shifts import SHIFTS
from worldagen.envs.suites import prepare_env
from worldagen.rollout.episode import run_episode
from worldagen.rollout.policies import ExpertPolicy
from worldagen.types import EpisodeResult, EpisodeSpec, PolicySpec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "shifts.md"
TASKS = ("put_the_bowl_on_the_plate", "open_the_middle_drawer_of_the_cabinet")
FELT = ("table_height", "friction", "mass", "action_scale", "action_delay")
STRENGTHS = (0.5, 1.0)
NOISE, STEP_LIMIT = 0.1, 150
TEXT = """# Shifts

A shift is a named way in which the world differs from the one that a policy was trained in: what test-time training is
to make up for. Shifts are part of what an episode runs in, so they are in its key, in the episode log, in the
configuration that MLflow and the report show, and results of two shifts are never mixed.

    python pipelines/evaluate.py --config configs/calvin.yaml checkpoint=checkpoints/calvin \\
      env.shifts.camera=0.5 run_dir=runs/calvin_camera

    env: {{shifts: {{camera: 0.5, mass: 1}}, shift_seed: 3}}          # in a configuration file
    EnvSpec(shifts=(Shift(name="camera", strength=0.5, seed=3),))   # in Python

Train without a shift, then name the checkpoint in a run folder of its own: a run folder has one configuration, and a
run without `checkpoint` makes its demonstrations in the world that `env` describes.

## What there is

| shift | what changes | at strength 1 | where |
|---|---|---|---|
{kinds}

- **Strength** 0 is no shift, bit for bit; 1 is strong, but leaves a task solvable; more is possible. Angles, lengths
  and times grow in proportion, ratios by powers: half of "4 times" is 2 times.
- **Seed** (`env.shift_seed`): even ones mean the first direction (to the right, higher, more), odd ones the other. What
  else there is to choose (tint, colours, how far up or down a camera goes) is drawn from it, for each shift by itself.
- Shifts **compose**; their order does not matter. What only cameras see leaves the physics as it is, bit for bit.
- **Actions are recorded as the policy commanded them**, before scale and delay. A delay of half a step mixes two
  actions; before the first action the arm rests and the gripper is open.
- **Noise** depends on the episode (task, initial state, seed) and the control step, not on the policy: arms that are
  compared see the same noise, and filming changes nothing.
- **A higher table** is made by a lower robot: with its fixed camera and its measured position it sinks by as much, so
  that initial states, placements and goals hold as they are. Object sizes are not shifted: initial states fix where
  things stand on and in each other. CALVIN's table stays where it is; its initial states and rules are absolute.
- In **CALVIN** the blocks and lamps keep their colours, by which instructions name them, and the light its direction;
  with primitive assets slider and drawer keep theirs too.
- **An Env of your own** has the shifts that work in every simulator. Those that it makes itself, from
  `EnvSpec.shifts`, it lists in a class attribute `SHIFTS`.

## What they look like

LIBERO with primitive assets, seed 0; drawn by `python docs/draw_shifts.py`.

![camera, light, colour, table_height and sensor_noise at three strengths](images/shifts_seen.png)

![friction, mass, action_scale and action_delay at three strengths](images/shifts_felt.png)

## Can it still be done?

Successes of the scripted experts, and median control steps of these, measured by
`python benchmarks/shifts.py --init-states {init_states}`: initial states 0 to {last} of `{tasks}`, primitive assets,
Gaussian noise of {noise} on the arm, at most {step_limit} control steps. Experts see the truth and not the images, so
camera, light, colour and sensor_noise do not concern them; their scripts know nothing of shifts and correct what they
see going wrong.

| shift | direction | {strengths} |
|---|---|{rules}|
{rows}
"""


def kinds() -> str:
    return "\n".join(
        f"| `{name}` | {kind.changes} | {kind.at_one} | {', '.join(kind.simulators)} |" for name, kind in SHIFTS.items()
    )


def measure(shifts: dict[str, float], seed: int, init_states: int) -> str:
    """A cell of the table."""
    env_spec = prepare_env(EnvConfig(image_size=16, assets="primitive", shifts=shifts, shift_seed=seed))
    env, results = make_env(env_spec), list[EpisodeResult]()
    policy = PolicySpec(kind="expert", noise=NOISE)
    spec = EpisodeSpec(
        env=env_spec, task="", init_state=0, seed=0, policy=policy, step_limit=STEP_LIMIT, actions_per_chunk=STEP_LIMIT
    )
    for task in TASKS:
        for init_state in range(init_states):
            episode = replace(spec, task=task, init_state=init_state, seed=init_state)
            results.append(run_episode(env, ExpertPolicy(), episode).result)
    env.close()
    steps = [result.steps for result in results if result.success]
    return f"{len(steps)}/{len(results)}, {median(steps):g} steps" if steps else f"0/{len(results)}"


def rows(init_states: int) -> Iterator[str]:
    yield f"| none | | {' | '.join([measure({}, 0, init_states)] * len(STRENGTHS))} |"
    for name in FELT:
        directions = ("later",) if name == "action_delay" else ("more", "less")
        for seed, direction in enumerate(directions):
            cells = [measure({name: strength}, seed, init_states) for strength in STRENGTHS]
            yield f"| `{name}` | {direction} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--init-states", type=int, default=5)
    init_states = parser.parse_args().init_states
    page = TEXT.format(
        kinds=kinds(),
        init_states=init_states,
        last=init_states - 1,
        tasks="` and `".join(TASKS),
        noise=NOISE,
        step_limit=STEP_LIMIT,
        strengths=" | ".join(f"strength {strength:g}" for strength in STRENGTHS),
        rules="|".join(["---"] * len(STRENGTHS)),
        rows="\n".join(rows(init_states)),
    )
    PAGE.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
