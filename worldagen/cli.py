"""The command line that every pipeline shares: `[--config FILE] [--dry-run] [--help] key=value ...`."""

import argparse
import ast
import dataclasses
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

from worldagen.config import Config, ConfigError, load
from worldagen.errors import WorldagenError


def main(run: Callable[[Config], None], *, doc: str, dry_run: Callable[[Config], str] | None = None) -> None:
    """Parse the command line, build the config, then `run(config)`, or print `dry_run(config)` and start nothing.

    Exit codes: 0 done, 1 failed while running, 2 bad command line or config (nothing was started), 130 interrupted.
    """
    args = _parser(doc, dry_run is not None).parse_intermixed_args()  # settings before, between and after options
    try:
        config = load(args.config, args.overrides)
        if args.dry_run and dry_run is not None:
            print(dry_run(config))
            return
        run(config)
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except WorldagenError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("\ninterrupted; nothing that finished is lost, the same command resumes", file=sys.stderr)
        sys.exit(130)


def _parser(doc: str, has_dry_run: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=doc,
        epilog="settings (name = default):\n" + "\n".join(_describe(Config)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--config", action="append", default=[], metavar="FILE", help="YAML file of settings; may be repeated"
    )
    if has_dry_run:
        parser.add_argument("--dry-run", action="store_true", help="print the plan and start nothing")
    else:
        parser.set_defaults(dry_run=False)
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings, e.g. ttt.learning_rate=[1e-4,1e-3]"
    )
    return parser


def _describe(cls: type, prefix: str = "") -> Iterator[str]:
    """One entry per setting of `cls`, from its field docstrings."""
    docs, allowed = field_docs(cls), {each.name: _allowed(each) for each in dataclasses.fields(cls)}
    for name, value in vars(cls()).items():
        if dataclasses.is_dataclass(value):
            yield ""
            yield from _describe(type(value), f"{prefix}{name}.")
            continue
        yield f"  {prefix}{name} = {_short(value)}{allowed[name]}"
        yield textwrap.fill(docs[name], 100, initial_indent="      ", subsequent_indent="      ")


def _allowed(field: "dataclasses.Field[Any]") -> str:
    """The words that a setting may be, or hold, where they are few."""
    words = field.metadata.get("one_of") or field.metadata.get("each_of") or ()
    return f"   ({' | '.join(map(_short, words))})" if words else ""


def _short(value: Any) -> str:
    return '""' if value == "" else str(value)


def field_docs(cls: type) -> dict[str, str]:
    """The string literal under each annotated field of a dataclass: {field: text}."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0].body  # type: ignore[attr-defined]
    docs: dict[str, str] = {}
    for statement, following in zip(body, [*body[1:], None], strict=True):
        if not isinstance(statement, ast.AnnAssign) or not isinstance(statement.target, ast.Name):
            continue
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
            docs[statement.target.id] = " ".join(str(following.value.value).split())
    return docs
