"""Measures how far a model's volumes lie from those of references, and writes the intervals into its card.

    python benchmarks/make_volume_intervals.py medseg/models/shipped/nuclei datasets/nuclei --table nuclei.csv --write

Every case that the card lists as held out is segmented by the path that `predict` takes. Where the weights were trained
on all cases, `--twin` names a model made the same way from fewer: that one segments the cases that it has not seen.
`--seen` measures all cases of the dataset instead, for benchmarks/bench_intervals.py: a card is never written from
cases that weights were trained on.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import medseg
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.models.package import load_package, write_card
from medseg.models.volume_interval_card import VolumeIntervalCard
from medseg.post.intervals import interval_rule
from medseg.training.selection.held_out_volumes import read_volumes, write_volumes


def measured(model: str, data: Dataset, cases: Sequence[DatasetCase]) -> dict[str, dict[str, tuple[float, float]]]:
    """By case and class, the reference's and the measured volume in ml."""
    card, network = load_package(model).card, medseg.load_model(model)
    found = {}
    for case in cases:
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
    parser.add_argument("--twin", help="folder of a model made the same way from fewer cases")
    given = parser.parse_args()
    if given.seen and (given.write or given.twin):
        parser.error("--write takes cases that the weights were not trained on; omit --seen")
    data = read_dataset(given.dataset)
    cards = load_package(given.model).card, load_package(given.twin or given.model).card
    unseen = [
        case
        for case in data.labeled
        if given.seen
        or (
            case.case_id not in cards[1].training.trained_on
            if given.twin
            else case.case_id in cards[0].training.held_out
        )
    ]
    cases = read_volumes(given.table) or measured(given.twin or given.model, data, unseen)
    if not cases:
        parser.error(f"the card of {given.model} lists no case of {given.dataset} as held out")
    write_volumes(given.table, cases)
    names = dict.fromkeys(name for case in cases.values() for name in case)
    rule = interval_rule({name: [case[name] for case in cases.values()] for name in names})
    print(rule)
    if given.write:
        package = load_package(given.model)
        split = package.card.validation.split if package.card.validation else "held-out cases"
        on = f"{split}, by these weights and the card's own post-processing"
        if given.twin:
            number = len(cards[1].training.trained_on)
            on = f"{len(cases)} cases, by a model made the same way from {number} others, and its post-processing"
        intervals = VolumeIntervalCard.from_rule(rule, on)
        before = package.card.weights_sha256
        written = write_card(package.folder, package.card.model_copy(update={"volume_interval": intervals}))
        assert written.card.weights_sha256 == before
        written.content()  # the weights are still those of the card


if __name__ == "__main__":
    main()
