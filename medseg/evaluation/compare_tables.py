"""Writes a comparison for terminals, programs and papers."""

from __future__ import annotations

import io
import math
from dataclasses import fields
from pathlib import Path

from medseg.counted import counted
from medseg.evaluation.comparison import Comparison, Difference
from medseg.evaluation.metrics.definitions import metric
from medseg.evaluation.summary import as_json
from medseg.evaluation.tables import escape_latex
from medseg.harmless import TableWriter, json_text
from medseg.io.files.atomic import write_text


def comparison_text(comparison: Comparison) -> str:
    """Return a sentence for every difference and ranking, and the cases that were skipped."""
    tests = comparison.tests
    lines = [d.sentence for d in comparison.differences]
    if comparison.rankings:
        lines += ["", *(r.sentence for r in comparison.rankings)]
    if tests:
        lines += ["", f"{counted(tests, 'test')}, corrected together; intervals and ranks by bootstrap."]
    for name, cases in comparison.unpaired.items():
        if cases:
            more = f" and {len(cases) - 10} more" if len(cases) > 10 else ""
            lines.append(f"Only {name} has: {', '.join(cases[:10])}{more}.")
    return "\n".join(lines)


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Write compare.csv, compare.json and compare.tex into a folder."""
    write_text(out / "compare.csv", _csv(comparison))
    content = json_text(as_json(comparison.as_dict()))
    write_text(out / "compare.json", content)
    write_text(out / "compare.tex", _latex(comparison))


def _csv(comparison: Comparison) -> str:
    stream = io.StringIO()
    writer = TableWriter(stream)
    names = [field.name for field in fields(Difference) if field.name != "interval"]
    writer.writerow([*("class" if name == "class_name" else name for name in names), "ci95_low", "ci95_high"])
    for difference in comparison.differences:
        writer.writerow([*(getattr(difference, name) for name in names), *difference.interval])
    return stream.getvalue()


def _latex(comparison: Comparison) -> str:
    lines = [
        "% Needs \\usepackage{booktabs}.",
        "\\begin{table}",
        "  \\centering",
        "  \\caption{Paired differences (second minus first) with 95\\% bootstrap intervals over patients; "
        f"$p$ of Wilcoxon signed-rank tests after Holm's correction over {comparison.tests} tests.}}",
        "  \\begin{tabular}{llllccc}",
        "    \\toprule",
        "    First & Second & Metric & Class & Difference & 95\\% interval & $p$ \\\\",
        "    \\midrule",
    ]
    for d in comparison.differences:
        digits = 2 if metric(d.metric).unit else 3
        low, high = d.interval
        interval = f"[{low:.{digits}f}, {high:.{digits}f}]" if math.isfinite(low) else "--"
        p = "--" if math.isnan(d.p_holm) else "$<$0.001" if d.p_holm < 0.001 else f"{d.p_holm:.3f}"
        mean = f"{d.mean:+.{digits}f}" if math.isfinite(d.mean) else "--"
        words = [escape_latex(text) for text in (d.first, d.second, metric(d.metric).title, d.class_name)]
        lines.append("    " + " & ".join([*words, mean, interval, p]) + " \\\\")
    return "\n".join([*lines, "    \\bottomrule", "  \\end{tabular}", "\\end{table}", ""])
