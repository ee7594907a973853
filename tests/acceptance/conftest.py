import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from run_here import run_here

Medseg = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def medseg() -> Medseg:
    """Run the command in this process."""
    return run_here


@pytest.fixture(scope="session")
def medseg_process() -> Medseg:
    """Run the command as a user would, in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("medseg")), *(str(argument) for argument in arguments)]
        return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False, timeout=280)

    return run


@pytest.fixture(scope="session")
def quick() -> tuple[str, ...]:
    """Options of a prediction that takes as little time as it can, without measuring first which engine is fastest."""
    return ("--overlap", "0", "--mirror", "none", "--engine", "torch", "--set", "segment.precision=float32")


@pytest.fixture(scope="session")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demonstration's folder: a NIfTI, a DICOM series, a truncated NIfTI, a localizer, a text file."""
    pytest.importorskip("nilearn", reason="the sample scans come with nilearn, an extra of medseg: demo")
    from medseg.demo.scans import lay_out

    return lay_out(tmp_path_factory.mktemp("demo") / "scans").folder
