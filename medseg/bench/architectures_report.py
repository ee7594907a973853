"""Writes a comparison of architectures: a page with its table and claims, every figure as CSV, and two plots."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from medseg.bench.architectures import ArchitectureResult, Figures
from medseg.bench.architectures_config import Architectures
from medseg.bench.claims import Outcome, mean_over_cases, per_case, weigh
from medseg.cpu_features import cpu_description
from medseg.draw.plots import plot_points, plot_values
from medseg.harmless import TableWriter
from medseg.io.files.atomic import write_text
from medseg.versions import versions


@dataclass(frozen=True)
class Circumstances:
    """What a reader must know to judge the figures; seconds are the training time of each architecture."""

    command: str
    dataset: str
    seconds: float
    device: torch.device


def write_architectures(
    architectures: Architectures, results: Sequence[ArchitectureResult], circumstances: Circumstances, out: Path
) -> Path:
    """Write ``architectures-NAME.md``, ``.csv``, ``-dice.png`` and ``-cost.png``; return the first."""
    out.mkdir(parents=True, exist_ok=True)
    stem = f"architectures-{architectures.name}"
    write_text(out / f"{stem}.csv", _table(results))
    good = [result for result in results if not result.failure]
    if good:
        _draw_quality(good, out / f"{stem}-dice.png", architectures)
        _draw_cost(good, out / f"{stem}-cost.png", circumstances)
    outcomes = [weigh(claim, {result.name: result for result in results}) for claim in architectures.claims]
    page = out / f"{stem}.md"
    write_text(page, _page(architectures, results, outcomes, circumstances))
    return page


def _page(
    architectures: Architectures,
    results: Sequence[ArchitectureResult],
    outcomes: Sequence[Outcome],
    made: Circumstances,
) -> str:
    stem = f"architectures-{architectures.name}"
    unit = "CPU seconds" if made.device.type == "cpu" else "seconds"
    cases = max((len(per_case(r.dice)) for r in results), default=0)
    measured = ", ".join(architectures.classes) if architectures.classes else "every class"
    lines = [
        f"# {architectures.title}",
        "",
        f"Every architecture was trained for {made.seconds:g} {unit} on the same cases of {made.dataset} and measured "
        f"on the same {cases} others ({measured}; boundary F1 with a tolerance of {architectures.tolerance:g} mm, "
        f"a pixel of a 2D image counting as 1 mm). The networks were trained for equal time, not equal steps, so a "
        "costly network was trained on fewer patches. Intervals, by bootstrap over cases, reflect the spread over "
        "cases, not that over repeated trainings. Made by",
        "",
        f"    {made.command}",
        "",
        f"on {_machine(made.device)}; {', '.join(f'{k} {v}' for k, v in versions().items() if k in KEPT)}. Every "
        f"figure of every case is in [{stem}.csv]({stem}.csv).",
        "",
        f"| architecture | Dice (95% interval) | boundary F1 (95% interval) | parameters | steps | {unit} a scan |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        if result.failure:
            lines.append(f"| {result.name} | – | – | – | – | {result.failure} |")
            continue
        lines.append(
            f"| {result.name} | {_with_interval(result.dice)} | {_with_interval(result.boundary_f1)} "
            f"| {result.parameters:,} | {result.steps:,} | {result.seconds:.3g} |"
        )
    lines += _next_to_nothing(results)
    if any(not result.failure for result in results):
        lines += ["", f"![Dice of each architecture]({stem}-dice.png)", "", f"![Dice against cost]({stem}-cost.png)"]
    if outcomes:
        lines += ["", "## Claims of the literature and results", ""]
        lines += [
            "A claim about quality holds, or is contradicted, when the 95% bootstrap interval of the mean difference "
            "over cases excludes 0.",
            "",
            "| claim | verdict | measured |",
            "|---|---|---|",
        ]
        lines += [f"| {o.claim.statement} | {o.verdict} | {o.measured} |" for o in outcomes]
    return "\n".join(lines) + "\n"


KEPT = {"python", "torch", "medseg"}
# Mean Dice below which a network has found next to nothing.
NOTHING = 0.1


def _next_to_nothing(results: Sequence[ArchitectureResult]) -> list[str]:
    """Which networks have not begun to learn, so that nobody takes their figures for what they become."""
    dice = {r.name: (mean_over_cases(per_case(r.dice))[0], r.steps) for r in results if not r.failure}
    found = [f"{name} ({steps:,} steps)" for name, (mean, steps) in dice.items() if mean < NOTHING]
    if not found:
        return []
    return [
        "",
        f"With a mean Dice below {NOTHING:g}, {', '.join(found)} had not begun to learn in this time, or cannot draw "
        "anything as fine as these classes: their figures say nothing of how good they become in a longer training, "
        "nor do the claims below that name them.",
    ]


def _machine(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{cpu_description()}, {torch.get_num_threads()} threads"


def _with_interval(figures: Figures) -> str:
    """Mean over cases, and the 95% bootstrap interval where there are cases enough for one."""
    mean, low, high = mean_over_cases(per_case(figures))
    return f"{mean:.3f} ({low:.3f} to {high:.3f})" if math.isfinite(low) else f"{mean:.3f}"


def _table(results: Sequence[ArchitectureResult]) -> str:
    text = io.StringIO()
    writer = TableWriter(text)
    writer.writerow(["architecture", "class", "metric", "case_id", "value"])
    for result in results:
        if result.failure:
            continue
        for metric, value in (
            ("parameters", result.parameters),
            ("steps", result.steps),
            ("seconds", f"{result.seconds:.4g}"),
        ):
            writer.writerow([result.name, "", metric, "", value])
        for metric, figures in (("dice", result.dice), ("boundary_f1", result.boundary_f1)):
            for name, of_class in figures.items():
                writer.writerows([result.name, name, metric, case, f"{v:.6f}"] for case, v in of_class.items())
    return text.getvalue()


def _draw_quality(results: Sequence[ArchitectureResult], path: Path, architectures: Architectures) -> None:
    titles = {"dice": "Dice", "boundary_f1": f"boundary F1 at {architectures.tolerance:g} mm"}
    columns = {
        title: [list(per_case(getattr(result, metric)).values()) for result in results]
        for metric, title in titles.items()
    }
    plot_values([result.name for result in results], columns, path)


def _draw_cost(results: Sequence[ArchitectureResult], path: Path, circumstances: Circumstances) -> None:
    seconds = "CPU seconds a scan" if circumstances.device.type == "cpu" else "seconds a scan"
    points = [(result.name, result.seconds, mean_over_cases(per_case(result.dice))[0]) for result in results]
    plot_points(points, (seconds, "Dice"), path)
