"""The commands of the pages that begin with a copy of the repository, each block in a fresh one."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from page_commands import ROOT, Command, page_block
from test_commands_run import serve

pytestmark = [pytest.mark.peers, pytest.mark.timeout(3600)]
CLONE = "git clone ADDRESS_OF_THIS_REPOSITORY medseg"
# What `make test` and `make test-peers` run here: each takes the one of its mark.
FEW_TESTS = "tests/test_signals.py tests/peers/test_s3.py"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not (ROOT / ".git").exists() or not all(map(shutil.which, ("git", "make"))):
        pytest.skip("needs git, make, and a checkout to copy")
    return tmp_path_factory.mktemp("checkout")


@pytest.fixture
def environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newcomer has, but that `sudo apt` only says what it would do, and of the tests a few are run."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "sudo").write_text('#!/bin/sh\nexec "$@" --simulate\n')
    (folder / "bin" / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTEST_ADDOPTS", FEW_TESTS)
    monkeypatch.setenv("MEDSEG_HOME", str(folder / "home"))
    for name in ("PYTHONPATH", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)


def enter(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Go into a copy; what was installed for the one before is used again, as long as it is the same."""
    monkeypatch.chdir(checkout)
    if (kept := checkout.parent / "installed").exists():
        kept.rename(checkout / ".venv")


@pytest.mark.parametrize(
    "block",
    [
        page_block("CONTRIBUTING.md", "git clone ADDRESS_OF_THIS_REPOSITORY medseg"),
        page_block("README.md", "git clone ADDRESS_OF_THIS_REPOSITORY medseg"),
        page_block("docs/index.md", "git clone ADDRESS_OF_THIS_REPOSITORY medseg"),
        page_block("docs/tutorial/first-scan.md", "git clone ADDRESS_OF_THIS_REPOSITORY medseg"),
        page_block("docs/how-to/install.md", "make setup"),
        page_block("docs/how-to/install.md", "sudo apt install git make python3-venv"),
        page_block("docs/how-to/test-with-other-tools.md", "make test-peers"),
    ],
    ids=lambda block: block[0].page,
)
def test_the_commands_of_a_page_run_in_a_fresh_copy(
    block: list[Command], folder: Path, environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = folder / "medseg"
    monkeypatch.chdir(folder)
    if not any(command.text == CLONE for command in block):
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
        enter(checkout, monkeypatch)
    try:
        for command in block:
            _, *words = command.words
            if command.words[0] == "cd":
                enter(Path.cwd() / words[0], monkeypatch)
            elif words[:1] == ["review"]:
                serve(words, block[0].page, command.words[:1])
            else:
                text = command.with_names({"ADDRESS_OF_THIS_REPOSITORY": ROOT} if command.text == CLONE else {}).text
                done = subprocess.run(["bash", "-c", text], capture_output=True, text=True, check=False)
                assert done.returncode == 0, f"{command.page}:{command.line}: {text}\n{done.stdout}\n{done.stderr}"
        if any(command.words[:2] == ["make", "demo"] for command in block):
            assert list(checkout.glob("demo/*/labels.nii.gz"))
    finally:
        if (checkout / ".venv").exists():
            (checkout / ".venv").rename(folder / "installed")
        monkeypatch.chdir(folder)
        shutil.rmtree(checkout, ignore_errors=True)
