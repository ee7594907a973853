"""NRRD and MetaImage, and the segments 3D Slicer writes."""

import itertools
from dataclasses import replace

import damage
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from damage import cut_short, flip
from dicom_phantom import check, encode
from small_labels import TABLE

from medseg.errors import FormatLimitation, InputError, MedsegError
from medseg.io import itk
from medseg.io.read import load_scan, read_labels
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

NAMES = ["a.nrrd", "a.nhdr", "a.mha", "a.mhd"]


def phantom_image(shape=(7, 8, 9), dtype=np.int16):
    """SimpleITK's own idea of where voxels lie makes the truth."""
    image = sitk.Image([*shape], sitk.sitkFloat64)
    image.SetSpacing((1.5, 2.0, 2.5))
    image.SetOrigin((-10.0, 5.0, 7.5))
    c, s = np.cos(0.4), np.sin(0.4)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, -1.0))
    array = np.empty(shape[::-1])
    for x, y, z in itertools.product(*map(range, shape)):
        lps = np.array(image.TransformIndexToPhysicalPoint((x, y, z)))
        array[z, y, x] = np.rint(encode(lps * [-1, -1, 1]))
    made = sitk.GetImageFromArray(array.astype(dtype))
    made.CopyInformation(image)
    return made


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [False, True])
def test_voxels_at_their_place(tmp_path, name, compress):
    sitk.WriteImage(phantom_image(), str(tmp_path / name), compress)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.array.dtype == np.int16
    assert len(scan.source.files) == (2 if name.endswith(("hdr", "mhd")) else 1)


@pytest.mark.parametrize(
    ("space", "signs"),
    [("left-posterior-superior", (-1, -1)), ("right-anterior-superior", (1, 1)), ("LAS", (-1, 1)), ("RAS", (1, 1))],
)
def test_spaces_of_nrrd(tmp_path, space, signs):
    made = phantom_image()
    sitk.WriteImage(made, str(tmp_path / "a.nrrd"), False)
    damage.replace(tmp_path / "a.nrrd", b"left-posterior-superior", space.encode())
    columns = np.array(made.GetDirection()).reshape(3, 3) * made.GetSpacing()
    expected = np.diag([*signs, 1]) @ np.column_stack([columns, made.GetOrigin()])
    if space == "LAS" and sitk.__version__ < "2.5.7":  # read as another space, so it is refused
        with pytest.raises(InputError, match="not what its reader takes them for"):
            load_scan(tmp_path / "a.nrrd")
        return
    scan = load_scan(tmp_path / "a.nrrd")
    np.testing.assert_allclose(scan.geometry.affine[:3], expected, atol=1e-6)


@pytest.mark.parametrize(
    "change", [(b"space: left-posterior-superior\n", b"space dimension: 3\n"), (b"posterior", b"lateral")]
)
def test_nrrd_that_does_not_say_how_the_patient_lies(tmp_path, change):
    sitk.WriteImage(phantom_image(), str(tmp_path / "a.nrrd"), False)
    damage.replace(tmp_path / "a.nrrd", *change)
    with pytest.raises(InputError, match=r"gives no orientation of the patient|header is not valid"):
        load_scan(tmp_path / "a.nrrd")


def test_metaimage_without_directions_is_noted(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.int16))
    sitk.WriteImage(image, str(tmp_path / "a.mha"), False)
    lines = (tmp_path / "a.mha").read_bytes().splitlines(keepends=True)
    (tmp_path / "a.mha").write_bytes(b"".join(line for line in lines if not line.startswith(b"TransformMatrix")))
    scan = load_scan(tmp_path / "a.mha")
    assert "The header names no directions" in scan.source.warnings[0]


@pytest.mark.parametrize(
    ("join", "name"), [(sitk.Compose, "a.nrrd"), (sitk.Compose, "a.mha"), (sitk.JoinSeries, "a.mha")]
)
def test_channels(tmp_path, join, name):
    sitk.WriteImage(join([phantom_image(), phantom_image() + 1]), str(tmp_path / name))
    scan = load_scan(tmp_path / name)
    assert scan.channels == 2
    check(scan)
    np.testing.assert_array_equal(scan.array[1] - scan.array[0], 1)


def test_float64_becomes_float32(tmp_path):
    sitk.WriteImage(phantom_image(dtype=np.float64), str(tmp_path / "a.nrrd"))
    assert load_scan(tmp_path / "a.nrrd").array.dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("share", [0.05, 0.6, 0.99])
def test_truncated(tmp_path, name, compress, share):
    sitk.WriteImage(phantom_image((20, 20, 20)), str(tmp_path / name), compress)
    largest = max(tmp_path.iterdir(), key=lambda p: p.stat().st_size)
    cut_short(largest, share)
    with pytest.raises(MedsegError):
        load_scan(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_flipped_bit_in_compressed_data(tmp_path, name):
    """SimpleITK reads such a MetaImage without a word."""
    sitk.WriteImage(phantom_image((20, 20, 20)), str(tmp_path / name), True)
    flip(tmp_path / name, (tmp_path / name).stat().st_size * 2 // 3, 4)
    with pytest.raises(InputError, match=r"damaged|of the"):
        load_scan(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_header_that_promises_terabytes(tmp_path, name):
    sitk.WriteImage(phantom_image(), str(tmp_path / name), True)
    damage.replace(tmp_path / name, b"7 8 9", b"70000 8000 9000")
    with pytest.raises(MedsegError, match="70000 x 8000 x 9000"):
        load_scan(tmp_path / name)


@pytest.mark.parametrize("where", ["../a.raw", "/etc/passwd", "LIST", "a%03d.raw 1 9 1"])
def test_voxels_elsewhere_are_refused(tmp_path, where):
    sitk.WriteImage(phantom_image(), str(tmp_path / "a.mhd"))
    damage.replace(tmp_path / "a.mhd", b"a.raw", where.encode())
    with pytest.raises(InputError, match=r"another folder|several files"):
        load_scan(tmp_path / "a.mhd")


def test_units_other_than_mm(tmp_path):
    sitk.WriteImage(phantom_image(), str(tmp_path / "a.nrrd"), False)
    damage.replace(tmp_path / "a.nrrd", b"encoding:", b'space units: "um" "um" "um"\nencoding:')
    with pytest.raises(InputError, match="lengths are in um"):
        load_scan(tmp_path / "a.nrrd")


# --- labels


NAMED = LabelTable((replace(TABLE.classes[0], value=2), LabelClass(7, "lésion é", color=(1, 2, 3))))


@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.nrrd", "a.mha"])
def test_labels_there_and_back(tmp_path, name):
    affine = np.array([[-1.5, 0.2, 0, 10], [0.15, 2, 0.1, 20], [0, -0.1, 3, 30], [0, 0, 0, 1.0]])
    array = np.random.default_rng(0).choice([0, 2, 7], (5, 6, 7)).astype(np.uint8)
    affine[:3, :3] = np.linalg.qr(affine[:3, :3])[0] * [1.5, 2, 3]
    labels = LabelMap(array, Geometry(affine, array.shape), NAMED)
    itk.write_labels(labels, tmp_path / name)
    again = read_labels(tmp_path / name)
    np.testing.assert_array_equal(again.array, array)
    assert again.geometry.matches(labels.geometry)
    assert [c.value for c in again.table] == [2, 7]
    if name.endswith("nrrd"):
        assert again.table == labels.table


def slicer_layers(path, layers, segments):
    """Write as Slicer does: a list axis of layers, each segment naming its own."""
    array = np.stack(layers, axis=-1) if len(layers) > 1 else layers[0]
    image = sitk.GetImageFromArray(array.astype(np.uint8), isVector=len(layers) > 1)
    for index, (name, layer, value) in enumerate(segments):
        for key, text in (("ID", f"S{index}"), ("Name", name), ("Layer", layer), ("LabelValue", value)):
            if text is not None:
                image.SetMetaData(f"Segment{index}_{key}", str(text))
    sitk.WriteImage(image, str(path))


def test_layers_that_do_not_overlap_become_one_map(tmp_path):
    one, two = np.zeros((2, 4, 4, 4), np.uint8)
    one[0, 0, 0], two[1, 1, 1], two[2, 2, 2] = 1, 1, 2
    slicer_layers(tmp_path / "a.seg.nrrd", [one, two], [("a", 0, 1), ("b", 1, 1), ("c", 1, 2)])
    labels = read_labels(tmp_path / "a.seg.nrrd")
    assert [(c.value, c.name) for c in labels.table] == [(1, "a"), (2, "b"), (3, "c")]
    assert (labels.array[0, 0, 0], labels.array[1, 1, 1], labels.array[2, 2, 2]) == (1, 2, 3)


def test_segments_of_slicer_before_4_11_have_a_layer_each_and_name_none(tmp_path):
    one, two = np.zeros((2, 4, 4, 4), np.uint8)
    one[0, 0, 0], two[1, 1, 1] = 1, 1
    slicer_layers(tmp_path / "a.seg.nrrd", [one, two], [("a", None, None), ("b", None, None)])
    labels = read_labels(tmp_path / "a.seg.nrrd")
    assert (labels.array[0, 0, 0], labels.array[1, 1, 1], np.count_nonzero(labels.array)) == (1, 2, 2)


@pytest.mark.parametrize(
    ("layers", "segments", "message"),
    [
        (np.ones((2, 4, 4, 4), np.uint8), [("a", 0, 1), ("b", 1, 1)], "'a' and 'b' overlap"),
        (np.full((1, 4, 4, 4), 9, np.uint8), [("a", 0, 1)], r"\[9\] belong to no segment"),
    ],
)
def test_segments_that_overlap_and_values_of_none_are_refused(tmp_path, layers, segments, message):
    slicer_layers(tmp_path / "a.seg.nrrd", layers, segments)
    with pytest.raises((FormatLimitation, InputError), match=message):
        read_labels(tmp_path / "a.seg.nrrd")


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_sheared_grids_are_carried(tmp_path, name):
    affine = np.array([[1, 0, 0.4, 5], [0, 1, 0, 6], [0, 0, 2, 7], [0, 0, 0, 1.0]])
    labels = LabelMap(np.ones((4, 5, 6), np.uint8), Geometry(affine, (4, 5, 6)), LabelTable.unnamed([1]))
    itk.write_labels(labels, tmp_path / name)
    assert read_labels(tmp_path / name).geometry.difference(labels.geometry) < 1e-4


HEADER = (
    b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 7 6\n"
    b"space directions: (1,0,0) (0,1,0) (0,0,1)\nkinds: domain domain domain\nendian: little\nencoding: raw\n"
    b"space origin: (0,0,0)\n"
)
META = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\n"
    b"ElementSpacing = 1 1 1\nDimSize = 8 7 6\nElementType = MET_SHORT\n"
)
VOXELS = bytes(8 * 7 * 6 * 2)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.nrrd", HEADER + b"line skip: abc\n\n" + VOXELS, "no whole number"),
        ("a.nrrd", HEADER + b"byte skip: " + b"9" * 5000 + b"\n\n" + VOXELS, "no whole number"),
        ("a.mha", META + b"ElementNumberOfChannels = x\nElementDataFile = LOCAL\n" + VOXELS, "no whole number"),
        ("a.nrrd", HEADER + b"sizes:=9 9 9\n\n" + VOXELS, "a key called 'sizes'"),
        ("a.nrrd", HEADER + b"Encoding:=gzip\n\n" + VOXELS, "a key called 'Encoding'"),
        ("a.nrrd", HEADER + b"".join(b"k%d:=v\n" % k for k in range(30_000)) + b"\n" + VOXELS, "20,000 lines"),
        ("a.mha", META + b"".join(b"k%d = v\n" % k for k in range(30_000)) + b"ElementDataFile = LOCAL\n", "20,000"),
    ],
)
def test_a_header_that_is_odd_or_endless_is_refused_before_itk_reads_it(tmp_path, monkeypatch, name, content, words):
    monkeypatch.setattr(itk.sitk, "ImageFileReader", None)
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        itk.read_scan(path, "nrrd" if name.endswith("nrrd") else "meta")


@pytest.mark.parametrize("number", [0, 5])
def test_values_of_no_segment_are_refused_whatever_the_number_of_the_one_that_is_named(tmp_path, number):
    text = f"Segment{number}_ID:=a\nSegment{number}_LabelValue:=1\nSegment{number}_Layer:=0\n\n".encode()
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(HEADER + text + (b"\1\0\2\0" * 168))
    with pytest.raises(InputError, match=r"values \[2\] belong to no segment"):
        itk.read_labels(path, "nrrd")
    path.write_bytes(HEADER + text + (b"\1\0\0\0" * 168))
    assert [entry.name for entry in itk.read_labels(path, "nrrd").table] == ["a"]


def test_a_segment_without_an_id_is_refused_and_a_key_stays_a_key(tmp_path):
    path = tmp_path / "a.seg.nrrd"
    path.write_bytes(HEADER + b"Segment0_Name:=liver\n\n" + VOXELS)
    with pytest.raises(InputError, match="none of its segments has an id"):
        itk.read_labels(path, "nrrd")
    path.write_bytes(HEADER + b"note:=sizes: 1\n\n" + VOXELS)
    assert itk.read_scan(path, "nrrd").geometry.shape == (8, 7, 6)


ORIGIN, STEPS = b"space origin: (0,0,0)", b"space directions: (1,0,0) (0,1,0) (0,0,1)"
NRRD_PLACES = [
    (ORIGIN, b"space origin: (nan,nan,nan)", "3 numbers as space origin, not '\\(nan"),
    (ORIGIN, b"space origin: (1e300,0,0)", "origin would lie 1e\\+300 mm away"),
    (ORIGIN, b"space origin: (1,5,2,5,3)", "3 numbers as space origin"),
    (ORIGIN, ORIGIN + b"\nspace origin: (1,2,3)", "'space origin' twice"),
    (STEPS, b"space directions: (1e155,0,0) (0,1e155,0) (0,0,1e155)", "1e\\+155 mm large"),
    (STEPS, b"space directions: (1e-20,0,0) (0,1e-20,0) (0,0,1e-20)", "mm large"),
    (STEPS, b"space directions: (1e308,0,0) (0,1e308,0) (0,0,1e308)", "mm large"),
    (STEPS, b"space directions: none none none", "directions for the 3 axes"),
    (STEPS, b"space directions: (1,0,0) (0,1,0) none", "directions for the 3 axes"),
    (STEPS, b"space directions: (1,0,0) (0,1,0)", "for each of its 3 axes"),
    (STEPS, b"space directions: (1,0,0) (0,0,0) (0,0,1)", "cannot be inverted"),
    (STEPS, b"content: x", "gives no space directions"),
    (STEPS, b"spacings: 1 1 1", "gives no space directions"),
]
META_PLACES = [
    (b"Offset = 0 0 0", b"Offset = 10,5 20,5 30", "3 numbers as Offset, not '10,5 20,5 30'"),
    (b"Offset = 0 0 0", b"Offset = 10 20", "3 numbers as Offset"),
    (b"Offset = 0 0 0", b"Position = a a a", "3 numbers as Position"),
    (b"Offset = 0 0 0", b"Offset = inf 0 0", "3 numbers as Offset"),
    (b"Offset = 0 0 0", b"Offset = 1e30 0 0", "1e\\+30 mm away"),
    (b"Offset = 0 0 0", b"offset = 1 2 3", "not what its reader takes them for"),  # which ITK does not know
    (b"Offset = 0 0 0", b"Offset = 0 0 0\nOrigin = 1 2 3", "gives Offset twice, also as Origin"),
    (b"Spacing = 1 1 1", b"Spacing = 1 1 1\nElementSpacing = 2 2 2", "gives ElementSpacing twice"),
    (b"Spacing = 1 1 1", b"Spacing = 2 2 2 2 2", "3 numbers above 0 as ElementSpacing"),
    (b"Spacing = 1 1 1", b"Spacing = 0,5 0,5 2", "3 numbers above 0 as ElementSpacing"),
    (b"Spacing = 1 1 1", b"Spacing = -1 1 1", "3 numbers above 0 as ElementSpacing"),
    (b"Spacing = 1 1 1", b"Spacing = 1e20 1e20 1e20", "mm large"),
    (b"= 1 0 0 0 1 0 0 0 1", b"= 0 1 0 1 0 0", "9 numbers as TransformMatrix"),
    (b"= 1 0 0 0 1 0 0 0 1", b"= 2 0 0 0 2 0 0 0 2", "3 directions of length 1"),
    (b"NDims = 3", b"NDims = 9999999", "as NDims, not '9999999'"),  # by which ITK crashes
    (b"NDims = 3", b"NDims = 3\nBinaryDataByteOrderMSB = x", "True or False as BinaryDataByteOrderMSB"),
    (b"NDims = 3", b"NDims = 3\nCompressedDataSize = x", "no whole number for CompressedDataSize"),
    (b"ObjectType = Image", b"ObjectType = Tube", "ObjectType is not Image"),
]


@pytest.mark.parametrize(
    ("kind", "before", "after", "words"),
    [("nrrd", *case) for case in NRRD_PLACES] + [("meta", *case) for case in META_PLACES],
)
def test_a_header_that_does_not_say_in_full_where_the_voxels_lie_is_refused(tmp_path, kind, before, after, words):
    """ITK itself takes what it cannot read for something else, so that labels would lie in the wrong place."""
    whole = HEADER + b"\n" if kind == "nrrd" else META + b"ElementDataFile = LOCAL\n"
    assert whole.count(before) == 1
    path = tmp_path / "a"
    path.write_bytes(whole + VOXELS)
    itk.read_scan(path, kind)
    path.write_bytes(whole.replace(before, after) + VOXELS)
    with pytest.raises(InputError, match=words):
        itk.read_scan(path, kind)
    with pytest.raises(InputError, match=words):
        itk.look(path, kind)


@pytest.mark.parametrize(
    ("kind", "before", "after", "warnings"),
    [
        ("nrrd", ORIGIN, b"content: x", ["gives no space origin"]),
        ("nrrd", STEPS, b"Space Directions: ( 1 , 0,0)  (0,1.,0) (0,0,+1e0)", []),
        ("meta", b"Offset = 0 0 0", b"Comment = x", ["gives no Offset"]),
        ("meta", b"ElementSpacing = 1 1 1", b"Comment = x", ["gives no ElementSpacing"]),
        ("meta", b"ElementSpacing = 1 1 1", b"ElementSize = 1 1 1", []),
        ("meta", b"TransformMatrix", b"Orientation", []),
    ],
)
def test_what_a_format_leaves_out_by_its_own_rules_is_read_with_a_warning(tmp_path, kind, before, after, warnings):
    whole = HEADER + b"\n" if kind == "nrrd" else META + b"ElementDataFile = LOCAL\n"
    (tmp_path / "a").write_bytes(whole.replace(before, after) + VOXELS)
    scan = itk.read_scan(tmp_path / "a", kind)
    np.testing.assert_array_equal(scan.geometry.affine, np.diag([-1, -1, 1, 1]))
    assert [any(words in text for text in scan.source.warnings) for words in warnings] == [True] * len(warnings)
    assert len(scan.source.warnings) == len(warnings)


def test_a_reason_of_itk_is_said_without_the_places_in_its_code(tmp_path):
    (tmp_path / "a").write_bytes(HEADER.replace(b"endian: little", b"endian: middle") + b"\n" + VOXELS)
    with pytest.raises(InputError, match=r"header is not valid \(couldn't parse endian") as refused:
        itk.look(tmp_path / "a", "nrrd")
    assert "0x" not in str(refused.value)
    assert "_nrrd" not in str(refused.value)
