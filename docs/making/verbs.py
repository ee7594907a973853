"""What the page on the command line has: each verb with its usage, arguments and options, read from the verbs.

python docs/making/verbs.py prints the part.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import typer

from medseg.cli.command import app
from medseg.cli.options import LOG


class Markdown:
    """Takes what `--help` writes, as Markdown: a paragraph as one, a list of options as a table."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.title = ""

    @contextmanager
    def section(self, title: str) -> Iterator[None]:
        """Write under a title."""
        self.title = title
        yield

    def indentation(self) -> Any:
        """Write further to the right, which a page does not."""
        return nullcontext()

    def write_paragraph(self) -> None:
        """End a paragraph."""
        self.lines.append("")

    def write_text(self, text: str) -> None:
        """Write a paragraph."""
        self.lines.append(_plain(text))

    def write(self, example: str) -> None:
        """Write the example."""
        self.lines += ["", "```console", example.strip().removeprefix("Example: "), "```"]

    def write_dl(self, rows: list[tuple[str, str]]) -> None:
        """Write options, without those of every verb, which stand once on the page."""
        shown = [(name, meaning) for name, meaning in rows if self.title != LOG or name == "--json"]
        if shown:
            self.lines += ["", f"| {self.title} | meaning |", "|---|---|"]
        self.lines += [f"| {_code(name)} | {_cell(_plain(meaning))} |" for name, meaning in shown]


def _plain(text: str) -> str:
    shown = text.replace("\N{NON-BREAKING HYPHEN}", "-").replace("<", "&lt;")
    return re.sub(r"([*_])", r"\\\1", shown)


def _code(name: str) -> str:
    """A name in a cell of a table, where a backslash before a bar would stand within backticks."""
    return f"<code>{html.escape(name).replace('|', '&#124;')}</code>" if "|" in name else f"`{name}`"


def _cell(text: str) -> str:
    return text.replace("\\|", "|").replace("|", r"\|")


def leaves(command: Any, name: str = "medseg") -> Iterator[tuple[str, Any]]:
    """Every verb that does something, by what is typed before its arguments."""
    for word, child in command.commands.items():
        if hasattr(child, "commands"):
            yield from leaves(child, f"{name} {word}")
        elif not child.hidden:
            yield f"{name} {command.shown_name(word)}", child


def page() -> str:
    """The page's part: a heading for each verb."""
    lines: list[str] = []
    for name, command in leaves(typer.main.get_command(app)):
        with command.make_context(name, [], resilient_parsing=True) as context:
            written = Markdown()
            command.format_help_text(context, written)
            command.format_options(context, written)
            usage = " ".join(command.collect_usage_pieces(context))
        lines += [f"### {name}", "", f"`{name} {usage}`", *written.lines, ""]
    return "\n".join(lines)


if __name__ == "__main__":
    print(page())
