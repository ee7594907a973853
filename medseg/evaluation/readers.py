"""Readers compared on the same cases: outlines, volumes and verdicts, by the functions of `medseg evaluate`."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from medseg.counted import counted
from medseg.errors import MedsegError
from medseg.evaluation.aggregate import Bootstrap, aggregate, percentile_interval
from medseg.evaluation.intraclass import intraclass
from medseg.evaluation.kappa import cohen_kappa
from medseg.evaluation.limits_of_agreement import limits_of_agreement
from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.evaluation.summary import Values, aggregate_node
from medseg.types import LabelMap

log = logging.getLogger("medseg.agreement")

MODEL = "model"
COMPARED = ("dice", "nsd", "hd95", "assd", "volume_difference_ml")


@dataclass(frozen=True, eq=False)
class Reading:
    """What one reader made of one case.

    `labels` reads the labels; None where the reader left none, as of a case that was rejected. `verdict` is None where
    the reader gave none.
    """

    reader: str
    case_id: str
    labels: Callable[[], LabelMap] | None = None
    verdict: str | None = None


class PairRow(NamedTuple):
    """One figure of one case, the second reader measured against the first."""

    first: str
    second: str
    case_id: str
    class_name: str
    metric: str
    value: float


@dataclass(frozen=True, repr=False)
class Agreement:
    """How far readers agree with each other, and with the model.

    Parameters
    ----------
    rows : tuple of PairRow
        Every figure of every case that two readers share.
    volumes : mapping
        Class, then case, then reader, to volume in ml.
    summary : mapping
        The content of ``summary.json``: `readers`, `pairs` and, for three readers or more, `all_readers`.
    failed : mapping of str to str
        Cases that could not be compared, and why.
    """

    rows: tuple[PairRow, ...]
    volumes: Mapping[str, Mapping[str, Mapping[str, float]]]
    summary: Mapping[str, Any]
    failed: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        cases = len({row.case_id for row in self.rows})
        return f"Agreement({len(self.summary['readers'])} readers, {counted(cases, 'case')}, {len(self.failed)} failed)"

    @property
    def exit_code(self) -> int:
        """0 all compared, 3 some cases could not be, 4 nothing was there to compare."""
        if not self.rows and not any(pair["verdicts"]["cases"] for pair in self.summary["pairs"]):
            return 4
        return 3 if self.failed else 0


def compare_readers(
    readings: Sequence[Reading],
    *,
    tolerances_mm: Sequence[float] = (1.0, 2.0),
    patients: Mapping[str, str] | None = None,
    n_bootstrap: int = 2000,
    seed: int = 0,
    surfaces: bool = True,
) -> Agreement:
    """Compare every two readers on the cases both read; the one called `MODEL` is no person and gives no verdicts.

    Of each pair the first is the reference, in the order of their names and the model last, so that a difference is
    the second's volume minus the first's. One case that cannot be read or compared is an outcome, not an exception.

    Parameters
    ----------
    readings : sequence of Reading
        At most one for each reader and case.
    tolerances_mm : sequence of float
        Tolerances of NSD.
    patients : mapping of str to str, optional
        Whose each case is: the bootstrap draws patients. By default each case is a patient's own.
    n_bootstrap, seed : int
        Resamples of every interval, and where they start.
    surfaces : bool
        Measure distances; without them overlap and volumes only, which takes much less time.
    """
    options = EvaluateOptions(
        objects="none",
        surfaces=surfaces,
        tolerances_mm=tuple(tolerances_mm),
        n_bootstrap=n_bootstrap,
        seed=seed,
        worst=5,
    )
    cases = sorted({reading.case_id for reading in readings})
    bootstrap = Bootstrap({case: (patients or {}).get(case, case) for case in cases}, n_bootstrap, seed)
    readers = sorted({reading.reader for reading in readings}, key=lambda name: (name == MODEL, name))
    rows: list[PairRow] = []
    volumes: dict[str, dict[str, dict[str, float]]] = {}
    failed: dict[str, str] = {}
    for case in cases:
        of_case = [r for name in readers for r in readings if (r.reader, r.case_id) == (name, case)]
        try:
            found, sizes = _measure(case, [reading for reading in of_case if reading.labels is not None], options)
        except MedsegError as error:
            failed[case] = str(error)
            log.error("%s", error.about(case))
            continue
        rows += found
        for name, by_reader in sizes.items():
            volumes.setdefault(name, {})[case] = by_reader
    people = [name for name in readers if name != MODEL]
    summary: dict[str, Any] = {
        "readers": {name: _counts(name, readings) for name in readers},
        "pairs": [_pair(pair, rows, volumes, readings, bootstrap) for pair in itertools.combinations(readers, 2)],
        "options": {"tolerances_mm": list(options.tolerances_mm), "n_bootstrap": n_bootstrap, "seed": seed},
        "failed": failed,
    }
    if len(people) > 2:
        summary["all_readers"] = {
            "readers": people,
            "volumes": {name: _correlation(people, of_class, bootstrap) for name, of_class in volumes.items()},
        }
    return Agreement(tuple(rows), volumes, summary, failed)


def _measure(
    case: str, readings: Sequence[Reading], options: EvaluateOptions
) -> tuple[list[PairRow], dict[str, dict[str, float]]]:
    """Figures of every pair of readings of a case, and the volumes of each reading by class and reader."""
    if len(readings) < 2:
        return [], {}
    maps = [(reading.reader, reading.labels()) for reading in readings if reading.labels is not None]
    rows: list[PairRow] = []
    volumes: dict[str, dict[str, float]] = {}
    for (first, reference), (second, prediction) in itertools.combinations(maps, 2):
        classes = {entry.name: (entry.value,) for entry in reference.table}
        for name, figures in measure_case(reference, prediction, classes, options).values.items():
            rows += [
                PairRow(first, second, case, name, key, value)
                for key, value in sorted(figures.items(), key=lambda item: _place(item[0]))
                if _place(key) < len(COMPARED)
            ]
            of_class = volumes.setdefault(name, {})
            of_class[first], of_class[second] = figures["reference_volume_ml"], figures["volume_ml"]
    return rows, volumes


def _place(name: str) -> int:
    """Where a metric stands among those compared; behind them for one that is not."""
    kind = name.partition("@")[0]
    return COMPARED.index(kind) if kind in COMPARED else len(COMPARED)


def _counts(reader: str, readings: Sequence[Reading]) -> dict[str, int]:
    own = [reading for reading in readings if reading.reader == reader]
    counts = {"cases": len(own), "with_labels": sum(reading.labels is not None for reading in own)}
    return counts | {
        verdict: sum(reading.verdict == verdict for reading in own)
        for verdict in sorted({reading.verdict for reading in own if reading.verdict is not None})
    }


def _pair(
    pair: tuple[str, str],
    rows: Sequence[PairRow],
    volumes: Mapping[str, Mapping[str, Mapping[str, float]]],
    readings: Sequence[Reading],
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    values: Values = {}
    for row in rows:
        if (row.first, row.second) == pair:
            values.setdefault((row.class_name, row.metric), {})[row.case_id] = row.value
    classes: dict[str, dict[str, Any]] = {}
    for (name, key), figures in aggregate(values, bootstrap).items():
        classes.setdefault(name, {})[key] = aggregate_node(figures)
    return {
        "first": pair[0],
        "second": pair[1],
        "cases": len({case for figures in values.values() for case in figures}),
        "classes": classes,
        "volumes": {
            name: _bias(pair, of_class, bootstrap) | _correlation(pair, of_class, bootstrap)
            for name, of_class in volumes.items()
            if name in classes
        },
        "verdicts": _verdicts(pair, readings, bootstrap),
    }


def _shared(readers: Sequence[str], of_class: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
    """Volumes of the readers, in their order, of each case that all of them have."""
    return {
        case: [by_reader[name] for name in readers]
        for case, by_reader in of_class.items()
        if all(name in by_reader for name in readers)
    }


def _bias(pair: tuple[str, str], of_class: Mapping[str, Mapping[str, float]], bootstrap: Bootstrap) -> dict[str, Any]:
    shared = _shared(pair, of_class)
    gaps = np.array([second - first for first, second in shared.values()])
    limits = limits_of_agreement(gaps)
    return {
        "bias_ml": limits.bias,
        "bias_ci95": list(percentile_interval(bootstrap.means(gaps[:, None], list(shared))[:, 0])),
        "limits_ml": [limits.low, limits.high],
    }


def _correlation(
    readers: Sequence[str], of_class: Mapping[str, Mapping[str, float]], bootstrap: Bootstrap
) -> dict[str, Any]:
    shared = _shared(readers, of_class)
    table = np.array(list(shared.values())).reshape(len(shared), len(readers))
    found = intraclass(table)
    drawn = bootstrap.statistics(lambda chosen: intraclass(table[chosen]).agreement, list(shared))
    again = bootstrap.statistics(lambda chosen: intraclass(table[chosen]).consistency, list(shared))
    return {
        "cases": len(shared),
        "icc_2_1": found.agreement,
        "icc_2_1_ci95": list(percentile_interval(drawn)),
        "icc_3_1": found.consistency,
        "icc_3_1_ci95": list(percentile_interval(again)),
    }


def _verdicts(pair: tuple[str, str], readings: Sequence[Reading], bootstrap: Bootstrap) -> dict[str, Any]:
    """Kappa over the cases on which both gave a verdict."""
    first, second = (
        {reading.case_id: reading.verdict for reading in readings if reading.reader == name and reading.verdict}
        for name in pair
    )
    cases = sorted(first.keys() & second.keys())
    kinds = sorted({verdict for of_reader in (first, second) for verdict in of_reader.values() if verdict})
    chosen = np.array([[kinds.index(side[case] or "") for side in (first, second)] for case in cases], np.intp)
    chosen = chosen.reshape(len(cases), 2)

    def kappa(positions: Any) -> float:
        counts = np.zeros((len(kinds), len(kinds)))
        np.add.at(counts, tuple(chosen[positions].T), 1)
        return cohen_kappa(counts)

    counts = np.zeros((len(kinds), len(kinds)), np.intp)
    np.add.at(counts, tuple(chosen.T), 1)
    return {
        "cases": len(cases),
        "agreed": int(np.trace(counts)),
        "kappa": cohen_kappa(counts) if cases else float("nan"),
        "kappa_ci95": list(percentile_interval(bootstrap.statistics(kappa, cases))) if cases else [float("nan")] * 2,
        "verdicts": kinds,
        "counts": counts.tolist(),  # rows: the first reader's
        "differ": [case for case in cases if first[case] != second[case]],
        "same": [case for case in cases if first[case] == second[case]],
    }
