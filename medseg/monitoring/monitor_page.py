"""The page with the control charts, and the same in lines for a terminal."""

from __future__ import annotations

from typing import Any

import numpy as np

from medseg.counted import counted
from medseg.draw.control_chart import ChartPoint, draw_control_chart
from medseg.draw.page import render
from medseg.monitoring.charts import ControlChart
from medseg.monitoring.look import Monitoring
from medseg.monitoring.rules import RULES, SMOOTHING
from medseg.monitoring.shift import MOVED, STABLE

TITLES = {
    "spacing_in_plane_mm": "Spacing in plane, mm",
    "spacing_between_slices_mm": "Spacing between slices, mm",
    "field_strength_t": "Field strength, T",
    "intensity_p5": "Intensity of the scan, 5th percentile",
    "intensity_p50": "Intensity of the scan, median",
    "intensity_p95": "Intensity of the scan, 95th percentile",
    "seconds": "Seconds a case",
    "warnings": "Warnings a case",
}
MEASURES = {
    "volume_ml": "volume, ml",
    "area_mm2": "area, mm²",
    "objects": "objects",
    "n_components": "connected components",
    "boundary_entropy": "boundary entropy",
}


def title_of(name: str) -> str:
    """What a figure of the history is called on the page."""
    class_name, dot, measure = name.rpartition(".")
    if dot and measure in MEASURES:
        return f"{class_name}: {MEASURES[measure]}"
    return TITLES.get(name, name[:1].upper() + name[1:])


def monitor_page(found: Monitoring) -> str:
    """Return one HTML file with no outside reference."""
    ordered = sorted(found.charts, key=lambda chart: (not chart.is_changed, chart.since if chart.is_changed else 0))
    return render(
        "monitor.html",
        cases=len(found.records),
        changed=_changes(found),
        notes=found.notes,
        how=_how(found),
        scanners=[(name, *counts) for name, counts in found.scanners.items()],
        shifts=[(shift.sentence, shift.is_changed) for shift in found.shifts],
        rules=[f"{text[:1].upper()}{text[1:]}." for text in RULES.values()],
        charts=[_chart(chart) for chart in ordered],
    )


def plain_monitoring(found: Monitoring) -> str:
    """Return what changed, a line each, and how it was found."""
    lines = [*found.notes, _how(found), *(shift.sentence for shift in found.shifts if not shift.is_changed)]
    changes = _changes(found)
    if not changes and found.exit_code == 0:
        return "\n".join([*lines, "Nothing changed beyond chance."])
    return "\n".join([*lines, *(f"Changed: {text}" for text in changes)])


def _how(found: Monitoring) -> str:
    if not found.charts:
        return "There are no charts yet."
    return (
        f"{len(found.since)} cases are compared with {found.n_baseline} of the baseline on {len(found.charts)} charts. "
        "A figure counts as changed where its order breaks the rules as hardly any random order of the same values "
        f"would; that anything is called changed where nothing is has a probability of {found.false_alarms:.2g} in all."
    )


def _changes(found: Monitoring) -> list[str]:
    texts = []
    for chart in found.changed:
        before, since = chart.medians
        texts.append(
            f"{title_of(chart.name)}, from case {chart.since} on: median {before:.4g} before, {since:.4g} since "
            f"(p {chart.p:.1g})."
        )
    return [*texts, *(shift.sentence for shift in found.shifts if shift.is_changed)]


def _chart(chart: ControlChart) -> dict[str, Any]:
    scale = np.exp if chart.is_log else np.asarray
    limits = [float(scale(chart.center + step * chart.spread)) for step in range(-3, 4)]
    later = chart.numbers[chart.n_baseline :]
    # The moving average is shown in the values' own unit, not in its standard deviations.
    steps = np.arange(1, len(later) + 1)
    own = np.sqrt(SMOOTHING / (2 - SMOOTHING) * (1 - (1 - SMOOTHING) ** (2 * steps)))
    average = scale(chart.center + chart.average * own * chart.spread)
    points = [
        ChartPoint(number, float(value), _broken(chart, place - chart.n_baseline))
        for place, (number, value) in enumerate(zip(chart.numbers, chart.values, strict=True))
    ]
    return {
        "name": title_of(chart.name),
        "is_changed": chart.is_changed,
        "verdict": f"changed from case {chart.since} on" if chart.is_changed else "no change beyond chance",
        "text": _text(chart),
        "svg": draw_control_chart(
            points,
            [(number, float(value)) for number, value in zip(later, average, strict=True)],
            limits,
            baseline_ends=chart.numbers[chart.n_baseline - 1],
            title=title_of(chart.name),
            unit="",
            since=chart.since if chart.is_changed else None,
        ),
    }


def _broken(chart: ControlChart, place: int) -> tuple[str, ...]:
    if place < 0:
        return ()
    return tuple(
        RULES.get(rule, "moving average beyond its limit") for rule, hits in chart.broken.items() if hits[place]
    )


def _text(chart: ControlChart) -> str:
    counts = [f"rule {rule} {counted(n, 'time')}" for rule, n in chart.n_signals.items() if rule and n]
    counts += [f"the moving average {counted(chart.n_signals[0], 'time')}"] if chart.n_signals[0] else []
    return (
        f"Broken: {', '.join(counts) or 'no rule'}. As unusual in random order: p {chart.p:.2g}. Stability index "
        f"{chart.psi:.2f}, of which chance makes about {chart.psi_by_chance:.2f} (usual limits: below {STABLE:g} "
        f"stable, from {MOVED:g} on moved)."
    )
