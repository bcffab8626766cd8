"""What a sweep over step counts costs beside its longest member: `python benchmarks/sweep.py [part ...]`.

learning  one trial of 64 steps on 36 episodes, snapshots at 1, 2, 4 ... 64 against one at 64: CPU seconds
sweep     two whole sweeps on Ray, all counts and 64 alone. A simulator without physics, so that little but learning is
          left; what evaluations took (from an arm's snapshot to its file) is told apart

Bar: all step counts cost at most 1.1 times what the longest costs, plus their evaluations.
"""

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from tests.fake_suite import SUITE  # noqa: E402
from worldagen.config import load  # noqa: E402
from worldagen.data import trajectories  # noqa: E402
from worldagen.envs.base import make_env  # noqa: E402
from worldagen.models import checkpoint  # noqa: E402
from worldagen.models.worldagen import WorldAgen  # noqa: E402
from worldagen.rollout.episode import run_episode  # noqa: E402
from worldagen.rollout.policies import RandomPolicy  # noqa: E402
from worldagen.sweep.complete import complete_sweep  # noqa: E402
from worldagen.sweep.plan import trials, way  # noqa: E402
from worldagen.ttt.job import AdaptationJob, SnapshotMaker  # noqa: E402
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec  # noqa: E402

COUNTS = (1, 2, 4, 8, 16, 32, 64)
BAR = 1.1
SETTINGS = [f"env.suite={SUITE}", "env.tasks=[push,pull]", "ttt.learning_rate=3e-4"]


def episodes(folder: Path, count: int) -> tuple[Path, ...]:
    """Random actions, 120 steps each."""
    spec = EpisodeSpec(
        env=EnvSpec(suite=SUITE),
        task="push",
        init_state=0,
        seed=0,
        policy=PolicySpec(kind="random"),
        step_limit=120,
        stop_on_success=False,
        record="trajectory",
    )
    env, files = make_env(spec.env), []
    for number in range(count):
        one = replace(spec, seed=number)
        recorded = run_episode(env, RandomPolicy(), one).trajectory
        assert recorded is not None
        files.append(folder / f"{one.key}.parquet")
        trajectories.save(recorded, files[-1])
    return tuple(files)


def learning() -> None:
    torch.set_num_threads(1)
    config = load(overrides=SETTINGS)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint.save(WorldAgen(config.model), folder / "base", {})
        explored = episodes(folder, 40)
        job = AdaptationJob(
            checkpoint=folder / "base",
            base=checkpoint.fingerprint(folder / "base"),
            training=explored[4:],
            heldout=explored[:4],
            how=way(config, trials(config)[0]),
            instructions=("push the square", "pull the square"),
            changed_threshold=config.ttt.changed_threshold,
            steps=COUNTS,
            adapters=folder / "all",
        )
        whole = cpu_seconds(job)
        longest = cpu_seconds(replace(job, steps=COUNTS[-1:], adapters=folder / "longest"))
    print(f"learning: {whole:.1f} s of CPU for {len(COUNTS)} step counts, {longest:.1f} s for the longest alone")
    verdict("learning", whole / longest)


def cpu_seconds(job: AdaptationJob) -> float:
    started = time.process_time()
    maker = SnapshotMaker(job)
    for steps in job.steps:
        maker.snapshot(steps)
    return time.process_time() - started


def sweep() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        checkpoint.save(WorldAgen(load(overrides=SETTINGS).model), folder / "base", {})
        (longest, one), (whole, all_) = (sweep_seconds(folder, counts) for counts in (COUNTS[-1:], COUNTS))
    print(f"sweep: {whole:.1f} s for {len(COUNTS)} step counts, of which evaluations {all_:.1f} s")
    print(f"       {longest:.1f} s for the longest alone, of which evaluation {one:.1f} s")
    verdict("sweep without its evaluations", (whole - all_) / (longest - one))


def sweep_seconds(folder: Path, counts: tuple[int, ...]) -> tuple[float, float]:
    """Wall clock of a sweep, and of the evaluations of its adapted arms."""
    run_dir = folder / f"sweep-{len(counts)}"
    settings = [f"checkpoint={folder / 'base'}", f"run_dir={run_dir}", f"ttt.steps={list(counts)}"]
    few = ["explore.episodes=36", "evaluation.episodes_per_task=5", "evaluation.videos=0"]
    started = time.monotonic()
    complete_sweep(load(overrides=[*SETTINGS, *settings, *few]))
    seconds = time.monotonic() - started
    arms = {json.loads(file.read_text())["adapter"]: file.stat().st_mtime for file in run_dir.glob("arms/*.json")}
    made = {version: (run_dir / "adapters" / version / "snapshot.json").stat().st_mtime for version in arms if version}
    return seconds, sum(arms[version] - made[version] for version in made)


def verdict(what: str, ratio: float) -> None:
    print(f"{what}: {ratio:.3f} times the longest (bar {BAR}) {'ok' if ratio <= BAR else 'MISSED'}")


if __name__ == "__main__":
    for part in sys.argv[1:] or ["learning", "sweep"]:
        {"learning": learning, "sweep": sweep}[part]()
