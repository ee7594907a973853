"""What bench_nuclei.py and bench_nuclei_3d.py share: the classical way to nuclei, and figures over all objects."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import remove_small_objects

from medseg.engine.evaluate import evaluate
from medseg.evaluation.aggregate import Bootstrap, percentile_interval
from medseg.evaluation.options import EvaluateOptions
from medseg.io import nifti
from medseg.io.read import read_labels
from medseg.post.removal import remove_small
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Scan, Source

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)
OPTIONS = EvaluateOptions(objects="instances", surfaces=False, object_iou=THRESHOLDS, n_bootstrap=100, keep_names=True)
TABLE = LabelTable((LabelClass(1, "nucleus", is_thing=True),))
SMALLEST = 20
RESAMPLES, SEED = 10_000, 0


def data_and_work(description: str | None) -> tuple[Path, Path]:
    """The folders that such a script is given: of the data, and for its work."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    return given.data, given.work


def medseg(*arguments: object) -> None:
    """Run a command of medseg as a user would."""
    subprocess.run([Path(sys.executable).with_name("medseg"), *map(str, arguments)], check=True)


def otsu(array: np.ndarray) -> np.ndarray:
    """Foreground of a scan (C, X, Y, Z) by Otsu's threshold, whichever side of it is the smaller part.

    The way of a typical script: mean of the channels, a little smoothing, the threshold, holes filled, specks removed.
    """
    gray = array.astype(np.float32).mean(0)
    flat = [int(n > 1) for n in gray.shape]
    smooth = ndimage.gaussian_filter(gray, flat)
    above = smooth > threshold_otsu(smooth)
    mask = ~above if above.mean() > 0.5 else above
    square = mask.squeeze()
    filled = remove_small_objects(ndimage.binary_fill_holes(square), max_size=SMALLEST - 1)
    return filled.reshape(mask.shape)


def foreground(mask: np.ndarray, geometry: Geometry) -> LabelMap:
    """Label map of one class."""
    return LabelMap(mask.astype(np.uint8), geometry, TABLE)


def without_specks(labels: LabelMap) -> LabelMap:
    """Remove what `otsu` removes too."""
    return remove_small(labels, min_mm3=SMALLEST)


def save(ids: np.ndarray, geometry: Geometry, path: Path) -> None:
    """Write numbered objects as NIfTI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write_scan(Scan(ids.astype(np.int32)[np.newaxis], geometry, source=Source("array")), path)


@dataclass(frozen=True)
class Counts:
    """Objects of each case: in the reference, predicted, sum of IoU over matches, and matches at each threshold."""

    reference: np.ndarray
    predicted: np.ndarray
    quality: np.ndarray
    hits: np.ndarray

    def of(self, chosen: np.ndarray) -> Counts:
        """Those of some cases."""
        return Counts(self.reference[chosen], self.predicted[chosen], self.quality[chosen], self.hits[chosen])

    def pooled(self, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """PQ, SQ, RQ and AP over all objects of all cases, and the mean of the cases' PQ.

        With weights, shape (draws, cases), of each draw.
        """
        weights = np.ones((1, len(self.reference))) if weights is None else weights
        n, m, quality = (weights @ x for x in (self.reference, self.predicted, self.quality))
        hits = weights @ self.hits
        own = 2 * self.quality / (self.reference + self.predicted).clip(min=1)
        precision = hits / (n + m)[:, None].clip(min=1) / (1 - hits / (n + m)[:, None].clip(min=1))
        return {
            "pq": 2 * quality / (n + m).clip(min=1),
            "sq": quality / hits[:, 0].clip(min=1e-9),
            "rq": 2 * hits[:, 0] / (n + m).clip(min=1),
            "ap@0.5": precision[:, 0],
            "ap@0.75": precision[:, THRESHOLDS.index(0.75)],
            "ap@0.9": precision[:, -1],
            "ap@0.5:0.9": precision.mean(1),
            "mean pq": weights @ own / weights.sum(1),
        }


def measure(predictions: Path, references: Path, cases: Sequence[str]) -> Counts:
    """Evaluate a folder of id maps as `medseg evaluate --objects instances` does; its counts, case by case."""
    result = evaluate(predictions, references, config=OPTIONS)
    if result.failed:
        raise SystemExit(f"not measured: {dict(result.failed)}")
    found: dict[tuple[str, str], float] = {
        (row.case_id, row.metric): row.value for row in result.rows if row.class_name == "all"
    }

    def column(metric: str) -> np.ndarray:
        return np.nan_to_num(np.array([found[case, metric] for case in cases]))

    n, m = column("objects_reference"), column("objects_prediction")
    f1 = np.stack([column(f"f1@{t:g}") for t in THRESHOLDS], 1)
    return Counts(n, m, column("pq") * (n + m) / 2, np.round(f1 * (n + m)[:, None] / 2))


def difference(better: Counts, other: Counts, metric: str) -> tuple[float, float, float]:
    """Pooled figure of the first less that of the second, with its 95% interval, cases drawn in pairs."""
    weights = Bootstrap({}, RESAMPLES, SEED).weights(len(better.reference))
    drawn = better.pooled(weights)[metric] - other.pooled(weights)[metric]
    low, high = percentile_interval(drawn)
    return float(better.pooled()[metric][0] - other.pooled()[metric][0]), low, high


def touching(path: Path) -> int:
    """How many objects of a reference touch another, by a face or an edge."""
    ids = read_labels(path).array.astype(np.int64)
    largest = np.where(ids > 0, ids, 0)
    smallest = np.where(ids > 0, ids, np.iinfo(np.int64).max)
    cube = ndimage.generate_binary_structure(3, 2)
    meets = (ids > 0) & (
        (ndimage.maximum_filter(largest, footprint=cube) != ids)
        | (ndimage.minimum_filter(smallest, footprint=cube) != ids)
    )
    return len(np.unique(ids[meets]))


def table(rows: Mapping[str, Counts], metrics: Iterable[str]) -> str:
    """Markdown table of pooled figures."""
    metrics = list(metrics)
    lines = ["| method | " + " | ".join(metrics) + " | objects |", "|---" * (len(metrics) + 2) + "|"]
    for name, counts in rows.items():
        figures = counts.pooled()
        cells = " | ".join(f"{figures[metric][0]:.3f}" for metric in metrics)
        lines.append(f"| {name} | {cells} | {int(counts.predicted.sum())} |")
    return "\n".join(lines)
