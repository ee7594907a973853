"""Writes how far readers agree: agreement.csv for programs, summary.json, and report.html for people."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medseg.draw.charts import bland_altman
from medseg.draw.page import render
from medseg.evaluation.metrics.definitions import definitions_of, metric
from medseg.evaluation.readers import Agreement
from medseg.evaluation.report import figure_text
from medseg.evaluation.summary import as_json
from medseg.harmless import TableWriter, json_text
from medseg.io.files.atomic import write_text
from medseg.types.labels import PALETTE
from medseg.versions import versions

COLUMNS = ("first", "second", "case_id", "class", "metric", "value")
MOST_CHARTS = 24  # on the page, which a browser must still open where there are many classes and readers


def write_agreement(found: Agreement, out: Path) -> None:
    """Write ``agreement.csv``, ``volumes.csv``, ``summary.json`` and ``report.html`` into a folder that exists."""
    write_text(out / "agreement.csv", _csv(COLUMNS, found.rows))
    volumes = [
        (case, reader, name, value)
        for name, of_class in found.volumes.items()
        for case, by_reader in of_class.items()
        for reader, value in by_reader.items()
    ]
    write_text(out / "volumes.csv", _csv(("case_id", "reader", "class", "volume_ml"), volumes))
    names = list(dict.fromkeys(row.metric for row in found.rows))
    content = {**found.summary, "definitions": _definitions(names), "versions": {"medseg": versions()["medseg"]}}
    write_text(out / "summary.json", json_text(as_json(content)))
    write_text(out / "report.html", render_agreement(found))


def _definitions(names: list[str]) -> dict[str, str]:
    """Definitions of metrics between readers, of whom neither is the reference."""
    known = definitions_of(names)
    return {**known, **{name: "Second minus first." for name in known if "difference" in name}}


def render_agreement(found: Agreement) -> str:
    """Return the text of report.html: one file that fetches nothing."""
    names = list(dict.fromkeys(row.metric for row in found.rows))
    return render(
        "agreement.html",
        summary=found.summary,
        metrics=names,
        metric=metric,
        definitions=_definitions(names),
        charts=_charts(found),
        figure=figure_text,
        isnan=math.isnan,
    )


def plain_agreement(found: Agreement) -> str:
    """Return the pairs of readers as text for a terminal: mean Dice and volume bias by class, and kappa."""
    lines = []
    for pair in found.summary["pairs"]:
        lines.append(f"{pair['first']} and {pair['second']}; cases with labels of both: {pair['cases']}")
        for name, figures in pair["classes"].items():
            dice, volume = figures["dice"], pair["volumes"][name]
            lines.append(
                f"  {name}: Dice {_with_interval(dice['mean'], dice['ci95'])}, "
                f"HD95 {figure_text(figures['hd95']['mean'], 'hd95')} mm, "
                f"volume difference {figure_text(volume['bias_ml'])} ml "
                f"(limits {figure_text(volume['limits_ml'][0])} to {figure_text(volume['limits_ml'][1])}), "
                f"ICC(2,1) {_with_interval(volume['icc_2_1'], volume['icc_2_1_ci95'])}"
            )
        verdicts = pair["verdicts"]
        if verdicts["cases"]:
            kappa = _with_interval(verdicts["kappa"], verdicts["kappa_ci95"])
            lines.append(f"  verdicts: {verdicts['agreed']} of {verdicts['cases']} the same, kappa {kappa}")
    return "\n".join(lines)


def _with_interval(value: float, interval: list[float]) -> str:
    if math.isnan(value):
        return "undefined"
    shown = f"{value:.3f}"
    return shown if math.isnan(interval[0]) else f"{shown} (95% CI {interval[0]:.3f} to {interval[1]:.3f})"


def _charts(found: Agreement) -> list[dict[str, Any]]:
    """Bland-Altman plots of every pair and class in which anything was drawn."""
    charts = []
    for pair in found.summary["pairs"]:
        first, second = pair["first"], pair["second"]
        for number, name in enumerate(pair["volumes"]):
            points: Mapping[str, tuple[float, float]] = {
                case: (by_reader[second], by_reader[first])
                for case, by_reader in found.volumes[name].items()
                if first in by_reader and second in by_reader
            }
            if any(a or b for a, b in points.values()):
                color = "#{:02x}{:02x}{:02x}".format(*PALETTE[number % len(PALETTE)])
                title = f"{name}: {second} against {first}"
                chart = bland_altman(points, color=color, unit="ml", title=title, names=(second, first))
                charts.append({"title": title, "chart": chart, **pair["volumes"][name]})
    return charts[:MOST_CHARTS]


def _csv(columns: tuple[str, ...], rows: Any) -> str:
    """Text of a table; NaN is ``nan`` and infinity ``inf``, as in per_case.csv."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(columns)
    writer.writerows((*row[:-1], repr(float(row[-1]))) for row in rows)
    return stream.getvalue()
