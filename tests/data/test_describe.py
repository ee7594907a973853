import json
from dataclasses import replace

import numpy as np
import pytest
from public_layouts import LAYOUTS
from small_files import classes, noise, volume

from medseg.cli.app import run
from medseg.data.describe import write_description
from medseg.data.fold_numbers import with_folds
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import UsageError


def facts(data):
    cases = [
        (c.case_id, [p.resolve() for p in c.images], c.reference and c.reference.resolve(), c.group, c.split, c.folds)
        for c in data.cases
    ]
    parts = [[(part.path.resolve(), part.value) for part in case.parts] for case in data.cases]
    classes = [(c.value, c.name) for c in data.table]
    rest = (data.references, data.dimensions, data.ignore_label, data.regions, data.values, data.arrays, data.colors)
    return [channel.name for channel in data.channels], classes, cases, parts, rest


@pytest.mark.parametrize("make", LAYOUTS, ids=lambda make: make.__name__)
def test_what_was_read_is_read_the_same_from_its_description(tmp_path, make):
    (tmp_path / "set").mkdir()
    make(tmp_path / "set")
    data = read_dataset(tmp_path / "set")
    (tmp_path / "elsewhere").mkdir()
    for file in (tmp_path / "elsewhere" / "dataset.yaml", tmp_path / "set" / "dataset.yaml"):
        write_description(data, file)
        again = read_dataset(file.parent)
        assert again.layout == "table"
        assert facts(again) == facts(data)
    first = data.labeled[0]
    assert np.array_equal(read_case(again, again.labeled[0])[1].array, read_case(data, first)[1].array)


def test_regions_folds_and_voxels_to_ignore_are_described(tmp_path):
    for name in ("a", "b"):
        volume(tmp_path / "imagesTr" / f"{name}_0000.nii.gz", noise())
        volume(tmp_path / "labelsTr" / f"{name}.nii.gz", classes(values=(1, 2, 3)))
    said = {
        "channel_names": {"0": "MRI"},
        "labels": {"background": 0, "whole": [1, 2], "core": 2, "ignore": 3},
        "regions_class_order": [1, 2],
        "file_ending": ".nii.gz",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(said))
    data = read_dataset(tmp_path)
    data = replace(data, cases=with_folds(data.cases, [0, 1]))
    write_description(data, tmp_path / "dataset.yaml")
    assert facts(read_dataset(tmp_path)) == facts(data)
    with pytest.raises(UsageError, match="there is such a file already"):
        write_description(data, tmp_path / "dataset.yaml")


def test_the_command_shows_and_writes_what_it_read(tmp_path, capsys):
    for number in range(6):
        volume(tmp_path / "set" / f"p{number}" / "T1.nii.gz", noise(seed=number))
        volume(tmp_path / "set" / f"p{number}" / "seg.nii.gz", classes())
    run(["audit", str(tmp_path / "set"), "--describe"])
    shown = capsys.readouterr().out
    assert "Read as images: p*/T1.nii.gz (6); labels: p*/seg.nii.gz (6). Is that right?" in shown
    text = (tmp_path / "set" / "dataset.yaml").read_text()
    assert '  - {"case": "p0", "t1": "p0/T1.nii.gz", "label": "p0/seg.nii.gz"}' in text
    (tmp_path / "set" / "dataset.yaml").write_text(text.replace('"class-1": 1', '"liver": 1'))
    assert [entry.name for entry in read_dataset(tmp_path / "set").table] == ["liver", "class-2"]
