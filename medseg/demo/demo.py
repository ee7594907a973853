"""Runs the demonstration and checks that what came out is what must come out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.counted import counted
from medseg.demo.scans import Layout, lay_out
from medseg.engine.predict import predict
from medseg.errors import MedsegError
from medseg.types.run import BatchResult

MODEL = "hippocampus"


@dataclass(frozen=True)
class Demonstration:
    """The scans that were laid out, and what became of them."""

    layout: Layout
    result: BatchResult


def demo(out: str | Path = "medseg-demo") -> Demonstration:
    """Lay out a small hospital folder in ``out/scans``, segment it, and check the outcome.

    Anything but two cases done and the corrupt file failed raises `MedsegError`.
    """
    out = Path(out)
    layout = lay_out(out / "scans")
    result = predict(layout.folder, MODEL, out, overwrite=True)
    failed = tuple(outcome.source for outcome in result.outcomes if outcome.state == "failed")
    if result.count("done") != len(layout.valid) or failed != layout.corrupt:
        raise MedsegError(
            f"the demonstration ended in an unexpected way: "
            f"{counted(result.count('done'), 'case')} done, failed: {failed}",
            where=out,
            fix="Run medseg doctor, and report its output.",
        )
    empty = [o.case_id for o in result.outcomes if o.volumes and not any(row.voxels for row in o.volumes.rows)]
    if empty:
        raise MedsegError(f"nothing was segmented in {', '.join(empty)}", where=out, fix="Report this; it is a bug.")
    return Demonstration(layout, result)
