"""`medseg demo`: the main job on scans that come with a package, or a dataset to try training on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from medseg.cli.options import INPUT, JsonOption, OutOption, option
from medseg.cli.verb import print_json


def demo(
    out: OutOption = Path("medseg-demo"),
    new_dataset: Annotated[
        Path | None,
        option(INPUT, "--dataset", help="Write a small labeled dataset there instead, to train on.", metavar="DIR"),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Segment a small folder of real scans with the shipped model, and say where to look.

    Example: medseg demo --out medseg-demo
    """
    if new_dataset is not None:
        return _write_dataset(new_dataset, json=json)
    from medseg.demo.demo import MODEL
    from medseg.demo.demo import demo as demonstrate
    from medseg.log_file import LOG_NAME

    shown = demonstrate(out)
    result = shown.result
    if json:
        print_json({"out": result.out, "scans": shown.layout.folder, "predict_exit_code": result.exit_code})
        return 0
    lines = [
        "",
        f"A folder as found in a hospital: {shown.layout.folder}",
        *(f"  {text}" for text in shown.layout.valid),
        *(f"  {name}: a NIfTI whose copying was interrupted" for name in shown.layout.corrupt),
        "  a localizer image and a text file, which are no scans",
        "",
        f"What was run: medseg predict {shown.layout.folder} --model {MODEL} --out {out}",
        f"  exit code {result.exit_code}, as it must be: part of the batch failed, because one file is corrupt",
        "",
        "What came out:",
    ]
    for outcome in result.outcomes:
        if outcome.volumes is None:
            lines.append(f"  failed  {outcome.source}: {outcome.error}")
            continue
        volumes = ", ".join(map(str, outcome.volumes.rows))
        lines.append(f"  done    {outcome.case_id}: {volumes}")
        lines.append(f"          {', '.join(outcome.outputs)}")
    lines += ["", f"Open {result.out / 'report.html'} in a browser. Every step is in {LOG_NAME} beside it.", ""]
    sys.stdout.write("\n".join(lines))
    return 0


def _write_dataset(folder: Path, *, json: bool) -> int:
    from medseg.demo.dataset import CASES, write_dataset

    write_dataset(folder)
    if json:
        print_json({"dataset": folder, "cases": CASES})
    else:
        sys.stdout.write(
            f"{CASES} made-up cases with their labels are in {folder}. Next:\n"
            f"  medseg audit {folder}\n"
            f"  medseg train {folder} --out runs/example --time-budget 5m\n"
        )
    return 0
