"""Chooses what computes a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from medseg.errors import MissingDependency, ModelError, UsageError
from medseg.infer.engines.base import Engine
from medseg.infer.engines.measure import fastest
from medseg.infer.engines.onnx_export import Export, ensure_export
from medseg.infer.engines.precision import Precision, allowed_precisions, why_precision
from medseg.infer.options import InferOptions
from medseg.models.package import ModelPackage, file_sha256

__all__ = ["Chosen", "Say", "Way", "choose_engine", "make_engine", "select_engine"]

Name = Literal["torch", "openvino", "onnx"]
# Is told of what takes long and is done once.
Say = Callable[[str], None]
# Engine -> module it needs.
MODULES: dict[Name, str] = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}


@dataclass(frozen=True)
class Way:
    """An engine and the precision it computes in."""

    engine: Name
    precision: Precision = "float32"

    def __str__(self) -> str:
        return f"{self.engine} {self.precision}"


@dataclass(frozen=True, eq=False)
class Chosen:
    """An engine, and why it was chosen.

    Parameters
    ----------
    engine : Engine
        Ready to run.
    device : str
        ``cpu`` or ``cuda:N``.
    precision : str
        It computes in.
    why : str
        In words.
    """

    engine: Engine
    device: str
    precision: Precision
    why: str

    @property
    def program(self) -> str:
        """What computes, and its version: the first two words of the engine's name."""
        return " ".join(self.engine.name.split()[:2])


def select_engine(package: ModelPackage, options: InferOptions, say: Say | None = None) -> Engine:
    """Make the engine the options ask for; see `choose_engine`."""
    return choose_engine(package, options, say).engine


def choose_engine(package: ModelPackage, options: InferOptions, say: Say | None = None) -> Chosen:
    """Make the engine the options ask for, with the package's network in it.

    ``auto`` takes PyTorch on a GPU. On the CPU, of the engines that are installed and can run the package, and of the
    precisions its card allows, it takes what was fastest on this machine when the package was first used here; see
    `medseg.infer.engines.measure`. Where an engine needs the network as ONNX, it is exported at first use.

    Parameters
    ----------
    package : ModelPackage
        The model.
    options : InferOptions
        What is asked for.
    say : callable, optional
        Is told of what takes long and is done once: writing ONNX, measuring engines.

    Raises
    ------
    UsageError
        When the device, engine or precision asked for is not there, or they do not go together.
    ModelError
        When an engine is asked for that needs an ONNX file, and the package cannot be exported.
    """
    if package.card.network.name == "onnx" and (options.engine == "torch" or options.device.startswith("cuda")):
        raise UsageError(
            f"'{package.card.name}' came as ONNX, which runs on the CPU, by OpenVINO or ONNX Runtime",
            fix="Leave out --engine and --device.",
        )
    precisions = allowed_precisions(package.card, options.precision)
    gpu = options.device.startswith("cuda") or (
        options.device == "auto" and options.engine in ("auto", "torch") and _has_gpu()
    )
    gpu = gpu and package.card.network.name != "onnx"
    if gpu and options.engine not in ("auto", "torch"):
        raise UsageError(f"--engine {options.engine} runs on the CPU here", fix="Use --engine torch for a GPU.")
    if gpu:
        ways = [Way("torch", precision) for precision in precisions if precision != "int8"]
        way = _lowest(ways, options)
        engine = make_engine(way, package, options, None)
        device = str(getattr(engine, "device", options.device))
        return Chosen(engine, device, way.precision, _why([way], way, package, options))
    names = [name for name in MODULES if options.engine in ("auto", name)]
    if options.engine != "auto" and not find_spec(MODULES[options.engine]):
        raise MissingDependency(
            f"{MODULES[options.engine]} is not installed",
            fix=f"Install medseg[{options.engine}], or use --engine torch.",
        )
    exported = ensure_export(package, say=say) if options.engine != "torch" else None
    if exported is None and options.engine not in ("auto", "torch"):
        raise ModelError(
            f"--engine {options.engine} needs the network as ONNX, and '{package.card.name}' is not and cannot be "
            "exported here",
            fix=f"Run medseg models export {package.card.name} --format onnx, which says why.",
        )
    if package.card.network.name == "onnx":
        names = [name for name in names if name != "torch"]
        if not any(find_spec(MODULES[name]) for name in names):
            raise MissingDependency(
                f"'{package.card.name}' came as ONNX, and there is nothing here to run that with",
                fix="Install medseg[openvino] or medseg[onnx].",
            )
    ways = [way for name in names for way in _ways(name, precisions, exported)]
    if not ways:
        _lowest(ways, options)
    made: dict[str, Engine] = {}

    def make(name: str, way: Way) -> Engine:
        made[name] = make_engine(way, package, options, exported)
        return made[name]

    named = {_name(way, options): way for way in ways}
    makers: dict[str, Callable[[], Engine]] = {name: partial(make, name, way) for name, way in named.items()}
    engine = fastest(package, makers, patient=options.compiled, say=say)
    way = next(named[name] for name, one in made.items() if one is engine)
    return Chosen(engine, "cpu", way.precision, _why(ways, way, package, options))


def _why(ways: Sequence[Way], way: Way, package: ModelPackage, options: InferOptions) -> str:
    """Why this way, without anything that changes from run to run."""
    if len(ways) > 1:
        why = f"the fastest measured on this machine of {', '.join(_name(one, options) for one in ways)}"
    elif options.engine == "auto":
        why = "the only one there is here"
    else:
        why = f"{options.engine} was asked for"
    return f"{why}; {why_precision(package.card, way.precision, options.precision)}"


def _name(way: Way, options: InferOptions) -> str:
    return f"{way} compiled" if options.compiled and way.engine == "torch" else str(way)


def _ways(name: Name, precisions: Sequence[Precision], exported: Export | None) -> list[Way]:
    """Ways in which an engine can run the network here."""
    if not find_spec(MODULES[name]) or (exported is None and name != "torch"):
        return []
    if name == "onnx":
        return [Way(name) for precision in precisions if precision == "float32"]
    if name == "torch":
        return [Way(name, precision) for precision in precisions if precision != "int8"]
    return [Way(name, precision) for precision in precisions]


def _lowest(ways: Sequence[Way], options: InferOptions) -> Way:
    """Return the way of the lowest precision, which on a GPU is the fastest."""
    if not ways:
        where = "on a GPU" if options.engine == "auto" else f"by --engine {options.engine}"
        raise UsageError(
            f"{options.precision} cannot be computed {where} here", fix="Leave out the precision or the engine."
        )
    return ways[-1]


def make_engine(way: Way, package: ModelPackage, options: InferOptions, exported: Export | None) -> Engine:
    """Make one engine, whatever the card allows.

    Raises
    ------
    ModelError
        When the network does not fit it.
    """
    card = package.card
    if way.engine == "torch":
        from medseg.infer.engines.torch import TorchEngine

        assert way.precision != "int8"
        return TorchEngine(package, options.device, way.precision, compiled=options.compiled)
    assert exported is not None
    if way.engine == "openvino":
        from medseg.infer.engines.openvino import OpenVinoEngine

        path = _quantized(package) if way.precision == "int8" else exported.checked()
        return OpenVinoEngine(path, card, exported.activations, way.precision)
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
