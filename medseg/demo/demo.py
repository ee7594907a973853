"""Runs the demonstration and checks that what came out is what must come out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from medseg.demo.scans import Layout, lay_out
from medseg.engine.predict import predict
from medseg.errors import MedsegError
from medseg.types.run import BatchResult

__all__ = ["Demonstration", "demo"]

MODEL = "hippocampus"


@dataclass(frozen=True)
class Demonstration:
    """The scans that were laid out, and what became of them."""

    layout: Layout
    result: BatchResult


def demo(out: str | Path = "medseg-demo") -> Demonstration:
    """Lay out a small hospital folder, segment it, and check the outcome.

    Parameters
    ----------
    out : str or Path
        Results go there, the scans into its folder ``scans``.

    Raises
    ------
    MissingDependency
        When nilearn is not installed.
    MedsegError
        When anything but the expected came out: two cases done, the corrupt file failed.
    """
    out = Path(out)
    layout = lay_out(out / "scans")
    result = predict(layout.folder, MODEL, out, overwrite=True)
    failed = tuple(outcome.source for outcome in result.outcomes if outcome.state == "failed")
    if result.count("done") != len(layout.valid) or failed != layout.corrupt:
        raise MedsegError(
            f"the demonstration did not go as it must: {result.count('done')} cases done, failed: {failed}",
            where=out,
            fix="Run medseg doctor, and report its output.",
        )
    empty = [o.case_id for o in result.outcomes if o.volumes and not any(row.voxels for row in o.volumes.rows)]
    if empty:
        raise MedsegError(f"nothing was segmented in {', '.join(empty)}", where=out, fix="Report this; it is a bug.")
    return Demonstration(layout, result)
