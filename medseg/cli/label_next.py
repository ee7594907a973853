"""`medseg label-next`: which scans to label next."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from medseg.cli.options import INPUT, RUN, WHAT, DeviceOption, JsonOption, ModelOption, argument, option
from medseg.cli.verb import log, print_json
from medseg.config.bounds import AtLeast1
from medseg.harmless import tabbed


def label_next(
    dataset: Annotated[
        Path,
        argument(
            INPUT, "DATASET", help="Folder of the dataset, in any layout, or of scans without labels.", exists=True
        ),
    ],
    model: ModelOption,
    n: Annotated[
        int, option(WHAT, "--n", help="How many scans to choose, at least 1.", metavar="N", kind=AtLeast1)
    ] = 20,
    scans: Annotated[
        list[Path] | None,
        option(
            INPUT,
            "--scans",
            help="File or folder of more scans to choose from; may be repeated.",
            metavar="PATH",
            exists=True,
        ),
    ] = None,
    out: Annotated[
        Path | None, option(INPUT, "--out", "-o", help="CSV file for the chosen scans.", metavar="FILE")
    ] = None,
    anyway: Annotated[
        bool, option(RUN, "--anyway", help="Choose also from scans that are not what the model is for.")
    ] = False,
    device: DeviceOption = "auto",
    json: JsonOption = False,
) -> int:
    """Choose which scans to label next: those that a model is uncertain of, and that differ from what is labeled.

    Chosen are cases of the dataset that have no label, or scans in a folder without labels. Printed are, separated by
    tabs: rank, case id, expected Dice, the scan's path and the reason. Exit code: 0 done, 3 some scans were skipped
    because they cannot be read or are not what the model is for, 4 nothing to choose from.

    Example: medseg label-next datasets/example --model runs/mine/model --n 20
    """
    from medseg.engine.label_next import label_next as choose

    found = choose(dataset, model, n=n, scans=scans or (), device=device, anyway=anyway, out=out)
    if json:
        print_json(asdict(found) | {"outcomes": [outcome.to_json() for outcome in found.outcomes]})
    else:
        for one in found.cases:
            row = tabbed(one.rank, one.case_id, f"{one.expected_dice:.3f}", one.path, one.reason)
            sys.stdout.write(f"{row}\n")
    if not found.cases:
        log.error("no scan could be chosen, because none could be read and segmented")
    return found.exit_code
