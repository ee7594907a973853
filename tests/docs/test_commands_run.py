"""Every command that a page shows is run, in the page's order, in a folder that has what the page speaks of.

Those whose note names another file (see `page_commands.py`) are run by that one.
"""

from __future__ import annotations

import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, HTTPSHandler, Request, build_opener

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "making"))

import notebooks
from page_archive import ARCHIVES
from page_commands import NOTE, PAGES, ROOT, Command, commands, every_command, shortened
from run_here import run_here
from scenes import SCENES, accepted, in_the_world, world

from medseg.data.presets import PRESETS

SMALL_MACHINE = replace(PRESETS["cpu"], scale_3d=0.002)  # whose patches take a second
OWN = "tests/docs/test_commands_run.py"
# Pages whose commands end with another exit code than 0, and why.
CODES = {
    # one of the demonstration's scans is corrupt
    ("README.md", "medseg predict demo/scans --model hippocampus --out results"): 3,
    # one of four shards has run
    ("docs/how-to/segment-a-folder.md", "medseg report sharded"): 3,
    # one of two patients lacks a channel
    ("docs/how-to/segment-a-folder.md", "medseg predict patients/ -m tumor -o tumors --dry-run"): 3,
}
# Who judges every case in the page, before the commands that follow.
JUDGES = {"docs/tutorial/review.md": "Your Name", "docs/how-to/two-readers.md": "Cem"}
# The notebooks of the tutorials run theirs: see `test_notebooks.py`.
IN_NOTEBOOKS = {f"docs/tutorial/{name}.md" for name in notebooks.NAMES}
BENCHMARKS = "docs/benchmarks/"  # by tests/bench/test_architectures.py
FAST = ("docs/reference/reading.md",)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return world(tmp_path_factory.mktemp("pages") / "world")


def run_of(page: str) -> list[Command]:
    """Commands of a page that this file runs."""
    return [command for command in commands(ROOT / page) if is_run_here(command)]


def is_run_here(command: Command) -> bool:
    """Whether no other file of tests runs it: no other that its note names, nor its page's notebook."""
    if command.note:
        note = NOTE.fullmatch(command.note)
        return note is not None and note["where"] == OWN
    return command.page not in IN_NOTEBOOKS and not command.page.startswith(BENCHMARKS)


HERE = [command for command in every_command() if is_run_here(command)]
RUN = list(dict.fromkeys(command.page for command in HERE))


def test_every_command_without_a_note_is_run_here() -> None:
    assert set(SCENES) <= set(RUN), "a scene of a page without commands"
    others = [command for command in HERE if not command.is_medseg]
    assert not others, "what is no command of medseg needs a note on what it needs and which test runs it"


def is_served(words: list[str]) -> bool:
    """Whether it runs until somebody ends it."""
    verbs = ("status", "export", "import", "verify", "agreement", "check", "retry", "dismiss")
    return words[0] in ("review", "serve") and words[1] not in verbs


def serve(words: list[str], page: str, program: Sequence[str] = (sys.executable, "-m", "medseg")) -> None:
    """Start it, ask for what it serves as a proxy would, and end it as Ctrl-C does."""
    options = ["--no-browser"] if words[0] == "review" else []
    fitting = {"--port": "0", "--sample": "2"}  # any free port; as many cases as there are
    words = [fitting.get(before, word) for before, word in zip(["", *words], words, strict=False)]
    server = subprocess.Popen([*program, *words, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    timer = threading.Timer(120, server.kill)
    timer.start()
    said = ""
    assert server.stdout is not None
    try:
        for line in server.stdout:
            said += line
            if found := re.search(r"https?://\S+", line):
                break
        else:
            raise AssertionError(f"{page}: {' '.join(words)} ended: {said}")
        address = re.sub(r"//[\w.-]+:", "//127.0.0.1:", found[0].rstrip(".,"))
        assert address.startswith("https:" if "--tls-cert" in words else "http:")
        trusted = ssl.create_default_context(cafile="cert.pem") if "--tls-cert" in words else None
        opener = build_opener(HTTPCookieProcessor(), HTTPSHandler(context=trusted))
        named = dict(pairwise(words))
        headers = {"Host": named["--allow-host"]} if "--allow-host" in named else {}
        headers |= {named["--trust-header"]: "Ada"} if "--trust-header" in named else {}
        try:
            assert opener.open(Request(address, headers=headers), timeout=60).status == 200
        except HTTPError as error:
            raise AssertionError(f"{page}: {address}: {error}") from error
        server.send_signal(signal.SIGINT)
        assert server.wait(60) in (0, 75), said + server.stdout.read()
    finally:
        timer.cancel()
        server.kill()
        server.wait()


def follow(page: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a page's commands one after the other."""
    here = tmp_path / "here"
    shutil.copytree(made, here)
    monkeypatch.chdir(here)
    monkeypatch.setenv("MEDSEG_HOME", str(here / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setitem(PRESETS, "cpu", SMALL_MACHINE)
    names = {"~": str(here)} | dict(SCENES.get(page, in_the_world)(here) or {})
    with ExitStack() as stack:
        sent = []
        for address, archive in ARCHIVES.items():
            if any(address in command.words for command in run_of(page)):
                names[address], kept = stack.enter_context(archive(tmp_path / f"archive{len(sent)}"))
                sent.append(kept)
        follow_commands(page, here, names)
    assert all(sent), "an archive of the page was sent nothing"


def follow_commands(page: str, here: Path, names: Mapping[str, str]) -> None:
    """Run them, with what has another name here."""
    for command in run_of(page):
        found = {old: new for old, new in names.items() if old in command.text}
        words = command.with_names(found).words[1:]
        if is_served(words):
            serve(words, f"{page}:{command.line}")
            if page in JUDGES and JUDGES[page] in words:
                accepted(here / words[1], (JUDGES[page],))
            continue
        done = run_here(*shortened(words))
        expected = CODES.get((page, command.text), 0)
        assert done.returncode == expected, f"{page}:{command.line}: {command.text}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", FAST)
def test_the_commands_of_a_short_page_run(
    page: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(page, made, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", [page for page in RUN if page not in FAST])
def test_the_commands_of_a_page_run(page: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    follow(page, made, tmp_path, monkeypatch)


def test_every_page_is_looked_at() -> None:
    assert len(PAGES) > 90
