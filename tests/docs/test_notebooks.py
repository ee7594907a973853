"""The tutorials' notebooks are made from their pages, and run from the first cell to the last."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest
from page_commands import ROOT, commands, shortened
from run_here import run_here

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
    noted = {"bundle", "review.review"}  # whose blocks say which test runs it
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


OUTPUTS = re.compile(r"(?:--out|--dataset) (\S+)|Path\(\"([\w/-]+)\"\)\.mkdir|\"([\w-]+-python|runs/[\w-]+)\"")


def test_whoever_follows_several_pages_in_one_folder_is_not_refused() -> None:
    """But for `demo`, which makes the same once more, no page writes where another does."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorial").glob("*.md"))]
    written: dict[str, set[str]] = {}
    for page in pages:
        for found in OUTPUTS.finditer(page.read_text(encoding="utf-8")):
            written.setdefault(next(filter(None, found.groups())), set()).add(page.name)
    assert len(written) > 15
    assert {name: by for name, by in written.items() if len(by) > 1}.keys() == {"demo"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one folder of somebody who follows all tutorials, and README before."""
    folder = tmp_path_factory.mktemp("tutorials")
    (folder / "here").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder / "here")
        patch.setenv("MEDSEG_HOME", str(folder / "home"))
        for words in (
            ["demo", "--out", "demo"],
            *(one.words[1:] for one in commands(ROOT / "README.md") if one.is_medseg and one.words[1] != "review"),
        ):
            done = run_here(*shortened(words))
            assert done.returncode in (0, 3), f"{words}: {done.stderr}"  # one of the demonstration's scans is corrupt
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", notebooks.NAMES)
def test_the_notebook_runs(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient (pip install 'medseg[docs]')")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("MEDSEG_HOME", str(folder / "home"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("IPYTHONDIR", str(folder / "ipython"))
    book = nbformat.reads(notebooks.notebook(name), as_version=4)
    client = nbclient.NotebookClient(book, timeout=1200, resources={"metadata": {"path": str(folder / "here")}})
    client.execute()
