"""Writes the report: results -> findings -> figures -> one HTML page that carries everything it shows."""

import base64
import datetime
import importlib.metadata
import json
import logging
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import jinja2
import yaml

from worldagen.arms import Arm
from worldagen.atomic import write_text
from worldagen.evaluation import statistics
from worldagen.evaluation.statistics import Rate
from worldagen.models import checkpoint
from worldagen.report.figures import Picture, draw
from worldagen.report.findings import Finding, Findings, judge, method_name
from worldagen.report.rule import TOLERATED, predictors, record
from worldagen.report.words import choice, confirmation, headline, p_value, points, predictors_in_words, statements
from worldagen.results import SweepResults

PACKAGES = ("worldagen", "torch", "ray", "mlflow", "transformers", "peft", "numpy", "scipy", "statsmodels")
SIMULATORS = ("mujoco", "robosuite", "hf-libero", "bddl")
PRETRAINING = {
    "validation/arm_error": "arm action error (mean absolute)",
    "validation/gripper_accuracy": "gripper accuracy",
    "validation/image_changed": "next-frame error, changed patches",
    "validation/copy_changed": "copying the last frame, changed patches",
    "validation/image_all": "next-frame error, all patches",
    "validation/copy_all": "copying the last frame, all patches",
}
"""What the page tells of the trainer's metrics."""
logger = logging.getLogger(__name__)
ONE_TABLE = 24
"""Arms that fit one table; more are told method by method."""


@dataclass(frozen=True)
class Clip:
    """A video inside the page."""

    caption: str
    data: str
    """data: URI."""


def write_report(results: SweepResults, run_dir: Path) -> Path:
    """Write `run_dir/report/index.html` and the pictures beside it; returns the page's path.

    Paths inside `results` are relative to `run_dir`; films and pictures that are gone are left out, with a warning.
    Raises ValueError when arms were evaluated on different episodes.
    """
    findings = judge(results)
    pictures = draw(findings, run_dir)
    folder = run_dir / "report"
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        (folder / f"{name}.png").write_bytes(picture.light)
    page = folder / "index.html"
    write_text(page, render(findings, pictures, run_dir))
    return page


def render(findings: Findings, pictures: Mapping[str, Picture], run_dir: Path) -> str:
    """The HTML of the page."""
    environment = templates("worldagen.report")
    environment.globals |= {
        "percent": lambda share: f"{100 * share:.0f} %",
        "signed_percent": lambda change: f"{100 * change:+.0f} %".replace("-", "−"),
        "points": points,
        "number": number,
        "p_value": p_value,
        "method_name": method_name,
        "duration": duration,
    }
    results = findings.results
    seconds = [(name, results.seconds.get(name, 0.0)) for name in ("reset", "simulate", "render", "wait", "learn")]
    return environment.get_template("page.html").render(
        findings=findings,
        results=results,
        headline=headline(findings),
        statements=statements(findings),
        pictures=pictures,
        clips=clips(findings, run_dir),
        methods=[Side(findings, method) for method in findings.methods],
        tables=tables(findings),
        rule=record(findings.compared),
        tolerated=TOLERATED,
        predictors=predictors_in_words(found) if (found := predictors([findings])) else [],
        confirmation=confirmation(findings),
        choice=choice(findings),
        per_task=[(each, per_task(each, results.tasks)) for each in told_per_task(findings)],
        coverages=results.exploration.coverages or {"": results.exploration.coverage},
        seconds=seconds,
        total_seconds=sum(value for _, value in seconds),
        pretraining=pretraining(results, run_dir),
        config=yaml.safe_dump(json.loads(json.dumps(results.config)), sort_keys=False),
        versions=versions(),
        style=jinja2.utils.markupsafe.Markup((Path(__file__).parent / "page.css").read_text()),
        written=datetime.datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z"),
    )


@dataclass(frozen=True)
class Side:
    """One method, to be set beside the others."""

    findings: Findings
    method: str

    @property
    def arms(self) -> tuple[Finding, ...]:
        return self.findings.of_method(self.method)

    def count(self, *verdicts: str) -> int:
        return sum(each.verdict in verdicts for each in self.arms)

    @property
    def best(self) -> Finding | None:
        """The evaluated arm of highest success."""
        return max(self._compared, key=lambda each: each.rate.value, default=None)

    @property
    def worst(self) -> Finding | None:
        return min(self._compared, key=lambda each: each.rate.value, default=None)

    @property
    def lowest_error(self) -> Finding | None:
        """Of the arms with a measured error."""
        measured = [each for each in self.arms if each in self.findings.measured]
        return min(measured, key=lambda each: each.error_change, default=None)

    @property
    def accepted(self) -> int:
        """Arms that the acceptance rule accepts in every seed."""
        return sum(each.accepted for each in self.arms)

    @property
    def _compared(self) -> list[Finding]:
        return [each for each in self.arms if each.difference]


def tables(findings: Findings) -> list[tuple[str, tuple[Finding, ...]]]:
    """(title, rows) of the tables of arms: one in the arms' own order or, of many, one for each method by success."""
    if len(findings.arms) <= ONE_TABLE:
        return [("", findings.arms)]
    return [(method_name(side.method), by_success(side.arms)) for side in (Side(findings, m) for m in findings.methods)]


def by_success(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The most successful first, what was not evaluated last."""
    return tuple(sorted(found, key=lambda each: -each.rate.value if each.difference else 2.0))


def told_per_task(findings: Findings) -> tuple[Finding, ...]:
    """The control and all arms or, of many, the best and the worst of each method."""
    if len(findings.arms) <= ONE_TABLE:
        return findings.everything
    sides = [Side(findings, method) for method in findings.methods]
    chosen = [each for side in sides for each in (side.best, side.worst)]
    return (findings.control, *(each for each in findings.arms if any(each is one for one in chosen)))


def clips(findings: Findings, run_dir: Path) -> list[list[Clip]]:
    """The filmed episodes, a row each: the control first, then every other arm that was filmed.

    Empty when not all of these arms have all the films, for then a row would show different episodes, and when results
    were kept without their films.
    """
    filmed = [(each, each.filmed) for each in findings.everything if each.filmed]
    count = min(findings.results.config["evaluation"]["videos"], len(findings.results.control.outcomes))
    if any(len(arm.videos) != count for _, arm in filmed):
        return []
    if gone := [film for _, arm in filmed for film in arm.videos if not (run_dir / film).exists()]:
        logger.warning("no films: %s is not in %s", gone[0], run_dir)
        return []
    return [[_clip(findings.name(each), arm, number, run_dir) for each, arm in filmed] for number in range(count)]


def _clip(name: str, arm: Arm, number: int, run_dir: Path) -> Clip:
    """Film `number` of an arm; the filmed episodes are the first ones of the evaluation."""
    outcome = arm.outcomes[number]
    when = "Before" if arm.steps == 0 else "After"
    ending = "solved" if outcome.success else "not solved"
    caption = f"{when} ({name}): {outcome.task.replace('_', ' ')}, {ending}"
    return Clip(caption, data_uri((run_dir / arm.videos[number]).read_bytes(), "video/mp4"))


def per_task(each: Finding, tasks: tuple[str, ...]) -> list[Rate]:
    """Success of an arm on each task, over its seeds."""
    return [
        statistics.rate(*([outcome for outcome in arm.outcomes if outcome.task == task] for arm in each.arms))
        for task in tasks
    ]


def pretraining(results: SweepResults, run_dir: Path) -> list[tuple[str, str]]:
    """What the trainer measured of the checkpoint, in words; empty when this checkpoint is no longer there."""
    folder = Path(results.config["checkpoint"] or run_dir / "checkpoint").expanduser()
    if not (folder / "config.json").exists():
        return []
    about = checkpoint.describe(folder)
    metrics = about["provenance"].get("metrics", {}) if about["fingerprint"] == results.checkpoint else {}
    return [(words, number(metrics[name])) for name, words in PRETRAINING.items() if name in metrics]


def versions() -> list[tuple[str, str]]:
    """Installed versions of what decides results, worldagen first."""
    found = []
    for name in (*PACKAGES, *SIMULATORS):
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            found.append((name, "not installed"))
    return [*found, ("Python", platform.python_version()), ("platform", platform.platform())]


def templates(package: str) -> jinja2.Environment:
    """The templates of a package; they know `png(bytes)`, a picture inside the page."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["png"] = lambda data: data_uri(data, "image/png")
    return environment


def data_uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def number(value: float) -> str:
    """Three decimals, or three significant digits where those would say too little."""
    return f"{value:.3f}" if value == 0 or 0.01 <= abs(value) < 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Seconds in the unit that a reader expects, e.g. `42 s`, `3 min 10 s`, `2 h 5 min`."""
    if math.isnan(seconds):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
