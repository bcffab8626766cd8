"""What a control step, a reset and a simulator cost, against the benchmarks' own environments.

    python benchmarks/envs.py [--rounds 8] [--task put_the_bowl_on_the_plate] [--image-size 128]

Prints Markdown tables. Both sides take turns in one process, five control steps each, with the same actions and images
of the same size; a figure is the median over the rounds, in milliseconds of wall clock per control step. The ratio of
CPU time (of all threads) suffers less from whatever else the machine does. CALVIN's part needs a checkout of
calvin_env (CALVIN_ENV_ROOT); without one only the native engine is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
import psutil

from worldagen.config import EnvConfig
from worldagen.envs.base import Env, make_env
from worldagen.envs.suites import prepare_env, task_infos
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

CHUNK = 5
Chunk = Sequence[np.ndarray]
Row = tuple[str, str, str, float]
"""What is compared: name, baseline's name, contender's name, the ratio to reach (0 where none was set)."""


def actions(count: int, gripper: float = 1.0) -> list[np.ndarray]:
    """Small random moves in worldagen's convention."""
    moves = np.random.default_rng(0).uniform(-0.3, 0.3, (count, 6))
    return [np.array([*move, gripper], np.float32) for move in moves]


def episode(spec: EnvSpec, task: str) -> EpisodeSpec:
    """One that ends only when the measurement does."""
    policy = PolicySpec(kind="random")
    return EpisodeSpec(
        env=spec, task=task, init_state=0, seed=0, policy=policy, step_limit=10**6, stop_on_success=False
    )


@dataclass(frozen=True)
class Cost:
    """Milliseconds per control step."""

    wall: float
    cpu: float


def race(sides: dict[str, Callable[[Chunk], object]], rounds: int) -> dict[str, Cost]:
    """What each side takes: the median of `rounds` turns, after one that does not count."""
    moves = actions((1 + rounds) * CHUNK)
    turns: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for start in range(0, len(moves), CHUNK):
        for name, run in sides.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run(moves[start : start + CHUNK])
            turns[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: Cost(*(1000 * median(seconds) / CHUNK for seconds in zip(*counted[1:], strict=True)))
        for name, counted in turns.items()
    }


def every_frame(env: Env) -> Callable[[Chunk], object]:
    return lambda chunk: [env.step([action]) for action in chunk]


def every_frame_unseen(env: Any) -> Callable[[Chunk], object]:
    return lambda chunk: [env._control(action) for action in chunk]


def started_env(spec: EnvSpec, task: str) -> Any:
    env = make_env(spec)
    env.reset(episode(spec, task))
    return env


# -- LIBERO ------------------------------------------------------------------------------------------------------------

LIBERO_ROWS: tuple[Row, ...] = (
    ("no rendering", "own, no cameras", "no cameras", 1.8),
    ("`full`, every frame", "own", "full", 1.3),
    ("`full`, a frame per 5 steps", "own", "full, chunks", 3.0),
    ("`light`, every frame", "own", "light", 4.0),
    ("`light`, a frame per 5 steps", "own", "light, chunks", 8.0),
)


def libero_own(spec: EnvSpec, task: str, cameras: bool) -> Any:
    """LIBERO's own environment after its reset to the task's first initial state."""
    from libero.libero.envs.env_wrapper import ControlEnv, OffScreenRenderEnv

    from worldagen.envs.libero.tasks import find_task, init_states

    found = find_task(spec.suite, task)
    settings = {"bddl_file_name": str(found.bddl_file), "ignore_done": True}
    if cameras:
        env = OffScreenRenderEnv(**settings, camera_heights=spec.image_size, camera_widths=spec.image_size)
    else:
        env = ControlEnv(**settings, use_camera_obs=False, has_offscreen_renderer=False)
    env.env.reset()
    env.set_init_state(init_states(found)[0])
    return env


def libero_steps(env: Any, cameras: bool) -> Callable[[Chunk], object]:
    def run(chunk: Chunk) -> None:
        if cameras:  # it assumes that no other simulator has drawn in this process
            env.sim._render_context_offscreen.gl_ctx.make_current()
        for action in chunk:
            env.step(np.array([*action[:6], -action[6]], np.float64))

    return run


def libero(spec: EnvSpec, task: str, rounds: int) -> None:
    full, light = (started_env(replace(spec, visuals=visuals), task) for visuals in ("full", "light"))
    own, own_blind = (libero_own(spec, task, cameras) for cameras in (True, False))
    sides = {
        "own": libero_steps(own, cameras=True),
        "own, no cameras": libero_steps(own_blind, cameras=False),
        "no cameras": lambda chunk: [light._control(action) for action in chunk],
        "full": every_frame(full),
        "full, chunks": full.step,
        "light": every_frame(light),
        "light, chunks": light.step,
    }
    title = f"LIBERO: {spec.suite}, {task}, {spec.assets} assets, two {spec.image_size} px images"
    compare(title, "OffScreenRenderEnv.step", LIBERO_ROWS, race(sides, rounds))
    for env in (full, light, own, own_blind):
        env.close()


# -- CALVIN ------------------------------------------------------------------------------------------------------------

CALVIN_ROWS: tuple[Row, ...] = (
    ("calvin_env, every frame", "own", "calvin_env", 1.0),
    ("calvin_env, a frame per 5 steps", "own", "calvin_env, chunks", 4.0),
    ("native, no cameras", "own, no cameras", "native, no cameras", 1.0),
    ("native, every frame", "own", "native", 8.0),
    ("native, a frame per 5 steps", "own", "native, chunks", 0.0),
)
CALVIN_TASK = "open_drawer"


def calvin_specs() -> dict[str, EnvSpec]:
    """Both engines, with the image sizes of CALVIN's own cameras."""
    from worldagen.envs.calvin.package import find_checkout

    engines = ("calvin_env", "native") if find_checkout() else ("native",)
    config = {"suite": "calvin_d", "image_size": 200, "wrist_image_size": 84, "visuals": "full"}
    return {engine: prepare_env(EnvConfig(**config, engine=engine)) for engine in engines}  # type: ignore[arg-type]


def calvin_own(spec: EnvSpec) -> Any:
    """calvin_env's own PlayTableSimEnv with its two cameras, reset to the first initial state of the task."""
    from worldagen.envs.calvin.official import _build
    from worldagen.envs.calvin.package import checkout
    from worldagen.envs.calvin.states import initial_state

    env = _build(checkout(), spec)
    env.close = lambda: None
    env.reset(*initial_state(spec.suite, CALVIN_TASK, 0))
    return env


def calvin_steps(env: Any) -> Callable[[Chunk], object]:
    return lambda chunk: [env.step(np.array(action, np.float64)) for action in chunk]


def calvin(specs: dict[str, EnvSpec], rounds: int) -> None:
    sides: dict[str, Callable[[Chunk], object]] = {}
    if "calvin_env" in specs:
        own, own_blind = (calvin_own(specs["calvin_env"]) for _ in range(2))
        own_blind.cameras = []
        sides = {"own": calvin_steps(own), "own, no cameras": calvin_steps(own_blind)}
    for engine, spec in specs.items():
        env = started_env(spec, CALVIN_TASK)
        blind = started_env(spec, CALVIN_TASK)
        sides |= {
            engine: every_frame(env),
            f"{engine}, chunks": env.step,
            f"{engine}, no cameras": every_frame_unseen(blind),
        }
    title = "CALVIN: scene D, TinyRenderer, images of 200 and 84 px"
    compare(title, "PlayTableSimEnv.step", CALVIN_ROWS, race(sides, rounds))


# -- create, reset, memory ---------------------------------------------------------------------------------------------


def cost(kind: str, spec: EnvSpec, task: str) -> dict[str, float]:
    """Seconds and MB of one simulator in this process, which has done nothing else. The first creation also imports."""
    started = time.perf_counter()
    if kind == "own":
        env, resets = _own(spec, task)
    else:
        env = make_env(spec)
        start = episode(spec, task)

        def hard() -> None:
            env.close()
            env.reset(start)

        if spec.suite.startswith("calvin_"):
            resets = {"soft": lambda: env.reset(start)}
        else:
            resets = {"soft": lambda: env.reset(start), "hard": hard}
        env.reset(start)
    measured = {"create": time.perf_counter() - started}
    for name, reset in resets.items():
        times = []
        for _ in range(3):
            started = time.perf_counter()
            reset()
            times.append(time.perf_counter() - started)
        measured[name] = median(times)
    return {**measured, "memory": psutil.Process().memory_info().rss / 2**20}


def _own(spec: EnvSpec, task: str) -> tuple[Any, dict[str, Callable[[], object]]]:
    if spec.suite.startswith("calvin_"):
        from worldagen.envs.calvin.states import initial_state

        env = calvin_own(spec)
        return env, {"soft": lambda: env.reset(*initial_state(spec.suite, task, 0))}
    from worldagen.envs.libero.assets import resolve_assets
    from worldagen.envs.libero.package import prepare

    prepare(resolve_assets(spec.assets, os.environ.get("WORLDAGEN_LIBERO_ASSETS", "")).path)
    env = libero_own(spec, task, cameras=True)
    return env, {"hard": env.env.reset}


def costs(rows: dict[str, tuple[str, EnvSpec, str]]) -> None:
    print("\n### Create, reset, memory (a process each)\n")
    print("| | create s | soft reset s | hard reset s | resident MB |\n|---|---|---|---|---|")
    for name, (kind, spec, task) in rows.items():
        command = [sys.executable, __file__, "--cost", kind, json.dumps(_plain(spec)), task]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{name}: {done.stderr}")
        got = json.loads(done.stdout.splitlines()[-1])
        cells = [f"{got[part]:.2f}" if part in got else "-" for part in ("create", "soft", "hard")]
        print(f"| {name} | {' | '.join(cells)} | {got['memory']:.0f} |", flush=True)


def _plain(spec: EnvSpec) -> dict[str, Any]:
    return {name: value for name, value in vars(spec).items() if name != "shifts"}


def compare(title: str, own: str, rows: tuple[Row, ...], costs: dict[str, Cost]) -> None:
    print(f"\n### {title}\n")
    print(f"| | {own}, ms | worldagen, ms | ratio | bar | ratio of CPU time |\n|---|---|---|---|---|---|")
    for name, baseline, contender, bar in rows:
        if contender in costs:
            ours, base = costs[contender], costs.get(baseline, Cost(float("nan"), float("nan")))
            ratios = f"{base.wall / ours.wall:.2f} | {bar or '-'} | {base.cpu / ours.cpu:.2f}"
            print(f"| {name} | {base.wall:.1f} | {ours.wall:.1f} | {ratios} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="libero_goal")
    parser.add_argument("--task", default="", help="the suite's first by default")
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--cost", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.cost:
        kind, spec, task = args.cost
        print(json.dumps(cost(kind, EnvSpec(**json.loads(spec)), task)))
        return
    print(f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs, {args.rounds} rounds of {CHUNK} steps.", flush=True)
    spec = prepare_env(EnvConfig(suite=args.suite, image_size=args.image_size))
    task = args.task or next(iter(task_infos(args.suite)))
    libero(spec, task, args.rounds)
    specs = calvin_specs()
    calvin(specs, args.rounds)
    rows = {"LIBERO's own": ("own", spec, task)}
    rows |= {f"LIBERO, `{look}`": ("ours", replace(spec, visuals=look), task) for look in ("full", "light")}
    if "calvin_env" in specs:
        rows["CALVIN's own"] = ("own", specs["calvin_env"], CALVIN_TASK)
    rows |= {f"CALVIN, {engine}": ("ours", found, CALVIN_TASK) for engine, found in specs.items()}
    costs(rows)


if __name__ == "__main__":
    main()
