"""Writes figures for programs and papers: CSV, Parquet and LaTeX."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medseg.counted import counted
from medseg.errors import InputError, MissingDependency, UsageError, first_line
from medseg.evaluation.files.trained_cases import COLUMN
from medseg.evaluation.metrics.definitions import METRICS, metric
from medseg.harmless import TableWriter, name_from_cell
from medseg.io.files.atomic import atomic_path
from medseg.io.files.csv_table import columns_and_rows
from medseg.types import MeasurementRow

COLUMNS = ("case_id", "class", "metric", "value")


def per_case_csv(rows: Sequence[MeasurementRow]) -> str:
    """Return the text of per_case.csv; NaN is ``nan`` and infinity ``inf``, which every reader takes back as such."""
    stream = io.StringIO()
    writer = TableWriter(stream)
    writer.writerow(COLUMNS)
    writer.writerows((row.case_id, row.class_name, row.metric, repr(float(row.value))) for row in rows)
    return stream.getvalue()


def read_per_case(path: Path) -> list[MeasurementRow]:
    """Read a per_case.csv back, or the one in the output folder of an evaluation."""
    fix = "Give the folder that `medseg evaluate --out` wrote, or its per_case.csv."
    if not path.exists():
        raise UsageError("there is no such file or folder", where=path, fix=fix)
    if path.is_dir() and not (path / "per_case.csv").is_file():
        raise InputError("it is not an evaluation, because it holds no per_case.csv", where=path, fix=fix)
    path = path / "per_case.csv" if path.is_dir() else path
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            columns, cells = columns_and_rows(stream)
            if tuple(columns) != COLUMNS:
                raise InputError(
                    f"it is not an evaluation, because it needs the columns {', '.join(COLUMNS)}",
                    where=path,
                    fix=fix,
                )
            rows = [
                MeasurementRow(r["case_id"], name_from_cell(r["class"]), r["metric"], float(r["value"])) for r in cells
            ]
    except (OSError, ValueError) as error:
        raise InputError(
            f"it cannot be read as an evaluation ({first_line(error)})",
            where=path,
            fix=fix,
        ) from error
    if unknown := next((row.metric for row in rows if row.metric.partition("@")[0] not in METRICS), None):
        fix = "Evaluate again with this version of medseg."
        raise InputError(f"'{unknown}' is not a metric of medseg", where=path, fix=fix)
    return rows


def require_pyarrow() -> None:
    """Raise unless Parquet can be written."""
    if find_spec("pyarrow") is None:
        raise MissingDependency(
            "Parquet needs pyarrow", where="--parquet", fix="Install it with: pip install 'medseg[parquet]'"
        )


def write_parquet(rows: Sequence[MeasurementRow], path: Path) -> None:
    """Write the rows of per_case.csv as Parquet, with the same columns."""
    require_pyarrow()
    import pyarrow as pa
    from pyarrow.parquet import write_table

    columns = zip(*((r.case_id, r.class_name, r.metric, float(r.value)) for r in rows), strict=True)
    kinds = (pa.string(), pa.string(), pa.string(), pa.float64())
    arrays = [pa.array(column, kind) for column, kind in zip([*columns] or [()] * 4, kinds, strict=True)]
    with atomic_path(path) as part:
        write_table(pa.table(arrays, names=list(COLUMNS)), part)


def headline_metrics(classes: Mapping[str, Collection[str]]) -> list[str]:
    """The few metrics a table on paper can hold, of those that the classes have.

    Where all objects are given, and not made of components, how well they are found comes before how far off they are.
    """
    names = list(dict.fromkeys(name for metrics in classes.values() for name in metrics))
    first_nsd = next((name for name in reversed(names) if name.startswith("nsd@")), "")
    # Component objects come with the lesion rule, objects that the files themselves number do not.
    of_objects = "pq" in names and "lesion_dice" not in names
    wanted = ("dice", first_nsd, "hd95", "assd", "volume_difference_ml")
    if of_objects:
        wanted = ("pq", "f1@0.5", "ap@0.5", "dice", first_nsd)
    return [name for name in wanted if name in names]


def latex_table(
    classes: Mapping[str, Mapping[str, Mapping[str, Any]]], cases: int, patients: int, penalty: float | None = None
) -> str:
    """Return a table for a paper: a row a class, mean and 95% interval of each headline metric.

    `classes` are those of a summary; `penalty` is what stands in for infinite distances, mm.
    """
    names = headline_metrics(classes)
    shown = {name: metrics for name, metrics in classes.items() if any(m in metrics for m in names)}
    lines = [
        "% Needs \\usepackage{booktabs}.",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{Mean and 95\\% bootstrap interval over {counted(patients, 'patient')} "
        + f"({counted(cases, 'case')})."
        + _footnote(shown, names, penalty)
        + "}",
        f"  \\begin{{tabular}}{{l{'c' * len(names)}}}",
        "    \\toprule",
        "    " + " & ".join(["Class", *(_heading(name) for name in names)]) + " \\\\",
        "    \\midrule",
    ]
    lines += [
        "    " + " & ".join([escape_latex(name), *(_cell(metrics.get(m), m) for m in names)]) + " \\\\"
        for name, metrics in shown.items()
    ]
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])


def plain_table(summary: Mapping[str, Any]) -> str:
    """Return the headline figures as lines for a terminal: over all cases, and apart by their use in training."""
    apart = summary["groups"].get(COLUMN, {})
    lines = [_plain_classes(summary["classes"])]
    lines += [
        f"{kind}, {counted(_cases_in(classes), 'case')}:\n{_plain_classes(classes)}" for kind, classes in apart.items()
    ]
    cases = f"{counted(summary['cases'], 'case')} of {counted(summary['patients'], 'patient')}"
    head = f"{cases}; mean [95% bootstrap interval over patients]"
    lines += [
        f"{name}: not measured in {counted(len(cases), 'case')}, whose references do not annotate it"
        for name, cases in summary.get("not_annotated", {}).items()
    ]
    return "\n".join([head, *lines])


def _cases_in(classes: Mapping[str, Mapping[str, Any]]) -> int:
    return max((node["cases"] + node["undefined"] for m in classes.values() for node in m.values()), default=0)


def _plain_classes(classes: Mapping[str, Mapping[str, Any]]) -> str:
    names = headline_metrics(classes)
    shown = {name: metrics for name, metrics in classes.items() if any(m in metrics for m in names)}
    cells = [["class", *(_with_unit(name) for name in names)]]
    cells += [[name, *(_cell(metrics.get(m), m) for m in names)] for name, metrics in shown.items()]
    widths = [max(len(row[i]) for row in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in cells]
    away = [
        f"{name}, {m}: {metrics[m]['undefined']} undefined, {metrics[m]['infinite']} infinite"
        for name, metrics in shown.items()
        for m in names
        if m in metrics and (metrics[m]["undefined"] or metrics[m]["infinite"])
    ]
    return "\n".join([*lines, *away])


def _with_unit(name: str) -> str:
    unit = metric(name).unit
    return f"{name} ({unit})" if unit and not name.endswith(unit) else name


def _footnote(
    classes: Mapping[str, Mapping[str, Mapping[str, Any]]], names: Sequence[str], penalty: float | None
) -> str:
    """What the means skip or replace; nothing where they do neither."""
    nodes = [metrics[name] for metrics in classes.values() for name in names if name in metrics]
    undefined = max((node["undefined"] for node in nodes), default=0)
    infinite = max((node["infinite"] for node in nodes), default=0)
    note = f" Up to {undefined} undefined values a cell are skipped." if undefined else ""
    if infinite and penalty is not None:
        return f"{note} Up to {infinite} infinite distances a cell count as {penalty:g} mm."
    return f"{note} Up to {infinite} infinite distances a cell are skipped." if infinite else note


def _heading(name: str) -> str:
    known = metric(name)
    arrow = {"higher": " $\\uparrow$", "lower": " $\\downarrow$"}.get(known.better, "")
    unit = f" ({known.unit})" if known.unit else ""
    return escape_latex(known.title) + unit + arrow


def _cell(node: Mapping[str, Any] | None, name: str) -> str:
    if node is None or not math.isfinite(node["mean"]):
        return "--"
    digits = 2 if metric(name).unit else 3
    low, high = node["ci95"]
    interval = f" [{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else ""
    return f"{node['mean']:.{digits}f}{interval}"


def escape_latex(text: str) -> str:
    """Return text that LaTeX prints as it is."""
    special = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    return re.sub(r"[\\~^&%$#_{}]", lambda m: special.get(m[0], "\\" + m[0]), text)
