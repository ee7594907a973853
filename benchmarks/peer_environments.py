"""Installs the tools medseg is measured against, each into an environment of its own under build/peers.

python benchmarks/peer_environments.py surface-distance panoptica pymeshmetrics
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "build" / "peers"

# name -> what to install. surface-distance 0.1 is google-deepmind's package on PyPI; it predates numpy 2.
PEERS: dict[str, list[str]] = {
    "surface-distance": ["surface-distance==0.1", "numpy<2", "scipy<1.15", "psutil"],
    "panoptica": ["panoptica==2.1.7"],
    "pymeshmetrics": ["pymeshmetrics==1.4.1"],
    "dicom-anonymizer": ["dicom-anonymizer==2.1.0"],
    "deid": ["deid==0.4.13"],
    "dicognito": ["dicognito==0.19.0"],
    "nnunet": ["nnunetv2==2.8.1"],
    "totalsegmentator": ["TotalSegmentator==2.18.0", "nnunetv2==2.8.1"],
    "brats-evaluation": ["brats-evaluation==0.0.10", "panoptica==2.1.7"],
    "brats-2023": [
        "pandas==1.5.3",
        "numpy==1.24.3",
        "scipy==1.11.4",
        "nibabel==5.1.0",
        "connected-components-3d==3.12.1",
    ],
}

# name -> what no package index has, laid into the environment's folder: file -> address. The challenge of 2023 and 2024
# published its code as a repository alone.
FILES: dict[str, dict[str, str]] = {
    "brats-2023": {
        "eval.py": "https://raw.githubusercontent.com/rachitsaluja/BraTS-2023-Metrics/"
        "0e272e697a193474ed75cef99cf2de110cc52d37/eval.py"
    }
}


def python_of(name: str) -> Path | None:
    """The interpreter of a peer's environment; None where it is not installed."""
    python = FOLDER / name / "bin" / "python"
    return python if python.is_file() else None


def install(name: str) -> Path:
    """Make a peer's environment, unless it is there."""
    python = FOLDER / name / "bin" / "python"
    if python.is_file():
        return python
    uv = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
    try:
        if uv:
            subprocess.run([uv, "venv", "-q", "-p", sys.executable, FOLDER / name], check=True)
            subprocess.run([uv, "pip", "install", "-q", "-p", python, *PEERS[name]], check=True)
        else:
            subprocess.run([sys.executable, "-m", "venv", FOLDER / name], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PEERS[name]], check=True)
        for file, address in FILES.get(name, {}).items():
            urllib.request.urlretrieve(address, FOLDER / name / file)
    except (subprocess.CalledProcessError, OSError):
        shutil.rmtree(FOLDER / name, ignore_errors=True)  # half an environment would pass for a whole one
        raise
    return python


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PEERS:
        print(install(wanted))
