"""Finds out once which engine is the fastest for a model on a machine, and remembers it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from medseg.config.safe_json import parse_json
from medseg.counted import counted
from medseg.cpu_features import cpu_model, instruction_sets
from medseg.errors import ModelError
from medseg.infer.engines.base import Engine
from medseg.io.files.atomic import write_text
from medseg.models.package import ModelPackage
from medseg.resources import store_folder

log = logging.getLogger("medseg.infer")
RUNS = 2
# An engine whose first window, which also allocates, took so many times the best one's time is not measured further.
HOPELESS = 3.0
# Seconds after which no further engine is made: what is best so far is taken.
LONGEST = 2.0


@dataclass(frozen=True, eq=False)
class Fastest:
    """An engine, and by name those that were measured on this machine; none where there was no choice."""

    engine: Engine
    measured: tuple[str, ...] = ()


def fastest(
    package: ModelPackage,
    makers: Mapping[str, Callable[[], Engine]],
    *,
    patient: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Fastest:
    """Make the engine that was fastest for this package on this machine; measure where that is not known.

    What was measured is kept in ``engines`` beside the user's models, by package, CPU and versions, so that the
    choice, and with it the last bit of every score, stays the same from run to run.

    - `patient`: whether a first window may take long, because engines compile, without being held against them.
    """
    if len(makers) == 1:
        return Fastest(next(iter(makers.values()))())
    key = _key(package, tuple(makers))
    path = store_folder().parent / "engines" / f"{key}.json"
    try:
        known = parse_json(path.read_text(encoding="utf-8"))
        make, measured = makers[known["fastest"]], tuple(known["seconds_per_window"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    else:
        return Fastest(make(), measured)
    (progress or log.info)(
        f"Measuring which of {', '.join(makers)} is the fastest on this machine, once for this model."
    )
    card = package.card
    window = np.zeros((1, card.channels, *card.input.patch), dtype=np.float32)
    best: tuple[float, str, Engine] | None = None
    seconds: dict[str, float] = {}
    begun = time.perf_counter()
    for name, make in makers.items():
        if best is not None and not patient and time.perf_counter() - begun > LONGEST / 2:
            log.info(
                "The engine %s is not measured, since others took more than %s.",
                name,
                counted(round(LONGEST / 2), "second"),
            )
            continue
        try:
            engine = make()
            first = _seconds(engine, window)
        except ModelError as error:
            log.warning("The engine %s is skipped: %s", name, error)
            continue
        hopeless = not patient and best is not None and first > HOPELESS * best[0]
        seconds[name] = first if hopeless else min(_seconds(engine, window) for _ in range(RUNS))
        if best is None or seconds[name] < best[0]:
            best = seconds[name], name, engine
    if best is None:
        raise ModelError(
            "no engine can run this model",
            where=package.folder,
            fix="Run medseg models verify, which gives the reason.",
        )
    log.info(
        "The fastest of the engines was chosen (seconds per window: %s).",
        ", ".join(f"{n} {s:.2f} s" for n, s in seconds.items()),
    )
    try:
        write_text(path, json.dumps({"fastest": best[1], "seconds_per_window": seconds}) + "\n")
    except OSError as error:
        log.warning("The choice of engine cannot be stored (%s), so that the next run measures again.", error)
    return Fastest(best[2], tuple(seconds))


def _seconds(engine: Engine, window: np.ndarray) -> float:
    begun = time.perf_counter()
    engine.run(window)
    return time.perf_counter() - begun


def _key(package: ModelPackage, names: tuple[str, ...]) -> str:
    modules = {"torch": "torch", "openvino": "openvino", "onnx": "onnxruntime"}
    facts = [package.hash, platform.machine(), cpu_model(), *instruction_sets(), str(os.cpu_count())]
    for name in names:
        try:
            facts.append(f"{name} {version(modules[name.partition(' ')[0]])}")
        except (PackageNotFoundError, KeyError):
            facts.append(name)
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
