"""Measures what a lower precision costs a model on labeled cases, and writes it on the model's card."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.counted import counted
from medseg.cpu_features import has_bfloat16
from medseg.data.border_class import with_border
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import InputError, UsageError
from medseg.infer.blend import windows_along
from medseg.infer.engines.onnx_export import ensure_export
from medseg.infer.engines.onnx_files import Export
from medseg.infer.engines.precision import LARGEST_DROP, LEAST_AGREEMENT, LOWER_PRECISIONS, LowerPrecision, Precision
from medseg.infer.engines.quantize import can_quantize, quantize
from medseg.infer.engines.select import Candidate, make_engine
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.io.files.patient_names import public_name
from medseg.models.package import ModelPackage, write_card
from medseg.models.validation_card import PrecisionCard
from medseg.prepare.prepared import prepare
from medseg.training.selection.comparable import comparable
from medseg.training.selection.uncertainty_limit import boundary_entropy, uncertainty_limits
from medseg.training.selection.validate import CaseDice, dice, mean_dice
from medseg.types import Prediction, Scan

log = logging.getLogger("medseg.train")

# Windows and cases that show the range of a network's results; more change little.
CALIBRATION_WINDOWS = 64
CALIBRATION_CASES = 32


@dataclass(frozen=True)
class Measured:
    """What a precision gives.

    Mean Dice by class and its drop from float32; the smallest fraction, over cases, of voxels labeled as in float32;
    seconds per case without reading; whether it costs little enough to be used.
    """

    precision: Precision
    engine: str
    dice: dict[str, float]
    drop: dict[str, float]
    agreement: float
    seconds: float
    allowed: bool


def optimize(
    package: ModelPackage, dataset: Path, *, precisions: Sequence[LowerPrecision] | None = None, most: int = 50
) -> tuple[ModelPackage, tuple[Measured, ...]]:
    """Measure lower precisions, by default all that can be computed here, and write what they cost on the card.

    Where the card names its held-out cases those are measured, else as many of all as asked for; windows to calibrate
    int8 with come from the others. Where cases are held out, limits of the uncertainty are written too. Returns the
    package with the new card, and what was measured, float32 first.
    """
    possible = _possible(precisions)
    data = read_dataset(dataset)
    if package.card.training.border_mm is not None and data.references == "instances":
        data = with_border(data, package.card.training.border_mm)
    cases, others, held_out = _cases(package, data, most)
    exported = ensure_export(package, package.folder)
    measured_ones: list[Precision] = ["float32", *possible]
    ways = [Candidate("torch" if exported is None else "openvino", precision) for precision in measured_ones]
    files: dict[str, dict[str, str]] = {}
    if "int8" in possible:
        if exported is None:
            raise UsageError(
                "int8 needs the network as ONNX, which cannot be exported here", fix="Leave int8 out of --precision."
            )
        windows = list(_windows(package, data, others or cases))
        log.info("Quantizing to int8, calibrated on %s.", counted(len(windows), "window"))
        files["int8"] = quantize(exported.checked(), package.card, windows, package.folder)
        package = _with(package, "int8", PrecisionCard(dice_drop={}, cases=1, files=files["int8"]))
    log.info("Measuring %s on %s.", ", ".join(map(str, ways)), counted(len(cases), "case"))
    measured, uncertainties = _measure(package, data, cases, ways, exported)
    for precision, result in zip(possible, measured[1:], strict=True):
        card = PrecisionCard(
            dice_drop={name: round(drop, 6) for name, drop in result.drop.items() if not math.isnan(drop)},
            cases=len(cases),
            held_out=held_out,
            agreement=round(result.agreement, 6),
            engine=result.engine,
            files=files.get(precision, {}),
        )
        package = _with(package, precision, card)
    uncertainty = uncertainty_limits(uncertainties) if held_out else None
    if uncertainty is not None:
        package = write_card(package.folder, package.card.model_copy(update={"uncertainty": uncertainty}))
    return package, measured


def parse_precisions(text: str | None) -> tuple[LowerPrecision, ...] | None:
    """Read names separated by commas; None stays None."""
    if text is None:
        return None
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = next((name for name in names if name not in LOWER_PRECISIONS), None)
    if unknown is not None or not names:
        raise UsageError(f"'{unknown or text}' is not a lower precision", fix=f"Use {' or '.join(LOWER_PRECISIONS)}.")
    return tuple(precision for precision in LOWER_PRECISIONS if precision in names)


def _possible(requested: Sequence[LowerPrecision] | None) -> list[LowerPrecision]:
    available = {"bfloat16": has_bfloat16(), "int8": can_quantize()}
    if requested is None:
        return [precision for precision in LOWER_PRECISIONS if available[precision]]
    for precision in requested:
        if not available.get(precision, False):
            fix = "Install medseg[int8]." if precision == "int8" else "Use a CPU with AVX-512-bf16 or AMX."
            raise UsageError(f"{precision} cannot be computed here", fix=fix)
    return [precision for precision in LOWER_PRECISIONS if precision in requested]


def _cases(package: ModelPackage, data: Dataset, most: int) -> tuple[list[DatasetCase], list[DatasetCase], bool | None]:
    """Cases to measure on, the others, and whether the weights have not seen the first."""
    if not data.labeled:
        raise InputError(
            "the dataset has no labeled case",
            where=data.folder,
            fix="Give the dataset it was trained on, or another with labels.",
        )
    missing = {c.value for c in package.card.classes} - {c.value for c in data.table}
    if missing:
        raise InputError(
            f"the dataset has no class of value {min(missing)}, which the model '{package.card.name}' predicts",
            where=data.folder,
            fix="Use a dataset whose labels have the values of the model's card.",
        )
    listed = {public_name(name) for name in package.card.training.held_out}
    unseen = [case for case in data.labeled if public_name(case.case_id) in listed]
    pool = unseen or list(data.labeled)
    if not unseen:
        log.warning("The card names no held-out case of this dataset, so the network may have been trained on these.")
    chosen = [pool[index] for index in sorted({round(i) for i in np.linspace(0, len(pool) - 1, min(most, len(pool)))})]
    kept = {case.case_id for case in (unseen or chosen)}
    return chosen, [case for case in data.labeled if case.case_id not in kept], True if unseen else None


def _windows(package: ModelPackage, data: Dataset, cases: Sequence[DatasetCase]) -> Iterator[npt.NDArray[np.float32]]:
    """Windows of a few cases, prepared as for the network: of each case those in the middle of its order."""
    card = package.card.input
    chosen = cases[:: max(1, len(cases) // CALIBRATION_CASES)][:CALIBRATION_CASES]
    count = max(1, CALIBRATION_WINDOWS // len(chosen))
    for case in chosen:
        array = prepare(read_case(data, case)[0], card).array
        axes = [windows_along(n, p, 0.5).starts for n, p in zip(array.shape[1:], card.patch, strict=True)]
        places = [(x, y, z) for x in axes[0] for y in axes[1] for z in axes[2]]
        # Evenly through the case, the first and last skipped where there are others: a scan's corners are air.
        for index in np.linspace(0, len(places) - 1, count + 2).round().astype(int)[1:-1]:
            x, y, z = places[index]
            window = array[:, x : x + card.patch[0], y : y + card.patch[1], z : z + card.patch[2]]
            yield np.ascontiguousarray(window[None])


def _measure(
    package: ModelPackage,
    data: Dataset,
    cases: Sequence[DatasetCase],
    ways: Sequence[Candidate],
    exported: Export | None,
) -> tuple[tuple[Measured, ...], list[dict[str, float]]]:
    """What each precision gives, and the uncertainty of each case in the first of them."""
    options = InferOptions(device="cpu")
    predictors = [Predictor(package, options, engine=make_engine(way, package, options, exported)) for way in ways]
    results: list[list[CaseDice]] = [[] for _ in ways]
    agreement, seconds = [1.0] * len(ways), [0.0] * len(ways)
    uncertainties: list[dict[str, float]] = []
    for number, case in enumerate(cases, 1):
        scan, reference = read_case(data, case)
        first = None
        for index, predictor in enumerate(predictors):
            prediction, spent = _timed(predictor, scan)
            pair = comparable(data, prediction, reference)
            labels, truth = pair.prediction.array, pair.reference.array
            values = pair.values_of if data.overlapping else {c.value: (c.value,) for c in package.card.table}
            is_counted = ... if pair.ignore is None else truth != pair.ignore
            seconds[index] += spent
            if index == 0:
                uncertainties.append(boundary_entropy(prediction, package.card))
            first = labels if first is None else first
            agreement[index] = min(agreement[index], float(np.mean(labels == first)))
            found = {
                c.name: dice(*(np.isin(side[is_counted], values[c.value]) for side in (labels, truth)))
                if case.annotates(data.table.name_of(c.value))
                else math.nan
                for c in package.card.table
            }
            results[index].append(CaseDice(case.case_id, found))
        log.info("%d of %s measured.", number, counted(len(cases), "case"))
    means = [mean_dice(result)[0] for result in results]
    drops = [{name: means[0][name] - value for name, value in mean.items()} for mean in means]
    found_of_each = tuple(
        Measured(
            way.precision,
            predictor.engine.name,
            mean,
            drop,
            agreed,
            spent / len(cases),
            # False where a class is in no case: NaN is not at most anything.
            all(value <= LARGEST_DROP for value in drop.values()) and agreed >= LEAST_AGREEMENT,
        )
        for way, predictor, mean, drop, agreed, spent in zip(
            ways, predictors, means, drops, agreement, seconds, strict=True
        )
    )
    return found_of_each, uncertainties


def _timed(predictor: Predictor, scan: Scan) -> tuple[Prediction, float]:
    start = time.perf_counter()
    prediction = predictor.segment(scan)
    return prediction, time.perf_counter() - start


def _with(package: ModelPackage, precision: LowerPrecision, measured: PrecisionCard) -> ModelPackage:
    """Write the card again with one precision's entry."""
    precisions = {**package.card.precisions, precision: measured}
    return write_card(package.folder, package.card.model_copy(update={"precisions": precisions}))
