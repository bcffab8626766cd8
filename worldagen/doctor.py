"""What works on this machine, what does not, and how to mend it.

    python -m worldagen.doctor [--out FOLDER] [CHECK ...]

One line a finding: ok, warning or FAIL, with a remedy. Each check runs in a process of its own, since a broken driver
or simulator may end or hang it. With --out the frame that each simulator draws is saved there. Exit code 1 when one
fails. Downloads nothing.
"""

import argparse
import importlib.metadata
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from worldagen.errors import WorldagenError
from worldagen.types import EnvSpec, EpisodeSpec, PolicySpec

REINSTALL = "`make setup` installs the versions that belong together"
TIMEOUT = 180.0
_GB = 2**30


@dataclass(frozen=True)
class Finding:
    level: Literal["ok", "warning", "FAIL"]
    text: str
    remedy: str = ""


def versions() -> Iterator[Finding]:
    """Every package that worldagen names, LIBERO's three included, in a version that it allows."""
    from packaging.requirements import Requirement

    root = Path(__file__).resolve().parent.parent
    lines = tomllib.loads((root / "pyproject.toml").read_text())["project"]["dependencies"]
    lines += [line for line in (root / "requirements-libero.txt").read_text().splitlines() if line[:1] != "#"]
    wrong = []
    for requirement in (Requirement(line) for line in lines):
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            wrong.append(f"{requirement.name} is {found}, not {requirement.specifier}")
    if wrong:
        yield Finding("FAIL", "; ".join(wrong), REINSTALL)
    else:
        yield Finding("ok", f"Python {sys.version.split()[0]}, {len(lines)} packages in the versions they should have")


def opengl() -> Iterator[Finding]:
    """A backend that renders without a display."""
    from worldagen.envs.gl import choose_gl

    yield Finding("ok", f"MuJoCo renders with {choose_gl()}")


def gpus() -> Iterator[Finding]:
    """Which EGL device is which GPU."""
    from worldagen.envs.egl import egl_devices_of, query_devices, requested_gpus

    devices = query_devices()
    requested = requested_gpus(os.environ.get("CUDA_VISIBLE_DEVICES"))
    if requested:
        indices = egl_devices_of(requested, devices)
        yield Finding("ok", f"GPUs {', '.join(requested)} of CUDA_VISIBLE_DEVICES are EGL devices {indices}")
    if not devices.cuda:
        yield Finding("ok", f"no NVIDIA GPU here, rendering runs on the CPU: {devices}")
        return
    unseen = set(range(len(devices.cuda))) - set(devices.egl)
    if unseen:
        remedy = "install NVIDIA's OpenGL libraries (libnvidia-gl; in a container NVIDIA_DRIVER_CAPABILITIES=all)"
        yield Finding("warning", f"EGL cannot draw on GPUs {sorted(unseen)}: {devices}", remedy)
    else:
        yield Finding("ok", str(devices))


def assets() -> Iterator[Finding]:
    """Official or primitive, for each LIBERO suite."""
    from worldagen.envs.libero.assets import find_official
    from worldagen.envs.libero.tasks import suites

    official = find_official()
    if official:
        yield Finding("ok", f"official LIBERO assets in {official}, for {', '.join(suites())}")
        return
    remedy = "name a folder of official ones in env.assets_path; on the network `env.assets=official` downloads them"
    yield Finding("warning", f"no official LIBERO assets: primitive ones for {', '.join(suites())}", remedy)


def libero(out: Path | None = None) -> Iterator[Finding]:
    """One frame of LIBERO."""
    from worldagen.envs.libero.assets import find_official

    official = find_official()
    if official:
        os.environ["WORLDAGEN_LIBERO_ASSETS"] = str(official)
    spec = EnvSpec(suite="libero_goal", image_size=128, assets="official" if official else "primitive")
    yield _frame(spec, "turn_on_the_stove", out)


def calvin(out: Path | None = None) -> Iterator[Finding]:
    """One frame of CALVIN in the engine that `env.engine=auto` takes, and in our own."""
    from worldagen.envs.calvin.package import ROOT_VARIABLE, find_checkout

    root = find_checkout()
    if root:
        os.environ[ROOT_VARIABLE] = str(root)
        yield Finding("ok", f"calvin_env in {root}: engine calvin_env, its own assets")
        spec = EnvSpec(suite="calvin_d", image_size=200, engine="calvin_env", renderer="tiny", assets="official")
        yield _frame(spec, "open_drawer", out)
    else:
        text = "no checkout of calvin_env: engine native, primitive assets"
        yield Finding(
            "warning", text, f"`python -m worldagen.envs.calvin install`, or set {ROOT_VARIABLE} to a checkout"
        )
    spec = EnvSpec(suite="calvin_d", image_size=200, engine="native", renderer="tiny", assets="primitive")
    yield _frame(spec, "open_drawer", out)


def ray() -> Iterator[Finding]:
    """A local cluster that runs a task."""
    import ray as package

    package.init("local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    answer = package.get(package.remote(lambda: 6 * 7).remote(), timeout=90)
    package.shutdown()
    assert answer == 42
    yield Finding("ok", f"Ray {package.__version__} ran a task")
    if os.environ.get("RAY_ADDRESS"):
        yield Finding("ok", f"RAY_ADDRESS is {os.environ['RAY_ADDRESS']}: pipelines join that cluster (not tried here)")


def torch() -> Iterator[Finding]:
    """Arithmetic on what it has."""
    import torch as package

    device = "cuda" if package.cuda.is_available() else "cpu"
    ones = package.ones(8, 8, device=device)
    assert float((ones @ ones).sum()) == 512
    name = package.cuda.get_device_name() if device == "cuda" else f"CPU, {package.get_num_threads()} threads"
    yield Finding("ok", f"torch {package.__version__} computes on {name}")


def resources() -> Iterator[Finding]:
    """Memory and disk."""
    import psutil

    from worldagen.envs.cache import cache_dir

    free = psutil.virtual_memory().available / _GB
    need = "a simulator needs 0.5 GB with env.visuals=light (1 GB with full), training about 1 GB"
    if free < 4:
        yield Finding("FAIL" if free < 1 else "warning", f"{free:.1f} GB of memory free", f"{need}: end other programs")
    else:
        yield Finding("ok", f"{free:.1f} GB of memory free; {need}")
    for name, folder in (
        ("cache (WORLDAGEN_CACHE)", cache_dir()),
        ("temporary files (TMPDIR)", Path(tempfile.gettempdir())),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                space = shutil.disk_usage(folder).free / _GB
        except OSError as error:
            yield Finding("FAIL", f"{name}: {folder} cannot be written ({error.strerror})", "name another folder")
            continue
        level: Literal["ok", "warning"] = "warning" if space < 2 else "ok"
        yield Finding(
            level, f"{name}: {space:.1f} GB free in {folder}", "make room: 2 GB at least" if space < 2 else ""
        )


CHECKS: dict[str, Callable[..., Iterator[Finding]]] = {
    check.__name__: check for check in (versions, opengl, gpus, assets, libero, calvin, ray, torch, resources)
}
_DRAWING = (libero, calvin)


def _frame(spec: EnvSpec, task: str, out: Path | None) -> Finding:
    from worldagen.envs.base import make_env

    env = make_env(spec)
    policy = PolicySpec(kind="random")
    image = env.reset(EpisodeSpec(env=spec, task=task, init_state=0, seed=0, policy=policy)).primary
    env.close()
    name = f"{spec.suite}{f', {spec.engine}' if spec.engine else ''}, {spec.assets} assets"
    saved = ""
    if out:
        from PIL import Image

        path = out / f"{spec.suite}{f'-{spec.engine}' if spec.engine else ''}.png"
        Image.fromarray(image).save(path)
        saved = f", saved as {path}"
    if image.std() < 5:
        return Finding("FAIL", f"{name}: the frame is blank (mean {image.mean():.0f}){saved}", "see the opengl check")
    return Finding("ok", f"{name}: drew a frame, mean {image.mean():.0f}{saved}")


def examine(command: Sequence[str], timeout: float = TIMEOUT) -> list[Finding]:
    """Run one check's process, which writes its findings to the file named by one more argument. Its death is one."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "findings")
        try:
            done = subprocess.run(
                [*command, str(report)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            failure = f"no answer within {timeout:.0f} s"
        else:
            failure = _death(done) if done.returncode else ""
        lines = report.read_text().splitlines() if report.exists() else []
    findings = [Finding(**json.loads(line)) for line in lines]
    if failure:
        findings.append(Finding("FAIL", failure, f"to see all of it: python {' '.join(command[1:])} /dev/stdout"))
    return findings


def _death(done: subprocess.CompletedProcess[str]) -> str:
    last = (done.stderr.strip().splitlines() or [""])[-1]
    how = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
    return f"its process ended with {how}" + (f": {last}" if last else "")


def _run(check: str, out: Path | None, report: Path) -> None:
    """One check, in this process. Findings are written as they are made, so that a crash loses none."""
    with report.open("w", buffering=1) as file:
        try:
            for finding in CHECKS[check](out) if CHECKS[check] in _DRAWING else CHECKS[check]():
                print(json.dumps(asdict(finding)), file=file)
        except WorldagenError as error:  # its message holds the remedy
            print(json.dumps(asdict(Finding("FAIL", str(error)))), file=file)
        except ImportError as error:
            print(json.dumps(asdict(Finding("FAIL", str(error), REINSTALL))), file=file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checks", nargs="*", metavar="CHECK", help=f"of {', '.join(CHECKS)}; all by default")
    parser.add_argument("--out", type=Path, help="folder for the frames")
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    unknown = set(args.checks) - set(CHECKS)
    if unknown:
        parser.error(f"unknown check {', '.join(sorted(unknown))}; there are {', '.join(CHECKS)}")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
    if args.report:
        _run(args.checks[0], args.out, args.report)
        return
    out = ["--out", str(args.out)] if args.out else []
    failed = 0
    for check in args.checks or CHECKS:
        for finding in examine([sys.executable, "-m", "worldagen.doctor", check, *out, "--report"]):
            failed += finding.level == "FAIL"
            print(f"{finding.level:<8}{check:<10}{finding.text}", flush=True)
            if finding.remedy:
                print(f"{'':<18}-> {finding.remedy}", flush=True)
    if failed:
        print(f"\n{failed} FAIL")
        sys.exit(1)


if __name__ == "__main__":
    main()
