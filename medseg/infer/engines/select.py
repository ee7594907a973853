"""Chooses what computes a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from medseg.cpu_features import has_bfloat16, instruction_sets
from medseg.errors import MissingDependency, ModelError, UsageError
from medseg.infer.engines.base import Engine
from medseg.infer.engines.measure import fastest
from medseg.infer.engines.onnx_export import ensure_export
from medseg.infer.engines.onnx_files import Export
from medseg.infer.engines.precision import Precision, allowed_precisions, why_precision
from medseg.infer.options import InferOptions
from medseg.io.files.file_hash import file_sha256
from medseg.models.package import ModelPackage
from medseg.types.how_computed import HowComputed

Name = Literal["torch", "openvino", "onnx"]
# Called with what takes long and is done once: writing ONNX, measuring engines.
ProgressCallback = Callable[[str], None]
# Engine -> module it needs.
# In the order in which they are tried.
MODULES: dict[Name, str] = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}
# Bytes of results of one window from which on measuring would take seconds: the lowest precision is taken.
TOO_LARGE_TO_MEASURE = 1 << 29


@dataclass(frozen=True)
class Candidate:
    """An engine and the precision it computes in."""

    engine: Name
    precision: Precision = "float32"

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True, eq=False)
class Chosen:
    """An engine, and why it was chosen."""

    engine: Engine
    device: str
    precision: Precision
    why: str

    @property
    def program(self) -> str:
        """What computes, and its version: the first two words of the engine's name."""
        return " ".join(self.engine.name.split()[:2])

    def how(self) -> HowComputed:
        """As results record it."""
        if self.device != "cpu":
            return HowComputed(self.program, self.device, self.precision, self.why)
        fastest, threads = "".join(instruction_sets()[-1:]), getattr(self.engine, "threads", 0)
        return HowComputed(self.program, self.device, self.precision, self.why, fastest, threads)


def select_engine(package: ModelPackage, options: InferOptions, progress: ProgressCallback | None = None) -> Engine:
    """Make the engine the options ask for; see `choose_engine`."""
    return choose_engine(package, options, progress).engine


def choose_engine(package: ModelPackage, options: InferOptions, progress: ProgressCallback | None = None) -> Chosen:
    """Make the engine the options ask for, with the package's network in it.

    ``auto`` takes PyTorch on a GPU. On the CPU it takes OpenVINO, else ONNX Runtime, else PyTorch: their order of speed
    on every kind of CPU it was measured on (docs/decisions/0026). Of the precisions that the card allows and this CPU
    computes in hardware, it takes what was fastest when the package was first used here; see
    `medseg.infer.engines.measure`. Where an engine needs the network as ONNX, it is exported at first use.
    """
    check_available(package, options)
    precisions = allowed_precisions(package.card, options.precision)
    if runs_on_gpu(options) and package.card.network.name != "onnx":
        chosen = _choose_on_gpu(package, options, precisions)
        if chosen.device != "cpu":  # as where there is a driver, and a PyTorch for the CPU only
            return chosen
    return _choose_on_cpu(package, options, precisions, progress)


def runs_on_gpu(options: InferOptions) -> bool:
    """Whether the options ask for a GPU, or leave it open where there is one."""
    return options.device.startswith("cuda") or (
        options.device == "auto" and options.engine in ("auto", "torch") and _has_gpu()
    )


def check_available(package: ModelPackage, options: InferOptions) -> None:
    """Check that this machine has the device and the engine asked for, before any work; raises `UsageError`."""
    if package.card.network.name == "onnx" and (options.engine == "torch" or options.device.startswith("cuda")):
        raise UsageError(
            f"'{package.card.name}' came as ONNX, which runs on the CPU, by OpenVINO or ONNX Runtime",
            fix="Omit --engine and --device.",
        )
    if options.device.startswith("cuda") and options.engine not in ("auto", "torch"):
        raise UsageError(f"--engine {options.engine} runs on the CPU here", fix="Use --engine torch for a GPU.")
    if options.engine != "auto" and not find_spec(MODULES[options.engine]):
        raise UsageError(
            f"--engine {options.engine}: {MODULES[options.engine]} is not installed",
            fix=f"Run pip install {MODULES[options.engine]}, or use --engine torch.",
        )
    if options.device.startswith("cuda"):
        from medseg.infer.engines.torch import resolve_device

        resolve_device(options.device)


def _choose_on_gpu(package: ModelPackage, options: InferOptions, precisions: Sequence[Precision]) -> Chosen:
    candidates = [Candidate("torch", precision) for precision in precisions if precision != "int8"]
    lowest = _lowest(candidates, options)
    engine = make_engine(lowest, package, options, None)
    device = str(getattr(engine, "device", options.device))
    return Chosen(engine, device, lowest.precision, _why([lowest], lowest, package, options, on_gpu=True))


def _choose_on_cpu(
    package: ModelPackage,
    options: InferOptions,
    precisions: Sequence[Precision],
    progress: ProgressCallback | None,
) -> Chosen:
    exported = ensure_export(package, progress=progress) if options.engine != "torch" else None
    if exported is None and options.engine not in ("auto", "torch"):
        raise ModelError(
            f"--engine {options.engine} needs the network as ONNX, and '{package.card.name}' is not and cannot be "
            "exported here",
            fix=f"Run medseg models export {package.card.name} --format onnx, which gives the reason.",
        )
    names = [name for name in MODULES if options.engine in ("auto", name)]
    if package.card.network.name == "onnx":
        names = [name for name in names if name != "torch"]
        if not any(find_spec(MODULES[name]) for name in names):
            raise MissingDependency(
                f"'{package.card.name}' came as ONNX, and neither OpenVINO nor ONNX Runtime is installed to run it",
                fix="Install it with pip install openvino, or medseg[onnx].",
            )
    runs = [found for name in names if (found := _candidates(name, precisions, exported))]
    candidates = runs[0] if runs else []
    lowest = _lowest(candidates, options)  # an error where there is none
    if exported is not None and exported.activations > TOO_LARGE_TO_MEASURE:
        candidates = [lowest]
    made: dict[str, Engine] = {}

    def make(name: str, candidate: Candidate) -> Engine:
        made[name] = make_engine(candidate, package, options, exported)
        return made[name]

    # The lowest precision first: time for measuring is short, and it is the fastest as a rule.
    named = {_name(candidate, options): candidate for candidate in reversed(candidates)}
    makers: dict[str, Callable[[], Engine]] = {name: partial(make, name, one) for name, one in named.items()}
    quickest = fastest(package, makers, patient=options.compiled, progress=progress)
    chosen = next(named[name] for name, one in made.items() if one is quickest.engine)
    precision = getattr(quickest.engine, "precision", chosen.precision)
    measured = [one for name, one in named.items() if name in quickest.measured]
    return Chosen(quickest.engine, "cpu", precision, _why(candidates, chosen, package, options, measured))


def _why(
    candidates: Sequence[Candidate],
    candidate: Candidate,
    package: ModelPackage,
    options: InferOptions,
    measured: Sequence[Candidate] = (),
    *,
    on_gpu: bool = False,
) -> str:
    """Why this candidate, without anything that changes from run to run once it was measured."""
    if len(candidates) > 1:
        names = [_name(one, options) for one in candidates if one in measured]
        left = [_name(one, options) for one in candidates if one not in measured]
        one_alone = "the only one measured on this machine"
        why = f"the fastest measured on this machine of {', '.join(names)}" if len(names) > 1 else one_alone
        why += f"; {' and '.join(left)} {'was' if len(left) == 1 else 'were'} not measured" if left else ""
    elif options.engine == "auto":
        why = f"the fastest engine for a {'GPU' if on_gpu else 'CPU'} that is installed and runs this network"
    else:
        why = f"{options.engine} was requested"
    return f"{why}; {why_precision(package.card, candidate.precision, options.precision)}"


def _name(candidate: Candidate, options: InferOptions) -> str:
    return f"{candidate} compiled" if options.compiled and candidate.engine == "torch" else str(candidate)


def _candidates(name: Name, precisions: Sequence[Precision], exported: Export | None) -> list[Candidate]:
    """The precisions in which an engine can run the network here, in hardware, the lowest last."""
    if not find_spec(MODULES[name]) or (exported is None and name != "torch"):
        return []
    if not has_bfloat16():
        precisions = [precision for precision in precisions if precision != "bfloat16"]
    if name == "onnx":
        return [Candidate(name) for precision in precisions if precision == "float32"]
    if name == "torch":
        return [Candidate(name, precision) for precision in precisions if precision != "int8"]
    return [Candidate(name, precision) for precision in precisions]


def _lowest(candidates: Sequence[Candidate], options: InferOptions) -> Candidate:
    """Return the candidate of the lowest precision, which on a GPU is the fastest."""
    if not candidates:
        where = "here" if options.engine == "auto" else f"here by --engine {options.engine}"
        software = "; this CPU computes it in software only, up to 300 times slower" * (
            options.precision == "bfloat16" and not has_bfloat16()
        )
        raise UsageError(
            f"{options.precision} cannot be computed {where}{software}", fix="Omit the precision or the engine."
        )
    return candidates[-1]


def make_engine(candidate: Candidate, package: ModelPackage, options: InferOptions, exported: Export | None) -> Engine:
    """Make one engine, whatever the card allows."""
    card = package.card
    if candidate.engine == "torch":
        from medseg.infer.engines.torch import TorchEngine

        assert candidate.precision != "int8"
        return TorchEngine(package, options.device, candidate.precision, compiled=options.compiled)
    assert exported is not None
    if candidate.engine == "openvino":
        from medseg.infer.engines.openvino import OpenVinoEngine

        path = _quantized(package) if candidate.precision == "int8" else exported.checked()
        multiple = None if candidate.precision == "int8" else exported.multiple
        return OpenVinoEngine(path, card, exported.activations, candidate.precision, multiple=multiple)
    from medseg.infer.engines.onnx import OnnxEngine

    return OnnxEngine(exported.checked(), card, exported.activations)


def _quantized(package: ModelPackage) -> Path:
    """Path of the network in 8 bits, its files checked against the card."""
    files = package.card.precisions["int8"].files
    for name, digest in files.items():
        path = package.folder / name
        if not path.is_file() or file_sha256(path) != digest:
            raise ModelError(
                "the network in int8 is missing or not the one the card describes",
                where=path,
                fix="Run medseg models optimize again.",
            )
    return package.folder / next(name for name in files if name.endswith(".xml"))


def _has_gpu() -> bool:
    """Whether there is an NVIDIA driver, found without importing PyTorch, which takes seconds."""
    return any(Path(name).exists() for name in ("/dev/nvidiactl", "/dev/dxg", r"C:\Windows\System32\nvcuda.dll"))
