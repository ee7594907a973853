"""Measures how far a model's volumes lie from those of references, and writes the intervals into its card.

    python benchmarks/make_volume_intervals.py medseg/models/shipped/nuclei datasets/nuclei --table nuclei.csv --write

Every case that the card lists as held out is segmented by the path that `predict` takes. `--seen` measures all cases of
the dataset instead, for benchmarks/bench_intervals.py: a card is never written from cases that weights were trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import medseg
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.models.package import load_package, write_card
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.post.intervals import interval_rule
from medseg.training.selection.held_out_volumes import read_volumes, write_volumes


def measured(model: str, dataset: Path, seen: bool) -> dict[str, dict[str, tuple[float, float]]]:
    """By case and class, the reference's and the measured volume in ml."""
    card, data, network = load_package(model).card, read_dataset(dataset), medseg.load_model(model)
    found = {}
    for case in data.labeled:
        if not seen and case.case_id not in card.training.held_out:
            continue
        scan, reference = read_case(data, case)
        labels = network.segment(scan).labels
        labels.geometry.match(reference.geometry, what="the grids of the labels and the reference")
        ml = labels.geometry.voxel_volume / 1000
        found[case.case_id] = {
            entry.name: tuple(float(np.count_nonzero(a.array == entry.value) * ml) for a in (reference, labels))
            for entry in card.result_classes
        }
    return found


def main() -> None:
    """Measure, and write the table and, where asked to, the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder of a package")
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--table", type=Path, required=True, help="CSV file to write; read instead where it exists")
    parser.add_argument("--write", action="store_true", help="write the card of the package")
    parser.add_argument("--seen", action="store_true", help="measure every case, those trained on included")
    given = parser.parse_args()
    if given.seen and given.write:
        parser.error("--write takes cases that the weights were not trained on; omit --seen")
    found = read_volumes(given.table)
    cases = found or measured(given.model, given.dataset, given.seen)
    if not cases:
        parser.error(f"the card of {given.model} lists no case of {given.dataset} as held out")
    write_volumes(given.table, cases)
    names = dict.fromkeys(name for case in cases.values() for name in case)
    rule = interval_rule({name: [case[name] for case in cases.values()] for name in names})
    print(rule)
    if given.write:
        package = load_package(given.model)
        split = package.card.validation.split if package.card.validation else "held-out cases"
        intervals = VolumeIntervalCard.from_rule(rule, f"{split}, by these weights and the card's own post-processing")
        before = package.card.weights_sha256
        written = write_card(package.folder, package.card.model_copy(update={"volume_interval": intervals}))
        assert written.card.weights_sha256 == before
        written.content()  # the weights are still those of the card


if __name__ == "__main__":
    main()
