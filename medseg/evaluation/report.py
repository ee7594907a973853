"""Writes what an evaluation leaves: per_case.csv, summary.json, summary.tex and report.html."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from medseg.draw.charts import BoxRow, bland_altman, box_plot, line_chart
from medseg.draw.error_map import draw_error_map
from medseg.draw.overlay import LabelPair, draw_planes
from medseg.draw.page import png_url, render
from medseg.errors import MedsegError
from medseg.evaluation.aggregate import badness
from medseg.evaluation.case import load_case, scan_on_grid
from medseg.evaluation.files.pairing import CasePair
from medseg.evaluation.files.trained_cases import COLUMN, TRAINED
from medseg.evaluation.limits_of_agreement import limits_of_agreement
from medseg.evaluation.metrics.definitions import metric
from medseg.evaluation.summary import Values, as_json, by_class_and_metric
from medseg.evaluation.surface_errors import surface_errors
from medseg.evaluation.tables import headline_metrics, latex_table, per_case_csv, write_parquet
from medseg.harmless import json_text
from medseg.io.files.atomic import write_text
from medseg.types.labels import PALETTE

if TYPE_CHECKING:
    from medseg.evaluation.evaluation import Evaluation


log = logging.getLogger("medseg.evaluate")

MOST_BLAND_ALTMAN = 12


def write_evaluation(evaluation: Evaluation, out: Path, *, images: Path | None = None, parquet: bool = False) -> None:
    """Write every output of an evaluation into a folder; `images` holds scans to draw under the worst cases."""
    summary = evaluation.summary
    write_text(out / "per_case.csv", per_case_csv(evaluation.rows))
    write_text(out / "summary.json", json_text(as_json(summary)))
    table = latex_table(summary["classes"], summary["cases"], summary["patients"], evaluation.options.penalty_mm)
    write_text(out / "summary.tex", table)
    if parquet:
        write_parquet(evaluation.rows, out / "per_case.parquet")
    write_text(out / "report.html", render_report(evaluation, out, images))


def render_report(evaluation: Evaluation, out: Path, images: Path | None = None) -> str:
    """Return the text of report.html: one file that fetches nothing; links are relative to `out`."""
    values = by_class_and_metric(evaluation.rows)
    shared = _shared_notes(evaluation)
    classes = list(evaluation.summary["classes"])
    headline = headline_metrics(evaluation.summary["classes"])
    colors = {name: "#{:02x}{:02x}{:02x}".format(*PALETTE[i % len(PALETTE)]) for i, name in enumerate(classes)}
    return render(
        "evaluation.html",
        figure=figure_text,
        signed=_signed,
        summary=evaluation.summary,
        pairing=evaluation.pairing,
        failed=evaluation.failed,
        notes={case: own for case, lines in evaluation.notes.items() if (own := [x for x in lines if x not in shared])},
        shared_notes=shared,
        models=evaluation.models,
        n_trained=sum(pair.row.groups.get(COLUMN) == TRAINED for pair in evaluation.pairing.pairs),
        definitions=evaluation.definitions,
        versions=evaluation.versions,
        options=evaluation.options,
        headline=headline,
        metric=metric,
        isnan=math.isnan,
        measured=[name for name in classes if any(m in evaluation.summary["classes"][name] for m in headline)],
        boxes=_boxes(values, headline, colors),
        agreement=_agreement(values, classes, colors),
        worst=[_card(evaluation, pair, out, images) for pair in _worst(evaluation)],
        curves=_curves(evaluation.summary),
    )


def _shared_notes(evaluation: Evaluation) -> list[str]:
    """Notes that every case has, where there are several; they are said once."""
    notes = list(evaluation.notes.values())
    if len(notes) < max(2, evaluation.summary["cases"]):
        return []
    return [line for line in notes[0] if all(line in others for others in notes)]


def _boxes(values: Values, headline: list[str], colors: Mapping[str, str]) -> list[dict[str, Any]]:
    charts = []
    for name in headline:
        known = metric(name)
        rows = [BoxRow(c, colors[c], figures) for (c, m), figures in values.items() if m == name]
        chart = box_plot(
            rows, unit=known.unit, is_fraction=not known.unit, title=f"{known.title} of every case by class"
        )
        charts.append({"title": known.title, "better": known.better, "chart": chart})
    return charts


def _agreement(values: Values, classes: list[str], colors: Mapping[str, str]) -> list[dict[str, Any]]:
    charts = []
    for name in classes:
        predicted, reference = (values.get((name, m), {}) for m in ("volume_ml", "reference_volume_ml"))
        pairs = {case: (predicted[case], reference[case]) for case in predicted}
        if not pairs or not any(a or b for a, b in pairs.values()):
            continue
        limits = limits_of_agreement([a - b for a, b in pairs.values()])
        chart = bland_altman(pairs, color=colors[name], unit="ml", title=f"Volume differences of {name}")
        charts.append({"name": name, "chart": chart, "bias": limits.bias, "spread": limits.high - limits.bias})
    return charts[:MOST_BLAND_ALTMAN]


def _curves(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    charts = []
    for name, curve in summary["froc"].items():
        points = list(zip(curve["false_positives_per_case"], curve["sensitivity"], strict=True))
        high = max(1.0, min(8.0, points[-1][0]))
        chart = line_chart(
            points,
            x_title="false positives a case",
            y_title="sensitivity",
            title=f"FROC of {name}",
            stepped=True,
            x_high=high,
        )
        charts.append({"name": f"FROC, {name}", "chart": chart, "note": f"mean {curve['mean_sensitivity']:.3f}"})
    for name, diagram in summary["calibration"].items():
        region = "all voxels" if name == "all" else "foreground voxels"
        chart = line_chart(
            list(zip(diagram["confidence"], diagram["accuracy"], strict=True)),
            x_title="confidence",
            y_title="accuracy",
            title=f"Reliability over {region}",
            x_high=1.0,
            diagonal=True,
        )
        charts.append({"name": f"Reliability, {region}", "chart": chart, "note": f"ECE {diagram['ece']:.4f}"})
    return charts


def _worst(evaluation: Evaluation) -> list[CasePair]:
    """Cases of lowest mean Dice over classes, or lowest PQ where objects are given, worst first."""
    options = evaluation.options
    deciding = "pq" if options.objects == "instances" else "dice"
    figures: dict[str, list[float]] = {}
    for row in evaluation.rows:
        if row.metric == deciding and not math.isnan(row.value):
            figures.setdefault(row.case_id, []).append(row.value)
    pairs = {pair.case_id: pair for pair in evaluation.pairing.pairs}
    ranked = sorted(figures, key=lambda case: (-badness(deciding, float(np.mean(figures[case]))), case))
    return [pairs[case] for case in ranked[: options.worst]]


def _card(evaluation: Evaluation, pair: CasePair, out: Path, images: Path | None) -> dict[str, Any]:
    figures: dict[str, dict[str, float]] = {name: {} for name in evaluation.summary["classes"]}
    for row in evaluation.rows:
        if row.case_id == pair.case_id:
            figures[row.class_name][row.metric] = row.value
    card: dict[str, Any] = {"case_id": pair.case_id, "figures": figures, "link": _link(pair, out), "planes": None}
    missing = [name for name, of_class in figures.items() if math.isinf(of_class.get("hd", 0.0))]
    instances = evaluation.options.objects == "instances"
    card |= {"map": None, "largest": 0.0, "scan": False, "problem": "", "missing": missing}
    try:
        case = load_case(pair, evaluation.names, instances=instances, certain=evaluation.options.classes is not None)
        scan = None if images is None else scan_on_grid(images, pair, case.reference.geometry)
    except MedsegError as error:
        # The case was measured, so its labels can be read; only its figure is missing.
        log.warning("%s: the report has no figure of this case: %s", pair.case_id, error)
        card["problem"] = str(error)
        return card
    turned = LabelPair.from_labels(case.reference, case.prediction, scan)
    # Ids of objects have no counterpart of the same number: what is compared is the union of all objects.
    overlapping = None if case.values_of is None else tuple(case.values_of.values())
    errors = surface_errors(turned.as_masks() if instances else turned, overlapping)
    card |= {"planes": png_url(draw_planes(turned, errors.place)), "scan": scan is not None, "largest": errors.largest}
    if not turned.is_flat:
        card["map"] = png_url(draw_error_map(errors))
    return card


def _link(pair: CasePair, out: Path) -> str | None:
    """Where the batch's own report shows the case, or the folder its labels lie in."""
    folder = pair.prediction.path.resolve().parent
    report = folder.parent / "report.html"
    target = f"{report}#{pair.case_id}" if report.is_file() and folder.name == pair.case_id else None
    return None if target is None else Path(os.path.relpath(target, out.resolve())).as_posix()


def figure_text(value: float | None, name: str = "") -> str:
    """A figure as the page shows it: as many digits as mean something."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    known = metric(name) if name else None
    if known is not None and not known.unit and (known.better == "higher" or known.family == "calibration"):
        return f"{value:.3f}"
    if known is not None and known.unit == "mm":
        return f"{value:.2f}"
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−")


def _signed(value: float, name: str = "") -> str:
    return ("+" if value > 0 else "") + figure_text(value, name)
