"""What this machine can do, what is missing, and what to install."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from medseg import resources
from medseg.errors import MedsegError
from medseg.models.package import load_package
from medseg.versions import versions

__all__ = ["Finding", "doctor"]

Verdict = Literal["ok", "missing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Parameters
    ----------
    what : str
        What was looked at.
    verdict : {"ok", "missing", "wrong"}
        Missing things limit what can be done; wrong ones stop the main job.
    detail : str
        What was found.
    fix : str
        What to do, empty where nothing need be done.
    """

    what: str
    verdict: Verdict
    detail: str
    fix: str = ""


OPTIONAL = {
    "openvino": ("faster segmentation on Intel and AMD CPUs", "pip install 'medseg[openvino]'"),
    "onnxruntime": ("running and checking ONNX models", "pip install 'medseg[onnx]'"),
    "nncf": ("running models in 8 bits where that costs nothing", "pip install 'medseg[int8]'"),
    "isal": ("reading and writing gzip several times faster", "pip install 'medseg[isal]'"),
    "nilearn": ("the template scan of `medseg demo`", "pip install 'medseg[demo]'"),
    "ray": ("spreading a batch over machines", "pip install 'medseg[ray]'"),
    "mlflow.server": ("the MLflow web page", "pip install 'medseg[ui]'"),
}
PEERS = {
    "dciodvfy": ("checking DICOM files against the standard", "apt-get install dicom3tools"),
}


def doctor() -> list[Finding]:
    """Look at versions, CPU, memory, GPU, optional packages, tools and shipped models."""
    return [*_machine(), *_gpu(), *_packages(), *_tools(), *_models()]


def as_rows(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the findings as plain mappings."""
    return [asdict(finding) for finding in findings]


def _machine() -> list[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    free = shutil.disk_usage(Path.cwd()).free
    enough = memory.available > 2 * 2**30
    return [
        Finding("Python and packages", "ok", ", ".join(f"{name} {value}" for name, value in versions().items())),
        Finding("CPU", "ok", f"{os.cpu_count()} cores, {platform.machine()}{_instructions()}"),
        Finding(
            "memory",
            "ok" if enough else "wrong",
            f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free",
            "" if enough else "Close other programs: large scans need 2 GiB and more.",
        ),
        Finding("disk here", "ok" if free > 2**30 else "wrong", f"{free / 2**30:.1f} GiB free"),
    ]


def _instructions() -> str:
    """The instruction sets that decide how fast a network runs, where the system tells."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    found = [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if f" {name} " in flags.replace("\n", " ")]
    return f" ({', '.join(found)})" if found else ""


def _gpu() -> list[Finding]:
    try:
        import torch
    except ImportError as error:
        return [Finding("torch", "wrong", str(error), "Run bootstrap.py again.")]
    if not torch.cuda.is_available():
        return [Finding("GPU", "missing", "no CUDA device; segmentation and training use the CPU")]
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return [Finding("GPU", "ok", ", ".join(names))]


def _packages() -> list[Finding]:
    findings = []
    for module, (purpose, fix) in OPTIONAL.items():
        try:
            present = find_spec(module) is not None
        except ModuleNotFoundError:
            present = False
        findings.append(Finding(module, "ok" if present else "missing", purpose, "" if present else fix))
    return findings


def _tools() -> list[Finding]:
    return [
        Finding(tool, "ok" if shutil.which(tool) else "missing", purpose, "" if shutil.which(tool) else fix)
        for tool, (purpose, fix) in PEERS.items()
    ]


def _models() -> list[Finding]:
    findings = []
    for name, folder in resources.models().items():
        try:
            package = load_package(folder)
            package.weights()
            findings.append(Finding(f"model {name}", "ok", f"{package.identity}, weights verified"))
        except MedsegError as error:
            findings.append(Finding(f"model {name}", "wrong", error.what, error.fix or ""))
    return findings or [Finding("models", "wrong", "none is shipped", "Install medseg again.")]
