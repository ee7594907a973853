"""One word for one thing: what medseg once said in words of its own is said in the words of the field, everywhere."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Files that speak of old words because they read what was written with them.
READERS_OF_OLD_FILES = {"medseg/models/card_format1.py", "medseg/io/instances.py"}
# Addresses, and names and keys that are other people's.
FOREIGN = re.compile(
    r"https?://\S+|\"licence\"|MILLILITER|\"Milliliter\"|aria-labelledby|Brain Imaging\s+Centre|platform\.processor"
)
# What is no longer said: what is said instead.
RETIRED = {
    r"\b(left|leaves?|leaving)[_ -](?-i:out)\b": "skipped, omitted",
    r"(?<![a-z])doubt\w*|\bundecided\b|\bremark(s|ed)?\b": "uncertainty, uncertain, warning",
    r"\bgraver\b|\bask(s|ed)? most\b|\bto be looked at\b": "review priority, more severe",
    r"\b(largest_share|at_edge|member_dice|border_entropy|millilit(re|er)s?|NAME_ml|volume_mm3)\b": "today's keys",
    r"\b(go|goes|gone|going|went) on (with|from)\b|\b(goes|gone) on\b": "resumes, resumed",
    r"\bby[ -]hand\b": "manually, --manual",
    r"\bmend(s|ed|ing)?\b|\bspoil(t|ed|s)\b": "fix, corrupted",
    r"\b(told|tell|tells|telling)( \w+){0,2} apart\b|\bparted\b|\bunlike_": "distinguished, split, out of distribution",
    r"\bworst of them\b|\bmade with\b(?! them)": "worst cases, software",
    r"\b(is|are|was|looks?) unlike\b": "out of distribution, differs from",
    r"\bverdict\W{1,4}(good|refused|broken)\b|\b(good|refused|broken) (volume|scan)s?\b": "valid, rejected, corrupt",
    r"\bpictures?\b": "2D image, preview, figure",
    r"\bprocessors?\b|\bnumber formats?\b": "CPU, dtype, precision",
    r"\b(rungs?|climb(s|ed|ing)?|ladders?)\b": "architecture, compare",
    r"\brooms?\b|\bhouse\b": "package",
    r"\bfirst[ _-](pass(es)?|stages?)\b": "low-resolution stage",
    r"\bwindows? (is |are |was |were )?repeated\b|\brepeated windows?\b": "windows reused",
    r"\b(the|a|its|each|largest|smallest|equal) shares?\b|\w_share\b|\bshares? (of|=)": "fraction, probability",
    r"\bpatient-in-two-parts\b|\borphans?\b|\bodd-size\b": "patient-leakage, unreferenced-file, unusual-size",
    r"\baccept[-_]pixels\b": "allow-burned-in",
    r"--(where|calling|listen)\b": "--query, --aet, --move-port",
    r"--(by|resamples|scores)\b(?!-)": "--group-by, --n-bootstrap, --probabilities",
    r"(optimis|normalis|initialis|summaris|randomis|standardis|quantis|recognis|serialis|visualis|organis|utilis"
    r"|minimis|maximis|localis|colour|neighbour|behaviour|favour|honour|tumour|oedema|licence|catalogue|labelled"
    r"|labelling|modelling|paediatric|analys(e|ed|es|ing)\b|centre|centring|metres?\b|grey|digitis)\w*": "American",
}
# The same in the documentation, where no name of the code is meant.
RETIRED_IN_DOCS = {
    r"\bpieces?\b": "connected components",
    r"(?<!ensemble )\bmembers?\b": "regions, ensemble members",
}
# Packages of networks, whose outputs before softmax may be called scores.
NETWORKS = ("medseg/models/", "medseg/training/", "medseg/infer/", "examples/plugin_network/")
# Scores that are no probabilities: an object's confidence (COCO), a challenge's result, an older file's name.
SCORES = re.compile(r"(?<![a-z])scores?(?![a-z])", re.IGNORECASE)
OTHER_SCORES = re.compile(
    r"scores\.nii\.gz|competition score|COCO's score|z-score|`score`|[\"']score[\"']|\bscore(?=[:=(])|, score\b"
    r"|\.score\b"
)
# A word or two of each line of words.md that may not come back: every one is found by a pattern above.
SAMPLES = (
    "a scan that is unlike them|verdict: refused|a broken volume|"
    "3 files left out|the class is undecided|a doubt|a remark on it|ask most to be looked at|the graver the earlier"
    "|largest_share|at_edge|member_dice|border_entropy|millilitres|liver NAME_ml|volume_mm3|goes on|gone on with"
    "|going on from|drawn by hand|--by-hand|mend it|a spoilt file|told apart|tell them apart|parted|the worst of them"
    "|files made with it|unlike_scan|2D pictures|the processor|a number format|a rung|climb|ladder|rooms|the house"
    "|--where|--calling|--listen|--by site|--resamples|--scores|the first pass|the first stage|windows are repeated"
    "|patient-in-two-parts|orphan|odd-size|accept-pixels|the share of a class|normalise|a tumour|digitised"
)
# Names that are no nouns of the field.
NO_NAMES = {"said", "told", "tells", "seen", "some", "there", "wish", "slopes", "hot", "Way", "Say", "of"}


@cache
def texts() -> tuple[tuple[str, str], ...]:
    """Every file of code, pages, documentation and configurations: its name, and its text."""
    places = (
        ("medseg", (".py", ".html", ".js", ".css", ".yaml")),
        ("pipelines", (".yaml",)),
        ("benchmarks", (".py",)),
        ("docs", (".md", ".py")),
        ("configs", (".yaml",)),
        ("examples", (".md", ".py")),
    )
    found_texts = []
    for folder, endings in (*places, ("README.md", (".md",)), ("CONTRIBUTING.md", (".md",)), ("SECURITY.md", (".md",))):
        for path in sorted({ROOT / folder, *(ROOT / folder).rglob("*")}):
            name = path.relative_to(ROOT).as_posix()
            if path.suffix in endings and name not in READERS_OF_OLD_FILES:
                found_texts.append((name, FOREIGN.sub("", path.read_text(encoding="utf-8"))))
    return tuple(found_texts)


@cache
def running_texts() -> tuple[tuple[str, str, list[int]], ...]:
    """Each file's text without line breaks, where a phrase may run on into the next line; and where lines begin."""
    rows_of = ((name, [row.strip(" #") for row in text.splitlines()]) for name, text in texts())
    return tuple(
        (name, " ".join(rows), list(accumulate((len(row) + 1 for row in rows), initial=0))) for name, rows in rows_of
    )


def found(pattern: str, within: tuple[str, ...] = ()) -> list[str]:
    """Places of a pattern."""
    word = re.compile(pattern, re.IGNORECASE)
    return [
        f"{name}:{bisect_right(starts, match.start())}: {match[0]}"
        for name, text, starts in running_texts()
        if name.startswith(within or "")
        for match in word.finditer(text)
    ]


@pytest.mark.parametrize("pattern", RETIRED)
def test_retired_words_are_gone(pattern: str) -> None:
    places = found(pattern)
    assert not places, f"say '{RETIRED[pattern]}':\n" + "\n".join(places[:40])


@pytest.mark.parametrize("pattern", RETIRED_IN_DOCS)
def test_retired_words_are_gone_from_the_documentation(pattern: str) -> None:
    places = found(pattern, within=("docs/", "README.md", "CONTRIBUTING.md", "SECURITY.md"))
    assert not places, f"say '{RETIRED_IN_DOCS[pattern]}':\n" + "\n".join(places[:40])


def test_probabilities_are_not_called_scores() -> None:
    places = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts()
        if not name.startswith((*NETWORKS, "benchmarks/"))
        for number, line in enumerate(text.splitlines(), start=1)
        if "score" in line.lower() and SCORES.search(OTHER_SCORES.sub("", line))
    ]
    assert not places, "say 'probabilities':\n" + "\n".join(places[:40])


def test_messages_of_networks_speak_of_outputs() -> None:
    wrong = []
    for path, tree in trees():
        nodes = list(ast.walk(tree))
        docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
        wrong += [
            f"{path}:{node.lineno}: {node.value}"
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
            if " " in node.value and SCORES.search(node.value)
        ]
    assert not wrong, "say 'outputs', 'logits' or 'probabilities':\n" + "\n".join(wrong[:40])


@pytest.mark.parametrize("sample", SAMPLES.split("|"))
def test_each_retired_word_would_be_found(sample: str) -> None:
    assert any(re.search(pattern, sample, re.IGNORECASE) for pattern in RETIRED)


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((ROOT / "medseg").rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def test_names_of_the_pages_are_nouns() -> None:
    declared = re.compile(rf"\b(?:const|let|var|function) (?:{'|'.join(sorted(NO_NAMES))})\b")
    places = [
        f"{name}: {match[0]}" for name, text in texts() if name.endswith(".js") for match in declared.finditer(text)
    ]
    assert not places, "\n".join(places)


def test_names_are_nouns_and_nan_is_asked_for_by_name() -> None:
    wrong = []
    for path, tree in trees():
        for node in ast.walk(tree):
            name = getattr(node, "id", None) or getattr(node, "arg", None) or getattr(node, "name", None)
            if name in NO_NAMES and not isinstance(node, ast.alias):
                wrong.append(f"{path}:{getattr(node, 'lineno', 0)}: {name}")
            if isinstance(node, ast.Compare) and ast.dump(node.left) == ast.dump(node.comparators[0]):
                wrong.append(f"{path}:{node.lineno}: use isnan")
    assert not wrong, "\n".join(wrong[:40])
