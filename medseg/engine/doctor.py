"""What this machine can do, what is missing, and what to install."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from medseg import resources
from medseg.cpu_features import instruction_sets
from medseg.errors import MedsegError
from medseg.infer.engines.select import choose_engine
from medseg.infer.options import InferOptions
from medseg.models.package import load_package
from medseg.versions import versions

Verdict = Literal["ok", "missing", "wrong"]


@dataclass(frozen=True)
class Finding:
    """One thing checked: missing things limit what can be done; wrong ones stop the main job."""

    what: str
    verdict: Verdict
    detail: str
    fix: str = ""


# Modules that what is named needs, all of them, what it is for, and what installs them.
OPTIONAL = {
    "imagecodecs": ("imagecodecs._jpeg8, imagecodecs._jpegls", "JPEG and JPEG-LS in DICOM", "imagecodecs"),
    "openvino": ("openvino, onnx, onnxscript", "segmentation on a CPU", "openvino onnx onnxscript"),
    "onnxruntime": ("onnxruntime, onnx, onnxscript", "running and checking ONNX models", "'medseg[onnx]'"),
    "nncf": ("nncf, openvino", "running models in 8 bits where that costs no accuracy", "'medseg[int8]'"),
    "h5py": ("h5py", "datasets kept in HDF5 files", "'medseg[hdf5]'"),
    "isal": ("isal.igzip", "reading and writing gzip several times faster", "'medseg[isal]'"),
    "nilearn": ("nilearn.datasets", "the template scan of `medseg demo`", "'medseg[demo]'"),
    "ray": ("ray", "batches and folds on a Ray cluster", "'medseg[ray]'"),
    "pyarrow": ("pyarrow.parquet", "`medseg evaluate --parquet`", "'medseg[parquet]'"),
    "matplotlib": ("matplotlib.figure", "the plots of `medseg bench`", "'medseg[plots]'"),
    "mirp": ("mirp", "radiomics", "'medseg[radiomics]'"),
    "nninteractive-client": ("nnInteractive.inference.remote", "`medseg review --assist`", "'medseg[assist]'"),
    "mlflow ui": ("mlflow.server.fastapi_app", "the MLflow web page, `mlflow ui`", "'medseg[ui]'"),
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
    """The instruction sets that decide how fast a network runs, where the system names them."""
    found = instruction_sets()
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
    """Import each in a process of its own, all at once: what is installed may still lack a part or fail to load."""
    children = {
        name: subprocess.Popen(
            [sys.executable, "-c", f"import {modules}"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for name, (modules, _, _) in OPTIONAL.items()
    }
    findings = []
    for name, (_, purpose, package) in OPTIONAL.items():
        _, errors = children[name].communicate()
        if children[name].returncode == 0:
            findings.append(Finding(name, "ok", purpose))
            continue
        reason = errors.strip().rpartition("\n")[2] or f"importing it ended with {children[name].returncode}"
        findings.append(Finding(name, "missing", f"{purpose} ({reason})", f"pip install {package}"))
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
            chosen = choose_engine(package, InferOptions(device="cpu"))
            how = f"{package.identity}, weights verified; on the CPU by {chosen.engine.name}: {chosen.why}"
            findings.append(Finding(f"model {name}", "ok", how))
        except MedsegError as error:
            findings.append(Finding(f"model {name}", "wrong", error.what, error.fix or ""))
    return findings or [Finding("models", "wrong", "none is shipped", "Install medseg again.")]
