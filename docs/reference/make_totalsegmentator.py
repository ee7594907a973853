"""Writes the class maps of TotalSegmentator's models: medseg/models/adapters/totalsegmentator.csv.

    python docs/reference/make_totalsegmentator.py CLONE

CLONE is a clone of github.com/wasserth/TotalSegmentator (Apache-2.0): `totalsegmentator/map_to_binary.py` holds the
maps, `resources/totalsegmentator_snomed_mapping.csv` the codes and colors.
"""

from __future__ import annotations

import csv
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

TARGET = Path(__file__).resolve().parents[2] / "medseg/models/adapters/totalsegmentator.csv"
# Number of a dataset -> the task whose names and values it gives, where it gives all of them.
WHOLE = {297: "total", 298: "total", 836: "total_v3", 837: "total_v3", 852: "total_mr", 853: "total_mr"}
HEADER = ["dataset", "part_value", "value", "name", "code", "meaning", "category", "category_meaning", "color"]


def rows(clone: Path) -> Iterator[list[object]]:
    """A row for every class of every dataset."""
    maps = runpy.run_path(str(clone / "totalsegmentator/map_to_binary.py"))
    with (clone / "totalsegmentator/resources/totalsegmentator_snomed_mapping.csv").open(newline="") as file:
        codes = {row["Structure"]: row for row in csv.DictReader(file)}
    parts = [
        ("total", maps["map_taskid_to_partname_ct"], maps["class_map_5_parts"]),
        ("total_v3", maps["map_taskid_to_partname_ct_v3"], maps["class_map_5_parts_total_v3"]),
        ("total_mr", maps["map_taskid_to_partname_mr"], maps["class_map_parts_mr"]),
    ]
    for task, names, classes in parts:
        values = {name: value for value, name in maps["class_map"][task].items()}
        for dataset, part in names.items():
            if part != "test":
                for own, name in classes[part].items():
                    yield [dataset, own, values[name], name, *code(codes.get(name))]
    for dataset, task in WHOLE.items():
        for value, name in maps["class_map"][task].items():
            yield [dataset, value, value, name, *code(codes.get(name))]


def code(row: dict[str, str] | None) -> list[str]:
    """Code, its meaning, category, its meaning, and color; empty where the mapping does not know the name."""
    if row is None:
        return [""] * 5
    kind, group = "SegmentedPropertyTypeCodeSequence", "SegmentedPropertyCategoryCodeSequence"
    return [
        row[f"{kind}.CodeValue"], row[f"{kind}.CodeMeaning"], row[f"{group}.CodeValue"], row[f"{group}.CodeMeaning"],
        row["DicomRGBColor"].replace(",", " "),
    ]  # fmt: skip


if __name__ == "__main__":
    with TARGET.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(HEADER)
        writer.writerows(rows(Path(sys.argv[1])))
    print(TARGET)
