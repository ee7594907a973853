"""Compares evaluations of the same cases: paired differences, tests, stability of the ranking."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from medseg.config.arguments import check_arguments, listed
from medseg.config.bounds import Metrics, Resamples
from medseg.config.safe_json import parse_json
from medseg.errors import InputError, UsageError, did_you_mean
from medseg.evaluation.aggregate import Bootstrap, percentile_interval
from medseg.evaluation.compare_tables import write_comparison
from medseg.evaluation.comparison import FEWEST, Comparison, Difference
from medseg.evaluation.files.case_table import read_table
from medseg.evaluation.ranking import rank
from medseg.evaluation.summary import Values, by_class_and_metric
from medseg.evaluation.tables import headline_metrics, read_per_case
from medseg.io.files.writable import output_folder

HEADLINE_ONLY = ("assd", "volume_difference_ml")  # shown of an evaluation, and not compared unless asked for


@check_arguments
def compare(
    evaluations: str | Path | Sequence[str | Path],
    *,
    metrics: Metrics = (),
    classes: str | Sequence[str] = (),
    table: Path | str | None = None,
    out: Path | str | None = None,
    n_bootstrap: Resamples = 2000,
) -> Comparison:
    """Compare evaluations of the same cases: paired differences, Wilcoxon tests with Holm's correction, rankings.

    Parameters
    ----------
    evaluations : sequence of path
        Output folders of `medseg evaluate`, or their per_case.csv; two or more, the baseline first.
    metrics, classes : str or sequence of str
        What to compare (``--metric``, ``--class``); by default Dice, one NSD and HD95, and every class that all have.
    table : path, optional
        CSV with case_id and patient; by default patients are those of the evaluations' own tables.
    out : path, optional
        Folder for compare.csv, compare.json and compare.tex.
    n_bootstrap : int
        Number of bootstrap resamples, over patients.

    Returns
    -------
    Comparison
        Paired differences with their tests, and rankings; fewer than six cases have neither tests nor rankings.

    Raises
    ------
    UsageError
        For fewer than two evaluations, or an unknown metric or class.
    InputError
        When they have no case in common.
    """
    folder = None if out is None else output_folder(out)
    paths = [Path(path) for path in listed(evaluations)]
    if len(paths) < 2:
        raise UsageError(
            "a comparison needs two evaluations or more", fix="Name the output folders of two evaluations."
        )
    names = _names(paths)
    values = {name: by_class_and_metric(read_per_case(path)) for name, path in zip(names, paths, strict=True)}
    cases = {name: {case for figures in found.values() for case in figures} for name, found in values.items()}
    shared = sorted(set.intersection(*cases.values()))
    if not shared:
        raise InputError("the evaluations have no case in common", fix="Compare evaluations of the same references.")
    chosen = _chosen(values, listed(metrics), listed(classes))
    known = _patients(paths) if table is None else _patients_in(Path(table))
    bootstrap = Bootstrap({case: known.get(case, case) for case in shared}, n_bootstrap)
    differences = [
        _difference(values, pair, key, shared, bootstrap) for key in chosen for pair in itertools.combinations(names, 2)
    ]
    corrected = holm([d.p for d in differences])
    comparison = Comparison(
        tuple(names),
        tuple(replace(d, p_holm=p) for d, p in zip(differences, corrected, strict=True)),
        tuple(
            rank(values, name, [c for c, m in chosen if m == name], shared, bootstrap)
            for name in dict.fromkeys(m for _, m in chosen if len(shared) >= FEWEST)
        ),
        {name: tuple(sorted(found - set(shared))) for name, found in cases.items()},
    )
    if folder is not None:
        write_comparison(comparison, folder)
    return comparison


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction; NaN stays NaN and is no test.

    References
    ----------
    Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 1979.
    """
    tested = sorted((p, position) for position, p in enumerate(p_values) if not math.isnan(p))
    corrected = [math.nan] * len(p_values)
    running = 0.0
    for number, (p, position) in enumerate(tested):
        running = max(running, min(1.0, p * (len(tested) - number)))
        corrected[position] = running
    return corrected


def _difference(
    values: Mapping[str, Values],
    pair: tuple[str, str],
    key: tuple[str, str],
    cases: Sequence[str],
    bootstrap: Bootstrap,
) -> Difference:
    a, b = (np.array([values[name][key].get(case, np.nan) for case in cases]) for name in pair)
    known = ~np.isnan(a) & ~np.isnan(b)
    finite = known & np.isfinite(a) & np.isfinite(b)
    gaps = b[finite] - a[finite]
    drawn = bootstrap.means(gaps[:, None], [str(case) for case in np.array(cases)[finite]])
    return Difference(
        *pair,
        *key,
        float(a[finite].mean()) if finite.any() else math.nan,
        float(b[finite].mean()) if finite.any() else math.nan,
        float(gaps.mean()) if len(gaps) else math.nan,
        float(np.median(gaps)) if len(gaps) else math.nan,
        percentile_interval(drawn[:, 0]) if len(gaps) >= FEWEST else (math.nan, math.nan),
        _wilcoxon(a[known], b[known]) if known.sum() >= FEWEST else math.nan,
        math.nan,
        int(known.sum()),
        int((known & ~finite).sum()),
        len(cases) - int(known.sum()),
    )


def _wilcoxon(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """Two-sided p; infinite differences rank above all others, two infinite values do not differ."""
    with np.errstate(invalid="ignore"):
        gaps = b - a
    gaps[np.isnan(gaps)] = 0.0
    finite = np.abs(gaps[np.isfinite(gaps)])
    gaps[np.isinf(gaps)] = np.sign(gaps[np.isinf(gaps)]) * (finite.max(initial=0.0) + 1)
    if not np.any(gaps):
        return 1.0 if len(gaps) else math.nan
    return float(wilcoxon(gaps, zero_method="wilcox", method="auto").pvalue)


def _patients_in(table: Path) -> dict[str, str]:
    return {row.case_id: row.patient for row in read_table(table).rows.values()}


def _patients(paths: Sequence[Path]) -> dict[str, str]:
    """Whose each case is, as the summaries beside the figures say.

    Raises
    ------
    InputError
        When two of them say otherwise of a case.
    """
    known: dict[str, str] = {}
    for path in paths:
        summary = (path if path.is_dir() else path.parent) / "summary.json"
        try:
            found = parse_json(summary.read_text(encoding="utf-8")).get("patient_of", {})
        except (OSError, ValueError, AttributeError):
            continue
        odd = next((case for case, patient in found.items() if known.get(case, patient) != patient), None)
        if odd is not None:
            raise InputError(
                f"case {odd} is of patient {known[odd]} in one evaluation and of {found[odd]} in another",
                where=summary,
                fix="Give --table with columns case_id and patient.",
            )
        known |= found
    return known


def _names(paths: Sequence[Path]) -> list[str]:
    """Shortest ends of the paths that distinguish them."""
    folders = [(path.parent if path.name == "per_case.csv" else path).resolve() for path in paths]
    for depth in range(1, max(len(f.parts) for f in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    raise UsageError("the same evaluation was given twice", fix="Name each evaluation once.")


def _chosen(values: Mapping[str, Values], metrics: Sequence[str], classes: Sequence[str]) -> list[tuple[str, str]]:
    common = [key for key in next(iter(values.values())) if all(key in found for found in values.values())]
    available = list(dict.fromkeys(name for _, name in common))
    requested = list(metrics) or [m for m in headline_metrics({"": available}) if m not in HEADLINE_ONLY]
    if unknown := [name for name in requested if name not in available]:
        raise UsageError(
            "not all evaluations have this metric",
            where=f"--metric {unknown[0]}",
            fix=f"{did_you_mean(unknown[0], available)} They have {', '.join(available)}.",
        )
    known = list(dict.fromkeys(name for name, _ in common))
    if unknown := [name for name in classes if name not in known]:
        raise UsageError(
            "not all evaluations have this class",
            where=f"--class {unknown[0]}",
            fix=f"{did_you_mean(unknown[0], known)} They have {', '.join(known)}.",
        )
    return [(c, m) for m in requested for c in (classes or known) if (c, m) in common]
