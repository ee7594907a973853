"""Text from files made harmless for whoever shows it: a terminal, a line of a table, a spreadsheet, a page.

File names and headers may hold anything: escape sequences that a terminal obeys, line breaks that make two rows of one,
marks that turn the order of letters round, and formulas that a spreadsheet runs.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

# Control characters (C0 but for tab and line feed, DEL, C1), separators of lines and paragraphs, marks of writing
# direction, invisible ones, and halves of surrogate pairs, which no encoding takes.
CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff\ud800-\udfff"
HARMFUL = re.compile(f"[{CONTROLS}]")
HARMFUL_IN_A_LINE = re.compile(f"[\t\n{CONTROLS}]")
FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20].", re.DOTALL)  # those beyond ASCII are the wide ones
ESCAPE = re.compile(r"\\(?:[ntr]|x[0-9a-f]{2}|u[0-9a-f]{4})")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def printable(text: str) -> str:
    r"""Return text with every harmful character written as what it is, such as ``\x1b``; line breaks and tabs stay.

    >>> printable("\x1b[2Jliver\n")
    '\\x1b[2Jliver\n'
    """
    return HARMFUL.sub(_written, text)


def one_line(text: object) -> str:
    r"""Return text as `printable` does, with line breaks and tabs written as what they are too.

    >>> one_line("a\nb")
    'a\\nb'
    """
    return HARMFUL_IN_A_LINE.sub(_written, str(text))


def tabbed(*cells: object) -> str:
    r"""Return a line of a table for a terminal or another program: cells harmless, tabs between, nothing for None.

    >>> tabbed("a\nb", None, 3)
    'a\\nb\t\t3'
    """
    return "\t".join("" if value is None else one_line(value) for value in cells)


def cell(value: object) -> object:
    """Return a cell of a table: of text one line, with an apostrophe before what a spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    text = one_line(value)
    return f"'{text}" if FORMULA.match(text.lstrip()) and not NUMBER.fullmatch(text) else text


def from_cell(text: str) -> str:
    """Return the text that `cell` put an apostrophe before."""
    return text[1:] if text.startswith("'") and FORMULA.match(text[1:].lstrip()) else text


def name_from_cell(text: str) -> str:
    """Return the name that `cell` made harmless: with its line breaks and other characters as they were."""
    return ESCAPE.sub(lambda match: match[0].encode("ascii").decode("unicode_escape"), from_cell(text))


def json_text(content: object, default: Callable[[Any], object] | None = None) -> str:
    r"""Return the text of a file of JSON: two spaces a level, in UTF-8, every harmful character as JSON escapes it.

    >>> json_text("a\u202eb")
    '"a\\u202eb"\n'
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, default=default)
    # JSON has line breaks between values alone, and a harmful character inside of a string alone.
    return HARMFUL.sub(lambda match: f"\\u{ord(match[0]):04x}", text) + "\n"


class TableWriter:
    """Writes the rows of a table, every cell harmless; otherwise as `csv.writer`."""

    def __init__(self, stream: Any, delimiter: str = ",") -> None:
        self._writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")

    def writerow(self, row: Iterable[object]) -> None:
        """Write one row."""
        self._writer.writerow([cell(value) for value in row])

    def writerows(self, rows: Iterable[Iterable[object]]) -> None:
        """Write several rows."""
        for row in rows:
            self.writerow(row)


class HarmlessStream:
    """A text stream through which nothing harmful passes; `trusted` is for what draws with escape sequences itself.

    It is no stream of `io`, because those close what they wrap when they are thrown away.
    """

    def __init__(self, stream: TextIO) -> None:
        self.trusted = stream

    def write(self, text: str) -> int:
        """Write text, harmless."""
        self.trusted.write(printable(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts, harmless."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.trusted, name)


def trusted(stream: Any) -> Any:
    """Return the stream itself, for what writes escape sequences of its own around text that is harmless already."""
    return stream.trusted if isinstance(stream, HarmlessStream) else stream


@contextmanager
def harmless_output() -> Iterator[None]:
    """Let nothing harmful reach standard output and standard error while inside."""
    import sys

    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = HarmlessStream(sys.stdout), HarmlessStream(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _written(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode("ascii")
