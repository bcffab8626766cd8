"""A document of headings, text, tables and pictures that is written both as Markdown and as HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worldagen.report.figures import Picture


@dataclass(frozen=True)
class Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """What is to be known to read it."""

    @staticmethod
    def of(rows: Sequence[Mapping[str, str]], note: str = "") -> "Table":
        """Of at least one row, each by the names of its columns, which are the same in all."""
        header = tuple(rows[0])
        return Table(header, tuple(tuple(row[name] for name in header) for row in rows), note)


@dataclass(frozen=True)
class Plot:
    name: str
    """The file's, without its ending."""
    picture: Picture
    caption: str


@dataclass(frozen=True)
class Section:
    title: str
    parts: tuple["str | Table | Plot", ...]
    """A text is a paragraph."""


@dataclass(frozen=True)
class Document:
    title: str
    findings: tuple[str, ...]
    """One sentence each, most important first."""
    sections: tuple[Section, ...]
    origin: str
    """How it was made."""

    @property
    def plots(self) -> list[Plot]:
        return [part for section in self.sections for part in section.parts if isinstance(part, Plot)]


def to_markdown(document: Document, pictures: str = "") -> str:
    """GitHub's Markdown; pictures lie in the folder `pictures` (with its slash) as `<name>.png`."""
    blocks = [f"# {document.title}", "\n".join(f"- {sentence}" for sentence in document.findings)]
    for section in document.sections:
        blocks.append(f"## {section.title}")
        blocks += [_block(part, pictures) for part in section.parts]
    return "\n\n".join([*blocks, document.origin]) + "\n"


def _block(part: "str | Table | Plot", pictures: str) -> str:
    if isinstance(part, Plot):
        return f"![{part.caption}]({pictures}{part.name}.png)\n\n{part.caption}"
    if isinstance(part, Table):
        rows = [part.header, ("---",) * len(part.header), *part.rows]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
        return "\n".join(lines) + (f"\n\n{part.note}" if part.note else "")
    return part
