"""The code at the end of a message leads to the documentation's page of errors, on terminals that show links."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path

import pytest

from medseg.cli.app import run
from medseg.cli.error_link import write_code
from medseg.errors import ERRORS_PAGE, page_of
from medseg.harmless import HarmlessStream

ROOT = Path(__file__).parents[2]


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "is_link"),
    [
        (Terminal(), "xterm-256color", True),
        (Terminal(), "dumb", False),
        (Terminal(), None, False),
        (io.StringIO(), "xterm-256color", False),
    ],
)
def test_a_code_is_a_link_on_a_terminal_that_may_show_links(stream, term, is_link, monkeypatch):
    monkeypatch.delenv("TERM", raising=False)
    if term is not None:
        monkeypatch.setenv("TERM", term)
    write_code("E-input", HarmlessStream(stream))
    link = f" \x1b]8;;{page_of('E-input')}\x1b\\[E-input]\x1b]8;;\x1b\\"
    assert stream.getvalue() == (link if is_link else " [E-input]")


def test_what_is_no_terminal_gets_the_code_and_nothing_else(capsys):
    assert run(["nonsense"]) == 2
    assert capsys.readouterr().err.endswith("shows the verbs. [E-usage]\n")


def test_the_help_says_where_codes_are_explained(capsys):
    assert run(["--help"]) == 0
    assert f"A message ends with a code, such as [E-input], which {ERRORS_PAGE} explains." in " ".join(
        capsys.readouterr().out.split()
    )


def test_the_address_is_the_documentation_that_the_project_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    site, _, page = ERRORS_PAGE.partition("/page/")
    assert site == project["urls"]["Documentation"]
    assert (ROOT / "docs" / page).with_suffix(".md").is_file()
