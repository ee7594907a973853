"""Results of a hospital as `medseg predict` leaves them, with or without another scanner from some case on."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from medseg.engine.journal import FORMAT
from medseg.monitoring.history import CaseRecord

MODEL = "organ 1 (0123456789ab)"


def record(number: int, rng: np.random.Generator, *, contrast: float = 1.0, volume: float = 1.0) -> CaseRecord:
    """A case of figures spread as real ones are: skewed volumes, counts, verdicts."""
    figures = {
        "liver.volume_ml": float(np.exp(rng.normal(7.2, 0.2)) * volume),
        "liver.boundary_entropy": float(rng.gamma(6, 0.04)),
        "liver.n_components": float(1 + rng.poisson(0.3)),
        "intensity_p5": float(rng.normal(10, 3)),
        "intensity_p50": float(rng.normal(300, 40) * contrast),
        "intensity_p95": float(rng.normal(900, 110) * contrast),
        "spacing_in_plane_mm": float(rng.choice([0.7, 0.8, 0.9])),
        "spacing_between_slices_mm": float(rng.choice([3.0, 5.0])),
        "seconds": float(rng.lognormal(2, 0.3)),
        "warnings": float(rng.poisson(0.4)),
    }
    verdict = str(rng.choice(["accepted", "corrected", "rejected"], p=[0.8, 0.15, 0.05]))
    return CaseRecord("out", f"case-{number}", f"{number:016x}", "done", MODEL, {"scanner": "One"}, figures, verdict)


def history(n: int, *, change_at: int | None = None, seed: int = 0, **change: float) -> list[CaseRecord]:
    """A history in which the scanner is another one from some case on."""
    rng = np.random.default_rng(seed)
    return [
        record(number, rng, **(change if change_at is not None and number >= change_at else {})) for number in range(n)
    ]


def write_results(out: Path, records: list[CaseRecord], *, first: int = 1_700_000_000) -> Path:
    """Write the files of results that monitoring reads: records, tables, and the run."""
    out.mkdir(parents=True)
    for number, one in enumerate(records):
        folder = out / one.case_id
        folder.mkdir()
        volume = one.figures["liver.volume_ml"]
        (folder / "measurements.csv").write_text(
            "class,voxels,volume_ml,n_components,boundary_entropy\n"
            f"liver,1000,{volume},{one.figures['liver.n_components']:.0f},{one.figures['liver.boundary_entropy']:.2f}\n"
        )
        status = {
            "format": FORMAT, "case_id": one.case_id, "state": one.state, "key": one.key, "outputs": {},
            "warnings": ["?"] * int(one.figures["warnings"]), "input_sha256": "",
            "volumes": {"liver": {"voxels": 1000, "volume_ml": volume}},
        }  # fmt: skip
        (folder / "status.json").write_text(json.dumps(status))
        os.utime(folder / "status.json", (first + number, first + number))
    run: Mapping[str, object] = {
        "versions": {"model": MODEL},
        "steps": {"segment": {"model_sha256": "0" * 64}},
        "cases": [{"case_id": one.case_id, "seconds": one.figures["seconds"]} for one in records],
    }
    (out / "run.json").write_text(json.dumps(run))
    return out
