"""Whole heads with the shipped hippocampus model: which are done, how well, in what time, and what is withheld.

    python benchmarks/bench_heads.py ../shared/data --out docs/benchmarks/heads.md [--part NAME...] [--further FOLDER]

Parts: `heads` (the T1 heads of ../shared/data as `medseg.Model.segment` takes them), `changed` (the same held, sampled,
cut and disturbed otherwise, with the value of every check), `others` (every scan below ../shared/data that is larger
than a crop and no T1 head) and `further` (images from elsewhere, SOURCE__NAME.nii.gz in FOLDER/chosen, on which limits
were chosen, and FOLDER/held, each with its `t1` and `other`; hippocampi of a few, 1 left and 2 right, under the same
name in FOLDER/labels). Each is kept in a JSON file, so that a part can be measured alone.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from pathlib import Path

import numpy as np
from bench_gate import scans_below
from head_changes import CHANGES, CONTRASTS, as_ras, in_contrast
from head_figures import (
    Locator,
    dice_by_side,
    heads_table,
    judged,
    kinds_table,
    limits_text,
    others_table,
    rate,
    sources_of_others,
    sources_of_t1,
    why_text,
)
from markdown import write

import medseg
from medseg.errors import MedsegError
from medseg.io.read import read_labels
from medseg.locate.segment import is_larger
from medseg.types import Scan
from medseg.types.axis_order import AxisOrder

T1 = ("child3y_fnndsc_sag", "skullstripped_niivue_aseg", "adult_rorden_T1_head_2mm", "icbm152_2009c_sym_cerebra",
      "synthetic_head_01")  # fmt: skip
ORDERS = {
    T1[0]: AxisOrder((2, 0, 1), (True, False, True)),
    T1[2]: AxisOrder((1, 2, 0), (False, True, True)),
    "ms_lesions patient07": AxisOrder((1, 0, 2), (False, False, True)),
}
EVERY = 6  # each change is made of one head, by turns
FULL = 1  # scans of a kind in too thick slices that are looked at in full all the same
KEEP = Path("runs/heads")
PARTS_OF_FURTHER = {
    "chosen": "Images from elsewhere that limits were chosen on",
    "held": "Images from elsewhere that were held out",
}
FURTHER = (
    "Images are of these public repositories: {sources}; `drawn` are heads that "
    "`benchmarks/make_synthetic_heads.py` draws from label maps, whose hippocampi are known (the map of 07 lacks a "
    "part of one, so that its Dice is not counted). The checks and the way to the training data's brightness were "
    "chosen on the first of the two groups below; the second was held out and run once, after that, though a part "
    "of it had been run with earlier versions ({earlier}). Some repositories hold the same persons' public scans. "
    "Intervals are Clopper and Pearson's, 95%; images of one source are alike, so that the truth is less certain "
    "than they say. Dice is with the labels that lie there, of other protocols: DLMUSE for NiChart, FreeSurfer for "
    "most others."
)
TUMORS = {"deepmedic+deepmedic", "Hecvv+RANO-metrics", "taotianli+DDPM_brain"}  # whose heads have one
EARLIER = (
    "ANTsX/ANTsPy, ReproNim/how-would-repronim-1, aaronsossin/DepressionMRI_AI, datalad/example-dicom-structural, "
    "deepmedic/deepmedic, erosmontin/OpenMedView, julienpoublanc-uhn/PerfMRI, muschellij2/open_ms_data, "
    "neurolabusc/Clinical, neurolabusc/nii2mesh, rii-mango/Papaya"
)


def outcome(model, scan):
    """The prediction, or why there is none; and CPU seconds."""
    start = time.process_time()
    try:
        found, why = model.segment(scan), ""
    except MedsegError as error:
        found, why = None, error.what.split(": ", 1)[-1]
    return found, why, time.process_time() - start


def heads_of(data):
    """Every T1 head and its labels, where there are."""
    for name in T1:
        folder = data / "heads" / name
        labels = read_labels(folder / "labels.nii.gz") if (folder / "labels.nii.gz").is_file() else None
        yield name, medseg.load_scan(folder / "image.nii.gz"), labels
    path = data / "ms_lesions" / "images" / "patient07_T1.nii.gz"
    if path.is_file():
        yield "ms_lesions patient07", medseg.load_scan(path), None


def same_in_other_order(model, scan, prediction, order):
    """Whether a scan stored in another order of its axes gets the same labels in the same places."""
    again, _, _ = outcome(model, scan.with_array(order.apply(scan.array).copy(), order.geometry(scan.geometry)))
    return again is not None and np.array_equal(order.undo(again.labels.array), prediction.labels.array)


def heads(model, given, kept):
    """Rows of the heads as they are."""
    for name, scan, labels in heads_of(given.data):
        if name in kept:
            continue
        prediction, why, seconds = outcome(model, scan)
        row = {"why": why, "seconds": seconds}
        if prediction is not None:
            row["volumes"] = {
                side: sum(v for n, v in prediction.volumes.items() if n.startswith(side)) for side in ("left", "right")
            }
            row["dice"] = None if labels is None else dice_by_side(prediction.labels, labels)
            if name in ORDERS:
                row["same"] = same_in_other_order(model, scan, prediction, ORDERS[name])
        yield name, row


def changed(model, given, kept):
    """Every change of one head: what the checks come to, and Dice with the labels of the head unchanged."""
    locator = Locator(model)
    for number, (name, scan, _) in enumerate(heads_of(given.data)):
        scan = as_ras(scan)
        found = locator.found(scan)
        if f"{name}, unchanged" not in kept:
            yield f"{name}, unchanged", {"head": name, "change": "none", **found.row}
        brain = locator.brain(scan, found)
        for turn, (title, levels) in enumerate(CONTRASTS.items()):
            if f"{name} as {title}" not in kept and (number + turn) % len(CONTRASTS) == 0:
                row = locator.found(in_contrast(scan, brain, levels)).row
                yield f"{name} as {title}", {"kind": f"T1 heads in the contrast of {title}", "early": "", **row}
        for turn, (title, change) in enumerate(CHANGES.items()):
            if f"{name}, {title}" in kept or (number + turn) % EVERY:
                continue
            other, motion = change(scan, brain)
            again = locator.found(other)
            yield f"{name}, {title}", {"head": name, "change": title, **again.row, "dice": again.dice(found, motion)}


def others(model, given, kept):
    """Every scan that is larger than the model's crops and no T1 head, without its header's word; each once."""
    locator, full = Locator(model), Counter(row["kind"] for row in kept.values() if "placement" in row)
    for folder in ("heads", "ms_lesions", "dicom", "sarcoma"):
        for case, scan in scans_below(given.data / folder):
            known = any(word in str(case.files[0]) for word in (*T1, "patient07_T1.nii", "labels"))
            twin = folder == "sarcoma" and not scan.modality  # what lies there as DICOM, too
            if known or twin or scan.channels > 1 or not is_larger(scan, model.card.locate) or case.case_id in kept:
                continue
            kind, bare = f"{folder} {scan.modality or ''}".strip(), Scan(scan.array, scan.geometry)
            row = {"kind": kind, "early": locator.stops_early(bare)}
            if not row["early"] or full[kind] < FULL:
                row |= locator.found(as_ras(bare)).row
                full[kind] += 1
            yield case.case_id, row


def further(model, given, kept):
    """Images from elsewhere, with Dice where there are labels."""
    locator = Locator(model)
    for part in PARTS_OF_FURTHER:
        for path in sorted((given.further / part).glob("*/*")):
            source, name = path.name.split(".")[0].split("__")
            if (key := f"{part} {source} {name}") in kept:
                continue
            found = locator.found(as_ras(medseg.load_scan(path)))
            labels = given.further / "labels" / path.name
            dice = found.dice_with(as_ras(medseg.load_scan(labels))) if labels.is_file() else None
            yield key, {
                "part": part, "kind": path.parent.name, "source": source, "name": name, **found.row, "dice": dice,
            }  # fmt: skip


PARTS = {"heads": heads, "changed": changed, "others": others, "further": further}


def measured(name, model, given):
    """Measure a part, each scan kept as soon as it is done: a run that was stopped resumes there."""
    path = given.keep / f"{name}.json"
    kept = json.loads(path.read_text()) if path.is_file() else {}
    for key, row in PARTS[name](model, given, kept):
        kept[key] = row
        path.write_text(json.dumps(kept, indent=1))
        known = judged(row, model.card.locate) if "placement" in row else row
        print(key, {k: v for k, v in known.items() if k not in {"placement", "regions"}}, flush=True)


def _sources(rows):
    return ", ".join(sorted({row["source"].replace("+", "/", 1) for row in rows}))


def report(out, model, kept):
    """Write what was measured, of the parts that were."""
    card = model.card.locate
    paragraphs = [
        "Made by `benchmarks/bench_heads.py`: the shipped hippocampus model, given whole heads. How it finds the "
        "hippocampi and when it withholds a scan: [locating](../explanation/locate.md). The references follow "
        "other protocols than the model's training data, so that Dice cannot be near 1.",
        limits_text(card),
    ]
    if "heads" in kept:
        done = sum(not row["why"] for row in kept["heads"].values())
        paragraphs += [f"## T1 heads: {done} of {len(kept['heads'])} done", heads_table(kept["heads"])]
    rows = [judged(row, card) if "placement" in row else {**row, "why": row["early"]}
            for part in ("changed", "others") for row in kept.get(part, {}).values()]  # fmt: skip
    if same := [row for row in rows if "change" in row]:
        done = sum(not row["why"] for row in same)
        paragraphs += [f"## The same heads, changed: {done} of {len(same)} done", kinds_table(same), why_text(same)]
    if wrong := [row for row in rows if "kind" in row]:
        done = sum(not row["why"] for row in wrong)
        paragraphs += [f"## Others: {done} of {len(wrong)} done", others_table(wrong)]
    if "further" in kept:
        rows = [judged(row, card) for row in kept["further"].values()]
        paragraphs += [
            "## Images from elsewhere",
            FURTHER.format(sources=_sources(rows), earlier=EARLIER),
        ]
        for part, title in PARTS_OF_FURTHER.items():
            t1, other = (
                [row for row in rows if (row["part"], row["kind"]) == (part, kind)] for kind in ("t1", "other")
            )
            healthy = [row for row in t1 if row["source"] not in TUMORS]
            if not t1 or not other:
                continue
            paragraphs += [
                f"### {title}: T1 heads", f"Done: {rate(t1)}; without those with a tumor {rate(healthy)}.",
                sources_of_t1(t1), why_text(t1),
                f"### {title}: others", f"Done: {rate(other)}.", sources_of_others(other),
            ]  # fmt: skip
    held = ", with AVX2 only" if os.environ.get("ONEDNN_MAX_CPU_ISA") == "AVX2" else ""
    write(out, f"Whole heads{held}", paragraphs)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", nargs="*", choices=PARTS, default=["heads", "changed", "others"])
    parser.add_argument("--further", type=Path)
    parser.add_argument("--keep", type=Path, default=KEEP, help="folder of what was measured")
    given = parser.parse_args()
    given.keep.mkdir(parents=True, exist_ok=True)
    model = medseg.load_model("hippocampus")
    for name in given.part:
        measured(name, model, given)
    kept = {name: json.loads(p.read_text()) for name in PARTS if (p := given.keep / f"{name}.json").is_file()}
    report(given.out, model, kept)


if __name__ == "__main__":
    main()
