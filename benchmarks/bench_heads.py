"""Whole heads with the shipped hippocampus model: which are done, how well, in what time, and what is withheld.

    python benchmarks/bench_heads.py ../shared/data --out docs/benchmarks/heads.md

`heads`: those of ../shared/data/heads and the T1 of ms_lesions, as they are, at other spacings, with their axes stored
in other orders (the labels must be the same) and turned in the scanner; `others`: every scan below ../shared/data that
is larger than a crop and no T1 head.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from bench_gate import resampled, scans_below
from markdown import table, write

import medseg
from medseg.errors import MedsegError
from medseg.io.read import read_labels
from medseg.locate.segment import is_larger
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder

T1 = ("adult_rorden_T1_head_2mm", "child3y_fnndsc_sag", "icbm152_2009c_sym_cerebra", "skullstripped_niivue_aseg",
      "synthetic_head_01")  # fmt: skip
ORDERS = (AxisOrder((2, 0, 1), (True, False, True)),)
SIDES = {1: "left", 2: "right"}


def outcome(model, scan):
    """The prediction, or why there is none; and CPU seconds."""
    start = time.process_time()
    try:
        found, why = model.segment(scan), ""
    except MedsegError as error:
        found, why = None, error.what
    return found, why, time.process_time() - start


def dice_by_side(prediction, labels):
    """Dice of each side, all of its classes as one; on one grid."""
    values = {c.value: c.name.split()[0] for c in prediction.labels.table}
    found = {}
    for value, side in SIDES.items():
        ours = np.isin(prediction.labels.array, [v for v, name in values.items() if name == side])
        theirs = labels.array == value
        found[side] = 2 * (ours & theirs).sum() / max(ours.sum() + theirs.sum(), 1)
    return found


def nodded(scan, degrees):
    """The same head held otherwise in the scanner: only the affine is turned, about the axis from left to right."""
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return scan.with_array(scan.array, Geometry(turn @ scan.geometry.affine, scan.geometry.shape))


def heads(data):
    """Every T1 head, and what is made of it."""
    for name in T1:
        folder = data / "heads" / name
        labels = read_labels(folder / "labels.nii.gz") if (folder / "labels.nii.gz").is_file() else None
        yield name, medseg.load_scan(folder / "image.nii.gz"), labels
    path = data / "ms_lesions" / "images" / "patient07_T1.nii.gz"
    if path.is_file():
        yield "ms_lesions patient07", medseg.load_scan(path), None


def in_other_orders(model, scan, prediction):
    """Whether a scan stored in other orders of its axes gets the same labels in the same places."""
    for order in ORDERS:
        other = scan.with_array(order.apply(scan.array).copy(), order.geometry(scan.geometry))
        again, _, _ = outcome(model, other)
        if again is None or not np.array_equal(order.undo(again.labels.array), prediction.labels.array):
            return False
    return True


def measured(model, name, scan, labels, *, orders):
    """One row of the table of heads."""
    prediction, why, seconds = outcome(model, scan)
    if prediction is None:
        return [name, "withheld", "", "", "", f"{seconds:.1f}", why.split(": ", 1)[-1]]
    volume = {side: sum(v for n, v in prediction.volumes.items() if n.startswith(side)) for side in SIDES.values()}
    found = {} if labels is None else dice_by_side(prediction, labels)
    same = "" if not orders else "same" if in_other_orders(model, scan, prediction) else "**differ**"
    return [
        name, "done", " / ".join(f"{v:.2f}" for v in volume.values()),
        " / ".join(f"{found[s]:.3f}" for s in SIDES.values()) if found else "", same, f"{seconds:.1f}", "",
    ]  # fmt: skip


def others(model, data):
    """Every scan that is larger than the model's crops and no T1 head; rows of kind, number, done."""
    rows = {}
    for folder in ("dicom", "sarcoma", "ms_lesions", "heads"):
        for found, scan in scans_below(data / folder):
            name = f"{folder} {scan.modality or ''}".strip()
            if any(word in str(found.files[0]) for word in (*T1, "patient07_T1.nii", "labels")) or scan.channels > 1:
                continue
            if not is_larger(scan, model.card.locate):
                continue
            # Without its header's word, so that only its pixels can tell.
            bare = Scan(scan.array, scan.geometry)
            prediction, why, _ = outcome(model, bare)
            row = rows.setdefault(name, [0, 0, []])
            row[0] += 1
            row[1] += prediction is not None
            row[2].append(why.split(": ", 1)[-1].split(" (")[0] if prediction is None else found.case_id)
            print(name, found.case_id, prediction is not None, why[:200], flush=True)
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    model = medseg.load_model("hippocampus")
    rows = []
    for name, scan, labels in heads(given.data):
        rows.append(measured(model, name, scan, labels, orders=name == T1[1]))
        print(rows[-1], flush=True)
        for degrees in (15,):
            rows.append(measured(model, f"{name}, nodded {degrees:+d}°", nodded(scan, degrees), labels, orders=False))
        for mm in (2.5,):
            if min(scan.geometry.spacing) < mm - 0.1:
                small = resampled(scan, mm)
                rows.append(measured(model, f"{name}, at {mm:g} mm", small, None, orders=False))
        for row in rows[-2:]:
            print(row, flush=True)
    wrong = others(model, given.data)
    done = sum(row[1] == "done" for row in rows)
    columns = ["state", "volume left / right, ml", "Dice left / right", "other axis orders", "CPU-s", "why withheld"]
    kinds = {
        name: [number, well, "; ".join(f"{w} ({why.count(w)})" for w in dict.fromkeys(why))]
        for name, (number, well, why) in wrong.items()
    }
    write(
        given.out,
        "Whole heads",
        [
            "Made by `benchmarks/bench_heads.py`: the shipped hippocampus model, given whole heads. How it finds the "
            "hippocampi and when it withholds a scan: [locating](../explanation/locate.md). The references follow "
            "other protocols than the model's training data, so that Dice cannot be near 1.",
            f"## T1 heads: {done} of {len(rows)} done",
            table(columns, {row[0]: row[1:] for row in rows}),
            f"## Others: {sum(k[1] for k in kinds.values())} of {sum(k[0] for k in kinds.values())} done",
            "Scans larger than a crop that are no T1 head, without what their headers say of modality and body part.",
            table(["number", "done", "why withheld (how often)"], kinds),
        ],
    )


if __name__ == "__main__":
    main()
