"""`medseg mercure`: one task of mercure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from medseg.cli.options import INPUT, OptionalOutOption, argument


def mercure(
    inputs: Annotated[
        Path | None, argument(INPUT, "[INPUT]", help="Folder of the task; by default MERCURE_IN_DIR.", exists=True)
    ] = None,
    out: OptionalOutOption = None,
) -> int:
    """Do one task of mercure: segment the series it gives, and leave what it sends on and keeps.

    Reads the settings of task.json, and leaves DICOM objects and result.json in --out, by default MERCURE_OUT_DIR. Exit
    code: 0 all done, 3 some failed or withheld, 4 nothing done.

    Example: MERCURE_IN_DIR=/tmp/data MERCURE_OUT_DIR=/tmp/output medseg mercure
    """
    from medseg.service.mercure import mercure as do_task

    return do_task(inputs, out)
