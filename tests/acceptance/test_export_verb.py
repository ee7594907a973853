"""Every format by the command line, on every kind of source, and what is refused in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from dicom_phantom import grid, write_series

from medseg.io.formats import WRITERS
from medseg.io.instances import write_instances
from medseg.io.nifti import write_labels, write_scan
from medseg.io.read import load_scan, read_labels
from medseg.post.components import components
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

TABLE = LabelTable((LabelClass(1, "lesion", is_thing=True), LabelClass(2, "organ", is_thing=True)))
KINDS = {
    "axial": grid("axial", columns=16),
    "oblique": grid("oblique", columns=16, reverse=True),
    "tilted": grid("axial", columns=16, tilt=15.0),
}
LABELS = [name for name in WRITERS if name != "dicom-seg-objects"]


def write_case(folder: Path, kind: str) -> LabelMap:
    """Write a scan, labels with a hole, and the three objects they consist of."""
    write_series(folder / "scan", KINDS[kind], name=kind)
    scan = load_scan(folder / "scan")
    array = np.zeros(scan.geometry.shape, np.uint8)
    array[2:6, 2:6, 2:6], array[3:5, 3:5, 3] = 1, 0
    array[8:12, 2:6, 3:7], array[8:12, 8:10, 3:5] = 2, 1
    labels = LabelMap(array, scan.geometry, TABLE)
    write_labels(labels, folder / "labels.nii.gz")
    write_instances(components(labels), folder)
    return labels


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_labels_and_objects_in_every_format(medseg, tmp_path, kind):
    labels = write_case(tmp_path, kind)
    for file, formats, expected in (
        ("labels.nii.gz", LABELS, labels.array),
        ("instances.nii.gz", list(WRITERS), components(labels).ids),
    ):
        out = tmp_path / file.partition(".")[0]
        arguments = ["export", tmp_path / file, "--source", tmp_path / "scan", "--format", ",".join(formats)]
        done = medseg(*arguments, "--out", out, "--manual", "--json")
        assert done.returncode == 0, done.stderr
        assert ("tilted" in done.stderr) == (kind == "tilted")
        files = {Path(path).name for path in json.loads(done.stdout)["files"]}
        assert files | {"medseg.log"} == {path.name for path in out.iterdir()}
        for suffix in ("nii.gz", "seg.nrrd", "seg.dcm", "labelmap.dcm", "fractional.dcm"):
            back = read_labels(out / f"labels.{suffix}")
            for value in range(1, expected.max() + 1):
                there = back.geometry.to_world(np.argwhere(back.array == value))
                voxels = np.rint(labels.geometry.to_voxel(there)).astype(int)
                mask = np.zeros(expected.shape, bool)
                mask[tuple(voxels.T)] = True
                assert np.array_equal(mask, expected == value), (suffix, value)
        assert set(json.loads((out / "labels.rtstruct.json").read_text())["dice_of_reading_it_back"].values()) == {1.0}


def test_a_nifti_scan_takes_what_needs_no_dicom(medseg, tmp_path):
    labels = write_case(tmp_path, "oblique")
    write_scan(load_scan(tmp_path / "scan"), tmp_path / "scan.nii.gz")
    plain = [name for name, writer in WRITERS.items() if not writer.needs_dicom]
    arguments = ["export", tmp_path / "labels.nii.gz", "--source", tmp_path / "scan.nii.gz", "--out", tmp_path / "out"]
    assert medseg(*arguments, "--format", ",".join(plain)).returncode == 0
    assert np.array_equal(read_labels(tmp_path / "out" / "labels.seg.nrrd").array, labels.array)
    done = medseg(*arguments, "--format", "dicom-seg", "--manual")
    assert done.returncode == 4
    assert "this scan is not one" in done.stderr


def test_what_does_not_fit_is_refused_in_one_line(medseg, tmp_path):
    labels = write_case(tmp_path / "a", "axial")
    write_case(tmp_path / "b", "oblique")
    moved = labels.geometry.affine.copy()
    moved[0, 3] += 0.7
    write_labels(LabelMap(labels.array, Geometry(moved, labels.geometry.shape), TABLE), tmp_path / "moved.nii.gz")
    cases = (
        (tmp_path / "a" / "labels.nii.gz", tmp_path / "b" / "scan", "dicom-seg", 4, "not on the scan's grid"),
        (tmp_path / "moved.nii.gz", tmp_path / "a" / "scan", "nifti", 4, "between the scan's"),
        (tmp_path / "a" / "labels.nii.gz", tmp_path / "a" / "scan", "dicom-seg-objects", 4, "no objects were made"),
        (tmp_path / "a" / "labels.nii.gz", tmp_path / "a" / "scan", "png", 2, "must be one or more of nifti"),
        (tmp_path / "none.nii.gz", tmp_path / "a" / "scan", "nifti", 2, "no such file"),
    )
    for file, source, name, code, words in cases:
        out = tmp_path / "out"
        done = medseg("export", file, "--source", source, "--format", name, "--manual", "--out", out)
        assert done.returncode == code, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert not out.exists()
