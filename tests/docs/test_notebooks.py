"""The tutorials' notebooks are made from their pages, and run from the first cell to the last."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from page_commands import ROOT

sys.path.insert(0, str(ROOT / "docs" / "making"))

import notebooks


@pytest.mark.parametrize("name", notebooks.NAMES)
def test_the_notebook_is_that_of_its_page(name: str) -> None:
    kept = (ROOT / "docs" / "tutorial" / f"{name}.ipynb").read_text(encoding="utf-8")
    assert kept == notebooks.notebook(name), "run python docs/making/notebooks.py"


def test_every_public_name_has_an_example_that_runs_and_its_part_of_the_reference() -> None:
    import medseg

    page = (ROOT / "docs" / "tutorial" / "python.md").read_text(encoding="utf-8")
    code = "".join("".join(cell["source"]) for cell in notebooks.cells(page) if cell["cell_type"] == "code")
    noted = {"bundle", "review.review"}  # whose blocks say which test runs the like
    names = {*medseg.__all__, *(f"review.{name}" for name in medseg.review.__all__)}
    assert {name for name in names if not re.search(rf"\bmedseg\.{name}\b", code)} == noted
    assert all(f"medseg.{name}(" in page for name in noted)
    reference = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
    assert names - {"__version__", "review"} <= set(re.findall(r"^::: medseg\.(\S+)$", reference, re.MULTILINE))


def test_what_a_page_says_of_a_block_holds_in_the_notebook() -> None:
    page = (
        "# A\n\n<!-- commands need data: x.py -->\n```console\nmedseg a\n```\n\n"
        "<!-- exit code 3 -->\n```console\nmedseg b\n```\n"
        "\n<!-- served at http://127.0.0.1:1/ -->\n```console\nmedseg c\n```\n\n```python\nd\n```\n"
    )
    made = [(cell["cell_type"], "".join(cell["source"])) for cell in notebooks.cells(page)]
    assert [kind for kind, _ in made] == ["markdown", "code", "code", "code", "code"]
    assert "medseg a" in made[0][1]
    assert made[1][1] == "%%bash\nmedseg b || test $? -eq 3"
    assert "Popen(['medseg', 'c'])" in made[2][1]
    assert made[3][1] == "d"
    assert made[4][1] == notebooks.ENDED


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", notebooks.NAMES)
def test_the_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient (pip install 'medseg[docs]')")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.reads(notebooks.notebook(name), as_version=4)
    (tmp_path / "here").mkdir()
    client = nbclient.NotebookClient(book, timeout=1200, resources={"metadata": {"path": str(tmp_path / "here")}})
    client.execute()
