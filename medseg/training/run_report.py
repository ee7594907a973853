"""Writes ``report.html`` of a run: its curves, Dice of the held-out cases, the worst cases, the configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from statistics import mean, median

import yaml

from medseg.draw.charts import BoxRow, box_plot, line_chart
from medseg.draw.page import png_url, render
from medseg.io.files.atomic import write_text
from medseg.models.card import ModelCard
from medseg.models.card_summary import CardSummary, summary
from medseg.training.samples.inputs import Inputs
from medseg.training.selection.held_out_patches import DICE
from medseg.training.selection.validate import CaseDice
from medseg.training.selection.worst_cases import WorstCases

CURVES = {
    DICE: "Dice in held-out patches",
    "loss": "loss",
    "learning_rate": "learning rate",
    "steps_per_second": "steps a second",
    "data_wait_fraction": "fraction of time waiting for data",
}


@dataclass(frozen=True)
class Measured:
    """What a run that has ended came to: its package's card, Dice of held-out and of test cases, the worst cases."""

    card: ModelCard | None = None
    results: Sequence[CaseDice] = ()
    worst: WorstCases | None = None
    test: Sequence[CaseDice] = ()

    @property
    def figures(self) -> list[tuple[str, float, bytes]]:
        """Case id, mean Dice and PNG of the worst cases."""
        return [] if self.worst is None else self.worst.figures


def write_run_report(
    inputs: Inputs, history: Sequence[Mapping[str, str]], *, method: str, measured: Measured | None = None
) -> None:
    """Write one page that needs no other file, from the rows of ``history.csv``; without `measured` of a run under way.

    `method` says how steps were computed.
    """
    measured = measured or Measured()
    card, results = measured.card, measured.results
    steps = [float(row["step"]) for row in history]
    curves = [
        (title[0].upper() + title[1:], _curve(steps, [float(row[key]) for row in history], title))
        for key, title in CURVES.items()
        if history and key in history[0]
    ]
    run = inputs.run
    page = render(
        "run.html",
        name=run.name,
        card=card,
        model=None if card is None else CardSummary.model_validate(summary(card)),
        dataset=run.dataset.name,
        layout=run.dataset.layout,
        split=inputs.split.name,
        method=method,
        trained=len(inputs.cases),
        held_out=len(inputs.split.validation),
        skipped=inputs.skipped,
        curves=curves,
        classes=_classes(results),
        boxes=_boxes(results, card),
        cases=sorted(results, key=_mean),
        test_classes=_classes(measured.test),
        test_cases=sorted(measured.test, key=_mean),
        figures=[(case_id, value, png_url(png)) for case_id, value, png in measured.figures],
        isnan=isnan,
        config=yaml.safe_dump(run.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110),
    )
    write_text(run.out / "report.html", page)


def _curve(steps: Sequence[float], values: Sequence[float], title: str) -> object:
    return line_chart(list(zip(steps, values, strict=True)), x_title="step", y_title="", title=title)


def _classes(results: Sequence[CaseDice]) -> list[dict[str, object]]:
    """Mean, median and extremes of each class."""
    rows: list[dict[str, object]] = []
    for name in results[0].dice if results else ():
        values = [one.dice[name] for one in results if not isnan(one.dice[name])]
        if values:
            row = {"mean": mean(values), "median": median(values), "low": min(values), "high": max(values)}
            rows.append({"name": name, "cases": len(values), **row})
    return rows


def _boxes(results: Sequence[CaseDice], card: ModelCard | None) -> object:
    if not results or card is None:
        return ""
    colors = {entry.name: "#{:02x}{:02x}{:02x}".format(*entry.color) for entry in card.table}
    rows = [BoxRow(name, colors[name], {one.case_id: one.dice[name] for one in results}) for name in results[0].dice]
    return box_plot(rows, unit="Dice", is_fraction=True, title="Dice of each class over the held-out cases")


def _mean(one: CaseDice) -> float:
    values = [value for value in one.dice.values() if not isnan(value)]
    return mean(values) if values else 2.0
