"""Compares evaluations of the same cases: paired differences, tests, stability of the ranking, words for a paper."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import wilcoxon

from medseg.errors import InputError, UsageError
from medseg.evaluation.aggregate import bootstrap_means, percentile_interval
from medseg.evaluation.metrics.definitions import metric
from medseg.evaluation.ranking import Ranking, rank
from medseg.evaluation.summary import Values, by_class_and_metric
from medseg.evaluation.tables import headline_metrics, read_per_case

__all__ = ["Comparison", "Difference", "compare", "holm"]

LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """Two evaluations compared on one metric of one class, case by case.

    Parameters
    ----------
    first, second : str
        Names of the evaluations; differences are second minus first.
    class_name, metric : str
        What was compared.
    mean_first, mean_second, mean, median : float
        Over cases where both are finite.
    interval : tuple of float
        95% bootstrap interval of the mean difference, over patients.
    p, p_holm : float
        Wilcoxon signed-rank test, two-sided, and the same after Holm's correction over all tests of the comparison.
    cases : int
        Pairs tested: all where neither is NaN, infinite distances included as the largest.
    infinite, skipped : int
        Of these, pairs with an infinite value; and cases without a pair, or with NaN in it.
    """

    first: str
    second: str
    class_name: str
    metric: str
    mean_first: float
    mean_second: float
    mean: float
    median: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    cases: int
    infinite: int
    skipped: int

    @property
    def sentence(self) -> str:
        """The difference as a paper would print it."""
        known = metric(self.metric)
        unit = f" {known.unit}" if known.unit else ""
        digits = 2 if known.unit else 3
        what = f"{known.title} of {self.class_name}"
        head = (
            f"On {self.cases} paired cases, {self.second} had a mean {what} of {self.mean_second:.{digits}f}{unit} "
            f"against {self.mean_first:.{digits}f}{unit} of {self.first}"
        )
        if self.cases == 0:
            return f"{self.second} and {self.first} have no {what} to compare."
        low, high = self.interval
        interval = f", 95% CI {low:+.{digits}f} to {high:+.{digits}f}" if math.isfinite(low) else ""
        pairs = (
            "1 pair with an infinite value is"
            if self.infinite == 1
            else f"{self.infinite} pairs with an infinite value are"
        )
        away = f"; {pairs} in the test and not in the means" if self.infinite else ""
        return (
            f"{head} (mean paired difference {self.mean:+.{digits}f}{unit}{interval}; Wilcoxon signed-rank test, "
            f"{_p(self.p_holm)} after Holm's correction{away}); {self._verdict()}."
        )

    def _verdict(self) -> str:
        if math.isnan(self.p_holm) or self.p_holm >= LEVEL:
            return f"the difference is not significant at the {LEVEL:g} level"
        better = metric(self.metric).better
        if better == "neither":
            return "the difference is significant"
        closer = {"higher": self.mean > 0, "lower": self.mean < 0, "zero": abs(self.mean_second) < abs(self.mean_first)}
        return f"{self.second if closer[better] else self.first} is significantly better"


@dataclass(frozen=True)
class Comparison:
    """Several evaluations compared.

    Parameters
    ----------
    names : tuple of str
        The evaluations, as given.
    differences : tuple of Difference
        Every pair of evaluations, metric and class.
    rankings : tuple of Ranking
        One for each metric.
    unpaired : dict of str to tuple of str
        Cases each evaluation has and not all others do.
    """

    names: tuple[str, ...]
    differences: tuple[Difference, ...]
    rankings: tuple[Ranking, ...]
    unpaired: dict[str, tuple[str, ...]]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "names": list(self.names),
            "tests": len(self.differences),
            "differences": [asdict(d) | {"sentence": d.sentence} for d in self.differences],
            "rankings": [asdict(r) | {"sentence": r.sentence} for r in self.rankings],
            "unpaired": self.unpaired,
        }


def compare(
    evaluations: Sequence[Path | str],
    *,
    metrics: Sequence[str] = (),
    classes: Sequence[str] = (),
    patients: Mapping[str, str] | None = None,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare evaluations of the same cases, pairwise.

    Parameters
    ----------
    evaluations : sequence of Path
        Output folders of `medseg evaluate`, or their per_case.csv; two or more, the baseline first.
    metrics, classes : sequence of str
        What to compare; by default Dice, one NSD and HD95, and every class all of them have.
    patients : mapping of str to str, optional
        Whose each case is; by default as the evaluations' own tables had it, and a case's own where they had none.
    resamples, seed : int
        Of the bootstrap.

    Raises
    ------
    UsageError
        For fewer than two evaluations, or an unknown metric or class.
    InputError
        When they have no case in common.
    """
    if len(evaluations) < 2:
        raise UsageError("a comparison needs two evaluations or more")
    paths = [Path(path) for path in evaluations]
    names = _names(paths)
    values = {name: by_class_and_metric(read_per_case(path)) for name, path in zip(names, paths, strict=True)}
    cases = {name: {case for figures in found.values() for case in figures} for name, found in values.items()}
    shared = sorted(set.intersection(*cases.values()))
    if not shared:
        raise InputError("the evaluations have no case in common", fix="Compare evaluations of the same references.")
    chosen = _chosen(values, metrics, classes)
    known = _patients(paths) if patients is None else patients
    owners = {case: known.get(case, case) for case in shared}
    differences = [
        _difference(values, first, second, key, shared, owners, resamples, seed)
        for key in chosen
        for first, second in itertools.combinations(names, 2)
    ]
    corrected = holm([d.p for d in differences])
    return Comparison(
        tuple(names),
        tuple(replace(d, p_holm=p) for d, p in zip(differences, corrected, strict=True)),
        tuple(
            rank(values, name, [c for c, m in chosen if m == name], shared, owners, resamples, seed)
            for name in dict.fromkeys(m for _, m in chosen)
        ),
        {name: tuple(sorted(found - set(shared))) for name, found in cases.items()},
    )


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
    first: str,
    second: str,
    key: tuple[str, str],
    cases: Sequence[str],
    owners: Mapping[str, str],
    resamples: int,
    seed: int,
) -> Difference:
    a, b = (np.array([values[name][key].get(case, np.nan) for case in cases]) for name in (first, second))
    known = ~np.isnan(a) & ~np.isnan(b)
    finite = known & np.isfinite(a) & np.isfinite(b)
    gaps = b[finite] - a[finite]
    drawn = bootstrap_means(gaps[:, None], [owners[c] for c in np.array(cases)[finite]], resamples, seed)
    return Difference(
        first,
        second,
        key[0],
        key[1],
        float(a[finite].mean()) if finite.any() else math.nan,
        float(b[finite].mean()) if finite.any() else math.nan,
        float(gaps.mean()) if len(gaps) else math.nan,
        float(np.median(gaps)) if len(gaps) else math.nan,
        percentile_interval(drawn[:, 0]) if len(gaps) else (math.nan, math.nan),
        _wilcoxon(a[known], b[known]),
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
            found = json.loads(summary.read_text(encoding="utf-8")).get("patient_of", {})
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
    """Shortest ends of the paths that tell them apart."""
    folders = [(path.parent if path.name == "per_case.csv" else path).resolve() for path in paths]
    for depth in range(1, max(len(f.parts) for f in folders) + 1):
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    raise UsageError("the same evaluation was given twice")


def _chosen(values: Mapping[str, Values], metrics: Sequence[str], classes: Sequence[str]) -> list[tuple[str, str]]:
    common = [key for key in next(iter(values.values())) if all(key in found for found in values.values())]
    there = list(dict.fromkeys(name for _, name in common))
    wanted = list(metrics) or [m for m in headline_metrics({"": there}) if m not in ("assd", "volume_difference_ml")]
    if unknown := [name for name in wanted if name not in there]:
        raise UsageError(f"not all evaluations have the metric '{unknown[0]}'", fix=f"They have {', '.join(there)}.")
    known = list(dict.fromkeys(name for name, _ in common))
    if unknown := [name for name in classes if name not in known]:
        raise UsageError(f"not all evaluations have the class '{unknown[0]}'", fix=f"They have {', '.join(known)}.")
    return [(c, m) for m in wanted for c in (classes or known) if (c, m) in common]


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
