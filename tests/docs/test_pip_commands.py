"""The commands of pip that the pages show: what they name is there. Nothing is installed (`PIP_DRY_RUN`)."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from page_commands import ROOT, Command, page_block

TORCH = "https://download.pytorch.org/whl/"
VERSION = "2.13.0"


def pip(command: Command, **environment: object) -> str:
    """Let pip say what it would do."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment = {**known, "PIP_DRY_RUN": "1", **{name: str(value) for name, value in environment.items()}}
    done = subprocess.run(
        [sys.executable, "-m", *command.words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command.text}: {done.stderr}"
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("block", "build"),
    [
        (
            page_block("docs/how-to/install.md", "pip install torch --index-url https://download.pytorch.org/whl/cpu"),
            "cpu",
        ),
        (
            page_block(
                "docs/how-to/install.md",
                'pip install --force-reinstall "torch>=2.10,<2.14" --index-url https://download.pytorch.org/whl/cuNNN',
            ),
            "cuNNN",
        ),
    ],
)
def test_a_build_of_torch_is_taken_from_its_own_index(block: list[Command], build: str, tmp_path: Path) -> None:
    (command,) = block
    folder = tmp_path / build / "torch"
    folder.mkdir(parents=True)
    about = f"torch-{VERSION}.dist-info"
    with zipfile.ZipFile(folder / f"torch-{VERSION}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {VERSION}\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    (folder / "index.html").write_text(f'<a href="torch-{VERSION}-py3-none-any.whl">torch</a>')
    own = command.with_names({TORCH: f"{tmp_path.as_uri()}/"})
    said = pip(own, PIP_CONFIG_FILE=os.devnull, PIP_FIND_LINKS="", PIP_TARGET=tmp_path / "target")
    assert f"Would install torch-{VERSION}" in said
    assert not (tmp_path / "target").exists()


def test_the_versions_of_torch_are_those_that_medseg_takes() -> None:
    with (ROOT / "pyproject.toml").open("rb") as stream:
        needed = tomllib.load(stream)["project"]["dependencies"]
    page = (ROOT / "docs/how-to/install.md").read_text(encoding="utf-8")
    (torch,) = [one for one in needed if one.startswith("torch>")]
    assert f'"{torch}"' in page


@pytest.mark.peers
@pytest.mark.parametrize(
    "block",
    [
        page_block("docs/how-to/cluster-ray.md", 'pip install "medseg[ray]"'),
        page_block("docs/how-to/radiomics.md", "pip install 'medseg[radiomics]'"),
    ],
)
def test_an_extra_is_one_of_medseg_and_its_packages_are_in_the_index(block: list[Command]) -> None:
    (command,) = block
    said = pip(command)
    assert "Requirement already satisfied: medseg" in said
    assert "does not provide the extra" not in said
