"""Which scans to label next, by the command line: real scans with the shipped model, beside a few labeled ones."""

import csv
import json

import pytest
from shared_data import DATA


def lay_out(folder, labeled, unlabeled):
    """Some cases of the hippocampus with their labels, and some without, as links."""
    described = json.loads((DATA / "hippocampus" / "dataset.json").read_text())
    names = sorted(path.name for path in (DATA / "hippocampus" / "imagesTr").iterdir())[: labeled + unlabeled]
    for number, name in enumerate(names):
        target = folder / ("imagesTr" if number < labeled else "imagesTs")
        target.mkdir(parents=True, exist_ok=True)
        (target / name).symlink_to(DATA / "hippocampus" / "imagesTr" / name)
    (folder / "labelsTr").mkdir()
    for name in names[:labeled]:
        (folder / "labelsTr" / name).symlink_to(DATA / "hippocampus" / "labelsTr" / name)
    listed = [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names[:labeled]]
    (folder / "dataset.json").write_text(json.dumps(described | {"training": listed, "numTraining": labeled}))
    return {name.removesuffix(".nii.gz") for name in names[labeled:]}


@pytest.mark.needs_data("data/hippocampus")
def test_of_real_scans_some_without_a_label_are_chosen(medseg, tmp_path):
    without = lay_out(tmp_path / "data", 3, 12)
    given = ["label-next", tmp_path / "data", "--model", "hippocampus", "--device", "cpu"]
    done = medseg(*given, "--n", 2, "--out", tmp_path / "next.csv")
    assert done.returncode == 0, done.stderr
    assert "3 labeled cases, 12 scans to choose from." in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "2"]
    assert {row[1] for row in rows} < without
    assert all(0.5 < float(row[2]) < 1 for row in rows)
    with (tmp_path / "next.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [(row["case_id"], row["path"]) for row in table] == [(row[1], row[3]) for row in rows]

    everything = json.loads(medseg(*given, "--n", 50, "--json").stdout)["cases"]
    assert {one["case_id"] for one in everything} == without  # n is larger than what there is
    dice = {one["case_id"]: one["expected_dice"] for one in everything}
    least = sorted(dice, key=dice.__getitem__)[: 3 * 2]
    assert {row[1] for row in rows} <= set(least)


def test_without_a_dataset_or_scans(medseg, tmp_path):
    missing = medseg("label-next", tmp_path / "nowhere", "--model", "hippocampus")
    assert missing.returncode == 2
    (tmp_path / "empty").mkdir()
    empty = medseg("label-next", tmp_path / "empty", "--model", "hippocampus")
    assert empty.returncode == 4
    assert "no scan was found" in empty.stderr
    none = medseg("label-next", tmp_path / "empty", "--model", "hippocampus", "--n", "0")
    assert none.returncode == 2
    assert "--n 0: must be at least 1" in none.stderr
