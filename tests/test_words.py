"""One word for one thing: what medseg once said in words of its own is said in the words of the field, everywhere."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Files that speak of old words because they read what was written with them.
READERS_OF_OLD_FILES = {"medseg/models/card_format1.py", "medseg/io/instances.py"}
# Addresses, and names and keys that are other people's.
FOREIGN = re.compile(r"https?://\S+|\"licence\"|MILLILITER|\"Milliliter\"|platform\.processor")
# What is no longer said: what is said instead.
RETIRED = {
    r"\bleft[_ -]out\b": "skipped",
    r"\bdoubt\w*|\bundecided\b": "uncertainty, uncertain",
    r"\bgraver\b|\bto be looked at\b": "review priority, more severe",
    r"\b(largest_share|at_edge|member_dice|border_entropy|millilit(re|er)s?|volume_mm3)\b": "the keys of status.json",
    r"\b(go|goes|gone|going|went) on (with|from)\b|\b(goes|gone) on\b": "resumes, resumed",
    r"\bby[ -]hand\b": "manually, --manual",
    r"\bmend(s|ed|ing)?\b|\bspoil(t|ed|s)\b": "fix, corrupted",
    r"\btold apart\b|\bparted\b|\bworst of them\b|\bunlike_": "distinguished, split, worst cases, out of distribution",
    r"\bpictures?\b": "2D image, preview, figure",
    r"\bprocessors?\b": "CPU",
    r"\b(rungs?|climb(s|ed|ing)?|ladders?)\b": "architecture, compare",
    r"\brooms?\b|\bhouse\b": "package",
    r"\bfirst[ _-]pass(es)?\b": "low-resolution stage",
    r"\bpatient-in-two-parts\b|\borphans?\b|\bodd-size\b": "patient-leakage, unreferenced-file, unusual-size",
    r"\baccept[-_]pixels\b": "allow-burned-in",
    r"--(where|calling|listen)\b": "--query, --aet, --move-port",
    r"--(by|resamples|scores)\b(?!-)": "--group-by, --n-bootstrap, --probabilities",
    r"\w*(optimis|normalis|initialis|summaris|randomis|standardis|quantis|recognis|serialis|visualis|organis|utilis"
    r"|minimis|maximis|localis|colour|neighbour|behaviour|favour|honour|tumour|oedema|licence|catalogue|labelled"
    r"|labelling|modelling|paediatric|analys(e|ed|es|ing)\b|centre|centring|metres?\b|grey)\w*": "American spelling",
}
# Names that are no nouns of the field.
NO_NAMES = {"said", "told", "tells", "seen", "some", "there", "wish", "slopes", "hot", "Way", "Say", "of"}


@cache
def lines() -> tuple[tuple[str, str], ...]:
    """Every line of code, templates, documentation and configurations, with its place."""
    found = []
    places = (
        ("medseg", (".py", ".html")),
        ("docs", (".md", ".py")),
        ("configs", (".yaml",)),
        ("examples", (".md", ".py")),
    )
    for folder, endings in (*places, ("README.md", (".md",)), ("CONTRIBUTING.md", (".md",)), ("SECURITY.md", (".md",))):
        for path in sorted({ROOT / folder, *(ROOT / folder).rglob("*")}):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in endings and name not in READERS_OF_OLD_FILES:
                text = FOREIGN.sub("", path.read_text(encoding="utf-8"))
                found += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), start=1)]
    return tuple(found)


@pytest.mark.parametrize("pattern", RETIRED)
def test_retired_words_are_gone(pattern: str) -> None:
    word = re.compile(pattern, re.IGNORECASE)
    places = [f"{place}: {match[0]}" for place, line in lines() if (match := word.search(line))]
    assert not places, f"say '{RETIRED[pattern]}':\n" + "\n".join(places[:40])


def nodes() -> Iterator[tuple[str, ast.AST]]:
    for path in sorted((ROOT / "medseg").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def test_names_are_nouns_and_nan_is_asked_for_by_name() -> None:
    wrong = []
    for place, node in nodes():
        name = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)
        if name in NO_NAMES and not isinstance(node, ast.alias):
            wrong.append(f"{place}: {name}")
        if isinstance(node, ast.Compare) and ast.dump(node.left) == ast.dump(node.comparators[0]):
            wrong.append(f"{place}: use isnan")
    assert not wrong, "\n".join(wrong[:40])
