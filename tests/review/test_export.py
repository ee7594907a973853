"""Export: every format from every kind of label file, on the scan's grid, through library and command line."""

import json
import logging
import typing
from pathlib import Path

import numpy as np
import pydicom
import pytest
from networks_for_tests import tiny_card
from small_labels import MODEL, TABLE, overlapping_labels, some_labels, world
from small_series import small_series

from medseg.cli.app import run
from medseg.cli.export import export as export_verb
from medseg.errors import FormatLimitation, GeometryMismatch, UsageError
from medseg.io.dicom_results.proof import items_of
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.instances import write_instances
from medseg.io.nifti import write_labels
from medseg.io.read import load_scan, read_any_labels, read_labels
from medseg.models.card import ClassCard
from medseg.models.package import write_package
from medseg.post.components import components
from medseg.review.export import export
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Scan
from medseg.types.axis_order import AxisOrder


@pytest.fixture
def series(tmp_path) -> tuple[Path, Scan]:
    small_series(tmp_path / "series")
    return tmp_path / "series", load_scan(tmp_path / "series")


@pytest.fixture
def model(tmp_path) -> Path:
    code = {"value": "10200004", "meaning": "Liver"}
    liver = ClassCard.model_validate({"value": 1, "name": "liver", "code": code, "color": (221, 130, 101)})
    card = tiny_card("liver-model").model_copy(update={"classes": (liver, ClassCard(value=2, name="vessel"))})
    return write_package(tmp_path / "model", card, {}).folder


# Of labels; objects have a format of their own.
FORMATS = [name for name in WRITERS if name != "dicom-seg-objects"]


def test_every_format_is_written(tmp_path, series, model):
    folder, scan = series
    labels = some_labels(scan.geometry)
    write_labels(labels, tmp_path / "labels.nii.gz")
    files = export(tmp_path / "labels.nii.gz", tmp_path / "out", format=FORMATS, source=folder, model=model)
    assert {f.name for f in files} == {f.name for f in (tmp_path / "out").iterdir()}
    some = {"labels.seg.dcm", "labels.rtstruct.dcm", "labels.sr.dcm", "labels.1-liver.stl", "labels.glb"}
    assert some <= {f.name for f in files}
    seg = read_seg(tmp_path / "out" / "labels.seg.dcm")
    assert [c.name for c in seg.table] == ["liver", "vessel"]
    for name in ("labels.nii.gz", "labels.seg.nrrd", "labels.seg.dcm", "labels.labelmap.dcm"):
        back = read_labels(tmp_path / "out" / name)
        assert world(back, 1) == world(labels, 1)
        assert world(back, 2) == world(labels, 2)


def test_nothing_at_all_is_written_as_a_class_not_found(tmp_path, series):
    """An empty NIfTI names no class, and DICOM objects describe one at least."""
    folder, scan = series
    nothing = LabelMap(np.zeros(scan.geometry.shape, np.uint8), scan.geometry, LabelTable(()))
    write_labels(nothing, tmp_path / "labels.nii.gz")
    formats = ["dicom-seg", "dicom-seg-labelmap", "dicom-seg-fractional", "rtstruct", "sr"]
    files = export(tmp_path / "labels.nii.gz", tmp_path / "out", format=formats, source=folder, manual=True)
    assert {"labels.seg.dcm", "labels.rtstruct.dcm", "labels.sr.dcm"} <= {file.name for file in files}
    for name in ("labels.seg.dcm", "labels.labelmap.dcm", "labels.fractional.dcm"):
        back = read_labels(tmp_path / "out" / name)
        assert not back.array.any()
        assert [entry.name for entry in back.table] == ["class-1"]
    drawn = read_rtstruct(tmp_path / "out" / "labels.rtstruct.dcm", scan)
    assert not drawn.array.any()
    report = pydicom.dcmread(tmp_path / "out" / "labels.sr.dcm")
    volumes = [i.MeasuredValueSequence[0].NumericValue for i in items_of(report) if i.ValueType == "NUM"]
    assert [float(volume) for volume in volumes] == [0]


def test_classes_that_overlap_are_exported_whole(tmp_path, series):
    folder, scan = series
    labels = overlapping_labels(scan.geometry)
    write("dicom-seg", Labeled(labels, scan.source, MODEL), tmp_path / "in")
    formats = ["nifti", "nrrd", "dicom-seg", "rtstruct", "sr", "stl"]
    export(tmp_path / "in" / "labels.seg.dcm", tmp_path / "out", format=formats, source=folder, manual=True)
    for name in ("labels.nii.gz", "labels.seg.nrrd", "labels.seg.dcm"):
        back = read_any_labels(tmp_path / "out" / name)
        for entry in labels.table:
            assert world(back.alone(back.table.classes[entry.value - 1]), entry.value) == world(
                labels.alone(entry), entry.value
            ), name
    contours = tmp_path / "out" / "labels.rtstruct.dcm"
    export(contours, tmp_path / "again", format="nifti", source=folder)
    assert read_any_labels(tmp_path / "again" / "labels.nii.gz").counts() == labels.counts()
    with pytest.raises(FormatLimitation, match="these classes may overlap"):
        export(contours, tmp_path / "mha", format="mha", source=folder)


def test_a_second_export_writes_the_same_bytes(tmp_path, series, model):
    write_labels(some_labels(series[1].geometry), tmp_path / "labels.nii.gz")
    contents = []
    for _ in range(2):
        files = export(tmp_path / "labels.nii.gz", tmp_path / "out", format=FORMATS, source=series[0], model=model)
        contents.append({f.name: f.read_bytes() for f in files})
    assert contents[0] == contents[1]


def test_codes_come_from_the_model_where_names_do_not_speak_against_it(tmp_path, series, model):
    """NIfTI's table of names has no codes; the names of another model must not get this one's."""
    for name, codes in (("liver", ["10200004"]), ("spleen", ["123037004"])):
        table = LabelTable((LabelClass(1, name), LabelClass(2, "vessel")))
        labels = some_labels(series[1].geometry, table)
        write("nifti", Labeled(labels, series[1].source, MODEL), tmp_path / name)
        export(tmp_path / name / "labels.nii.gz", tmp_path / name, format=["dicom-seg"], source=series[0], model=model)
        segments = pydicom.dcmread(tmp_path / name / "labels.seg.dcm").SegmentSequence
        assert [s.SegmentLabel for s in segments] == [name, "vessel"]
        assert [s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in segments][:1] == codes


def test_objects_are_classes_of_every_format(tmp_path, series, model):
    labels = some_labels(series[1].geometry, LabelTable((LabelClass(1, "liver", is_thing=True),)))
    labels.array[labels.array == 2] = 0
    labels.array[10:12, 8:10, 2:4] = 1
    write_instances(components(labels), tmp_path / "case", series[1].source)
    path = tmp_path / "case" / "instances.nii.gz"
    formats = ["dicom-seg-objects", "dicom-seg", "rtstruct", "sr", "nrrd", "stl"]
    export(path, tmp_path / "out", format=formats, source=series[0], model=model)
    seg = pydicom.dcmread(tmp_path / "out" / "objects.seg.dcm")
    assert [s.SegmentLabel for s in seg.SegmentSequence] == ["liver 1", "liver 2"]
    assert {s.SegmentedPropertyTypeCodeSequence[0].CodeValue for s in seg.SegmentSequence} == {"10200004"}
    for name in ("objects.seg.dcm", "labels.seg.dcm", "labels.seg.nrrd"):
        back = read_labels(tmp_path / "out" / name)
        assert len(world(back, 1)) == (labels.array[:10] == 1).sum()
        assert len(world(back, 2)) == 8
    with pytest.raises(FormatLimitation, match="no objects were made"):
        write_labels(labels, tmp_path / "labels.nii.gz")
        export(tmp_path / "labels.nii.gz", tmp_path / "b", format=["dicom-seg-objects"], source=series[0], model=model)


def test_what_readers_get_wrong_is_said(tmp_path, caplog):
    small_series(tmp_path / "tilted", shape=(16, 11, 6), lean=(0, 0.9, 0))
    labels = some_labels(load_scan(tmp_path / "tilted").geometry)
    write_labels(labels, tmp_path / "labels.nii.gz")
    with caplog.at_level(logging.WARNING, "medseg"):
        formats = ["nrrd", "dicom-seg", "rtstruct", "nifti"]
        export(tmp_path / "labels.nii.gz", tmp_path / "out", format=formats, source=tmp_path / "tilted", manual=True)
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(":")[0] for line in said] == ["labels.seg.dcm", "labels.rtstruct.dcm", "labels.nii.gz"]
    assert all("give these nrrd" in line for line in said)


def test_the_help_names_every_format():
    (option,) = [part for part in typing.get_args(typing.get_type_hints(export_verb, include_extras=True)["formats"])
                 if hasattr(part, "help")]  # fmt: skip
    named = [name.strip(" .") for name in option.help.partition(":")[2].split(",")]
    assert named == list(WRITERS)


def test_labels_turned_by_another_program_are_turned_back(tmp_path, series):
    labels = some_labels(series[1].geometry)
    order = AxisOrder((2, 0, 1), (True, False, True))
    turned = LabelMap(np.ascontiguousarray(order.apply(labels.array)), order.geometry(labels.geometry), TABLE)
    write_labels(turned, tmp_path / "turned.nii.gz")
    export(tmp_path / "turned.nii.gz", tmp_path / "out", format=["dicom-seg"], source=series[0], manual=True)
    assert world(read_seg(tmp_path / "out" / "labels.seg.dcm"), 2) == world(labels, 2)


def test_labels_of_another_scan_are_refused(tmp_path, series):
    affine = series[1].geometry.affine.copy()
    affine[:3, 3] += 0.3
    write_labels(some_labels(Geometry(affine, (13, 11, 6))), tmp_path / "other.nii.gz")
    with pytest.raises(GeometryMismatch, match="between"):
        export(tmp_path / "other.nii.gz", tmp_path / "out", format=["nrrd"], source=series[0])
    assert not (tmp_path / "out").exists()


def test_what_a_person_drew_is_called_manual(tmp_path, series):
    write_labels(some_labels(series[1].geometry), tmp_path / "labels.nii.gz")
    formats = "dicom-seg, rtstruct, sr"
    options = {"source": series[0], "manual": True, "reviewer": "Anna Jansen"}
    export(tmp_path / "labels.nii.gz", tmp_path / "out", format=formats, **options)
    seg = pydicom.dcmread(tmp_path / "out" / "labels.seg.dcm")
    assert {s.SegmentAlgorithmType for s in seg.SegmentSequence} == {"MANUAL"}
    contours = pydicom.dcmread(tmp_path / "out" / "labels.rtstruct.dcm")
    assert {s.ROIGenerationAlgorithm for s in contours.StructureSetROISequence} == {"MANUAL"}
    assert seg.ContentCreatorName == contours.OperatorsName == "Jansen^Anna"


def test_dicom_seg_and_rtstruct_are_read_too(tmp_path, series, model):
    labels = some_labels(series[1].geometry)
    write_labels(labels, tmp_path / "labels.nii.gz")
    export(tmp_path / "labels.nii.gz", tmp_path / "a", format=["dicom-seg", "rtstruct"], source=series[0], model=model)
    for name in ("labels.seg.dcm", "labels.rtstruct.dcm"):
        export(tmp_path / "a" / name, tmp_path / "b", format=["nifti"], source=series[0])
        back = read_labels(tmp_path / "b" / "labels.nii.gz")
        assert back.geometry.matches(labels.geometry)
        assert np.array_equal(back.array, labels.array)
    contours = tmp_path / "a" / "labels.rtstruct.dcm"
    export(contours, tmp_path / "c", format=["nifti"], source=series[0], structures="vessel")
    assert np.array_equal(read_labels(tmp_path / "c" / "labels.nii.gz").array, labels.array == 2)
    with pytest.raises(UsageError, match="contours need the scan"):
        export(contours, tmp_path / "d", format=["nifti"])


def test_missing_options_are_named(tmp_path, series, model):
    write_labels(some_labels(series[1].geometry), tmp_path / "labels.nii.gz")
    for arguments, words in (
        ({"format": ["png"]}, "must be one or more of nifti"),
        ({"format": ["sr"]}, "`source`"),
        ({"format": ["sr"], "source": series[0]}, "`manual`"),
        ({"format": ["sr"], "source": series[0], "model": model, "manual": True}, "not both"),
    ):
        with pytest.raises(UsageError, match=words):
            export(tmp_path / "labels.nii.gz", out=tmp_path / "out", **arguments)


def test_values_the_model_does_not_make_are_refused(tmp_path, series, model):
    labels = some_labels(series[1].geometry)
    labels.array[0, 0, 0] = 7
    write_labels(labels, tmp_path / "labels.nii.gz")
    with pytest.raises(UsageError, match="the value 7"):
        export(tmp_path / "labels.nii.gz", tmp_path / "out", format=["nrrd"], model=model)


def test_command_line(tmp_path, series, model, capsys):
    write_labels(some_labels(series[1].geometry), tmp_path / "labels.nii.gz")
    arguments = ["export", str(tmp_path / "labels.nii.gz"), "--source", str(series[0]), "--format", "dicom-seg, stl"]
    arguments += ["--out", str(tmp_path / "out"), "--model", str(model), "--quiet"]
    assert run([*arguments, "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert [Path(f).name for f in files] == ["labels.seg.dcm", "labels.1-liver.stl", "labels.2-vessel.stl"]
    assert all(Path(f).is_file() for f in files)
    assert run([*arguments[:5], "nonsense", *arguments[6:]]) == 2
    assert MODEL.name not in capsys.readouterr().err


def test_structures_of_what_is_no_rtstruct_are_refused(tmp_path, series):
    """Else all of it would be written although a part was asked for."""
    write_labels(some_labels(series[1].geometry), tmp_path / "labels.nii.gz")
    with pytest.raises(UsageError, match="`structures` liver: it is for an RTSTRUCT"):
        export(tmp_path / "labels.nii.gz", tmp_path / "out", format="stl", structures="liver")


def test_neither_labels_nor_scan_are_written_over(tmp_path, series):
    folder, scan = series
    write_labels(some_labels(scan.geometry), tmp_path / "labels.nii.gz")
    before = (tmp_path / "labels.nii.gz").read_bytes()
    with pytest.raises(UsageError, match=r"labels\.nii\.gz: it would take the place of the file"):
        export(tmp_path / "labels.nii.gz", tmp_path, format="nifti")
    assert (tmp_path / "labels.nii.gz").read_bytes() == before
    export(tmp_path / "labels.nii.gz", tmp_path, format="dicom-seg", source=folder, manual=True)
    with pytest.raises(UsageError, match=r"labels\.seg\.dcm: it would take the place"):  # sr comes with a DICOM SEG
        export(tmp_path / "labels.seg.dcm", tmp_path, format="sr", source=folder, manual=True)
