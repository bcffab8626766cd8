"""Writes a study: one HTML page that carries everything it shows, and the same as Markdown with its pictures."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import jinja2

import worldagen.report
from worldagen.atomic import write_text
from worldagen.report.budgets import tradeoff
from worldagen.report.figures import Picture, picture
from worldagen.report.page import templates
from worldagen.study import figures
from worldagen.study.document import Document, Plot, Table, to_markdown
from worldagen.study.sections import document
from worldagen.study.summary import Study, load_study, summarise


def write_study(study: Study, folder: Path, *, waiting: Iterable[str] = (), command: str = "") -> Path:
    """Write `study.md`, the pictures it shows and `index.html` into `folder`; returns the HTML page's path.

    `waiting` are settings without results; `command` is what made the study.
    """
    made = document(study, draw(study), waiting, command)
    for plot in made.plots:
        (folder / f"{plot.name}.png").write_bytes(plot.picture.light)
    write_text(folder / "study.md", to_markdown(made))
    write_text(folder / "index.html", to_html(made))
    return folder / "index.html"


def write_folder(folder: Path, names: Sequence[str], command: str = "") -> Path | None:
    """The study of those settings `names` that have results in `folder`, written there; None if none has any."""
    results = load_study(folder, names)
    waiting = [name for name in names if name not in results]
    return write_study(summarise(folder.name, results), folder, waiting=waiting, command=command) if results else None


def draw(study: Study) -> dict[str, Picture]:
    """All figures for which there is something to show, by name."""
    plots = {"error": picture(partial(figures.error, study))}
    if study.confirmed:
        plots["confirmations"] = picture(partial(figures.confirmations, study))
    if study.compared:
        plots["success"] = picture(partial(figures.success, study))
        plots["tradeoff"] = picture(partial(tradeoff, study.findings))
    return plots


def to_html(made: Document) -> str:
    """The page, in the look of a sweep's report."""
    environment = templates("worldagen.study")
    environment.tests |= {
        "table": lambda part: isinstance(part, Table),
        "plot": lambda part: isinstance(part, Plot),
    }
    style = (Path(worldagen.report.__file__).parent / "page.css").read_text()
    return environment.get_template("study.html").render(document=made, style=jinja2.utils.markupsafe.Markup(style))
