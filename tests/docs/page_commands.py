"""The commands that README and the documentation show, and what each page says of those that need something else.

A block of commands is run by `test_commands_run.py`, unless an HTML comment before it says what it needs and which file
of tests runs it::

    <!-- commands need a package index: tests/engine/test_bundle.py -->

That file takes the block from the page by `page_block`, with the page's name and the block's first command as literals,
and runs every command of it with the names of folders, addresses and programs of the test in place of the page's.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
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
    "a package index",
    "a cluster",
    "a container",
    "an object store",
    "data",
    "an archive",
    "another program",
    "a checkout",
)
# A training is shortened: what is tested is that the command is right, not what it learns.
SHORT = ("--set", "iterations_per_epoch=1", "--set", "epochs=1", "--device", "cpu")
PROMPT = "$ "


@dataclass(frozen=True)
class Command:
    """A command as a page shows it: where, its words, and the note above it."""

    page: str
    line: int
    text: str
    note: str | None = None
    block: int = 0  # the line that its block begins at

    def with_names(self, names: Mapping[str, object]) -> Command:
        """With other names of folders, addresses and programs, each of which it must have."""
        text = self.text
        for old, new in names.items():
            assert old in text, f"{self.page}:{self.line}: {text} has no {old}"
            text = text.replace(old, str(new))
        return replace(self, text=text)

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


def shortened(words: list[str]) -> list[str]:
    """The words of a verb; where it trains, with one step and without a time that a slow machine makes no step in."""
    if words[0] != "train":
        return words
    if "--time-budget" in words:
        at = words.index("--time-budget")
        words = [*words[:at], *words[at + 2 :]]
    return [*words, *SHORT]


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
            found += [Command(name, number, one, note, start) for one in _steps(whole)]
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


def page_block(page: str, first: str) -> list[Command]:
    """The block of a page that begins with this command, for a test that runs all of it."""
    every = commands(ROOT / page)
    starts = [command.block for command in every if command.text == first]
    found = [command for command in every if command.block in starts]
    assert found, f"{page} has no command {first}"
    assert found[0].text == first, f"{page}:{found[0].line}: {first} does not begin its block"
    return found


def taken_blocks(file: Path) -> set[tuple[str, str]]:
    """Pages and first commands that a file of tests takes from the pages, as it names them one after the other."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    if not any(isinstance(node, ast.Name) and node.id == "page_block" for node in ast.walk(tree)):
        return set()
    found = set()
    for node in ast.walk(tree):
        of = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, ast.Tuple) else []
        texts = [one.value if isinstance(one, ast.Constant) else None for one in of]
        found |= {(a, b) for a, b in pairwise(texts) if isinstance(a, str) and isinstance(b, str)}
    return found
