"""The commands that README and the documentation show, and what each page says of those that no test of its own runs.

A block of commands is run by `test_commands_run.py`, unless an HTML comment before it says what it needs and which test
runs the like::

    <!-- commands need the network: tests/acceptance/test_bundle.py -->
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    page
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("examples/**/*.md"),
    ]
)
NOTE = re.compile(r"<!-- commands need (?P<need>[\w ]+): (?P<where>[\w/.-]+(?:, [\w/.-]+)*) -->")
# What a test on any machine cannot have, or not in the time of a test.
NEEDS = (
    "a certificate",
    "a run in MLflow",
    "the network",
    "a cluster",
    "a container",
    "a GPU",
    "data",
    "an archive",
    "another program",
    "hours",
    "a checkout",
)
PROMPT = "$ "


@dataclass(frozen=True)
class Command:
    """A command as a page shows it: where, its words, and the note above it."""

    page: str
    line: int
    text: str
    note: str | None = None

    @property
    def words(self) -> list[str]:
        """As a shell splits it; without comments."""
        return shlex.split(self.text, comments=True)

    @property
    def is_medseg(self) -> bool:
        """Whether it is one of ours."""
        return bool(self.words) and self.words[0].endswith("medseg")


def blocks(page: Path) -> list[tuple[int, str | None, list[str]]]:
    """Blocks of commands: the line that each starts at, the note before it, and its lines."""
    found: list[tuple[int, str | None, list[str]]] = []
    language, note = None, None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        fence = re.match(r"\s*```(\w*)", line)
        if fence and language is None:
            language = fence[1] or "text"
            if language in ("console", "bash"):
                found.append((number + 1, note, []))
        elif fence:
            language, note = None, None
        elif language in ("console", "bash"):
            found[-1][2].append(line.strip())
        elif language is None and re.match(r" {4}medseg ", line):
            found.append((number, note, [line.strip()]))
        elif line.startswith("<!-- commands"):
            note = line.strip()
        elif line.strip():
            note = None
    return found


def commands(page: Path) -> list[Command]:
    """Every command of a page's blocks, split where a shell would."""
    name = str(page.relative_to(ROOT))
    found = []
    for start, note, lines in blocks(page):
        if any(line.startswith("--8<--") for line in lines):
            continue  # a file of its own
        has_prompts = any(line.startswith(PROMPT) for line in lines)
        whole = ""
        for number, line in enumerate(lines, start):
            if not whole and has_prompts and not line.startswith(PROMPT):
                continue  # what it prints
            whole += line.removeprefix(PROMPT)
            if whole.endswith("\\"):
                whole = whole[:-1]
                continue
            found += [Command(name, number, one, note) for one in _steps(whole)]
            whole = ""
    return found


def _steps(line: str) -> list[str]:
    without = re.sub(r"(^|\s)#.*$", "", line)
    return [step.strip() for step in without.split("&&") if step.strip()]


def mentions(page: Path) -> list[Command]:
    """Commands in running text, whose arguments may be left out."""
    name, language, found = str(page.relative_to(ROOT)), None, []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if re.match(r"\s*```", line):
            language = None if language else "code"
        elif language is None:
            found += [Command(name, number, text) for text in re.findall(r"`(medseg [^`]+)`", line)]
    return found


def every_command() -> list[Command]:
    """Every command of every page, in order."""
    return [command for page in PAGES for command in commands(page)]
