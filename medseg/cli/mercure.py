"""`medseg mercure`: one task of mercure."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from medseg.cli.options import INPUT, JsonOption, OptionalOutOption, argument
from medseg.cli.verb import print_json
from medseg.harmless import tabbed


def mercure(
    inputs: Annotated[
        Path | None, argument(INPUT, "INPUT", help="Folder of the task; by default MERCURE_IN_DIR.", exists=True)
    ] = None,
    out: OptionalOutOption = None,
    json: JsonOption = False,
) -> int:
    """Do one task of mercure: segment the series it gives, and leave what it sends on and keeps.

    Reads the settings of task.json, and leaves DICOM objects and result.json in --out, by default MERCURE_OUT_DIR. Exit
    code: 0 all done, 3 some failed or withheld, 4 nothing done.

    Example: medseg mercure /tmp/data --out /tmp/output
    """
    from medseg.service.mercure import mercure as do_task

    result = do_task(inputs, out)
    if json:
        print_json(result)
    else:
        for case in result["cases"]:
            sys.stdout.write(f"{tabbed(case['case_id'], case['state'], case['error'])}\n")
    return int(result["exit_code"])
