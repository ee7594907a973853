import json
import re
import shutil
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from shared_data import DATA
from small_files import volume

from medseg.cli.app import run
from medseg.data.audit import audit
from medseg.data.findings import KINDS
from medseg.data.layouts import read_dataset
from medseg.data.patient_groups import group_by_patient
from medseg.data.splits import sides, split_cases
from medseg.draw.audit_page import write_audit
from medseg.draw.thumbnail import case_thumbnail

SHAPE = (12, 11, 10)
CASES = 10


def labels_of(number):
    labels = np.zeros(SHAPE, np.uint8)
    labels[2 : 6 + number % 3, 3:7, 2:6] = 1
    labels[8:11, 2:5, 4 : 7 + number % 2] = 2
    labels[0, 0, number] = 1
    return labels


def image_of(number):
    random = np.random.default_rng(number)
    return (random.normal(100, 5, SHAPE) + 60 * (labels_of(number) > 0)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten good cases."""
    for number in range(CASES):
        volume(tmp_path / "images" / f"c{number}.nii.gz", image_of(number))
        volume(tmp_path / "labels" / f"c{number}.nii.gz", labels_of(number))
    return tmp_path


def found(folder, **options):
    return {(f.kind, f.case_id) for f in audit(read_dataset(folder), **options).findings}


def test_a_good_dataset_has_nothing(folder):
    assert found(folder) == set()
    assert len(audit(read_dataset(folder)).clean) == CASES


def truncate(path):
    path.write_bytes(path.read_bytes()[:900])


def replace(folder, files, depth=1):
    """Put other files, by folder, in the place of those of case c3: an array, or what is done to the path."""
    for part, content in files.items():
        path = folder / part / "c3.nii.gz"
        content(path) if callable(content) else volume(path, content, spacing=(1, 1, depth))


IMAGE, LABELS = image_of(3), labels_of(3)
CONSTANT = np.full(SHAPE, 7.0, np.float32)
SLAB = np.arange(SHAPE[0])[:, None, None] == 1


@pytest.mark.parametrize(
    ("kind", "files", "depth"),
    [
        ("unreadable", {"images": truncate}, 1),
        ("unreadable", {"images": np.where(SLAB, np.nan, IMAGE).astype(np.float32)}, 1),
        ("image-is-labels", {"images": LABELS}, 1),
        ("constant", {"images": CONSTANT}, 1),
        ("clipped", {"images": np.minimum(IMAGE, 105)}, 1),
        ("unusual-intensity", {"images": 100 * IMAGE}, 1),
        ("unusual-contrast", {"images": IMAGE[::-1, ::-1, ::-1]}, 1),
        ("unusual-spacing", {"images": IMAGE, "labels": LABELS}, 5),
        ("reference-grid", {"labels": LABELS}, 2),
        ("empty-reference", {"labels": np.zeros(SHAPE, np.uint8)}, 1),
        ("rare-class", {"labels": np.where(LABELS == 2, np.uint8(0), LABELS)}, 1),
        ("missing-reference", {"labels": Path.unlink}, 1),
    ],
)
def test_each_thing_wrong_is_found_in_its_case(folder, kind, files, depth):
    replace(folder, files, depth)
    seen = found(folder)
    assert (kind, "c3") in seen
    assert {case for _, case in seen} == {"c3"}
    result = audit(read_dataset(folder))
    assert ("c3" in result.clean) == (not KINDS[kind].blocks and kind != "missing-reference")


def test_a_label_on_the_grid_of_another_case_names_it(folder):
    other = tuple(n + 2 for n in SHAPE)
    volume(folder / "images" / "c5.nii.gz", np.random.default_rng(5).normal(100, 5, other).astype(np.float32))
    volume(folder / "labels" / "c5.nii.gz", np.pad(labels_of(5), 1))
    volume(folder / "labels" / "c3.nii.gz", np.pad(labels_of(3), 1))
    (finding,) = [f for f in audit(read_dataset(folder)).findings if f.kind == "reference-grid"]
    assert finding.case_id == "c3"
    assert finding.message.endswith("The label's grid is that of c5.")


def test_the_same_label_under_two_images_blocks_both(folder):
    volume(folder / "labels" / "c4.nii.gz", labels_of(3))
    assert set(audit(read_dataset(folder)).blocked) == {"c3", "c4"}


def test_duplicates_matter_more_across_the_split(folder):
    data = read_dataset(folder)
    side = sides(split_cases(data.labeled, folds=5, fold=0, seed=0))
    held_out = next(name for name, part in side.items() if part == "validation")
    trained, other = [name for name, part in side.items() if part == "train"][:2]
    for kind in ("images", "labels"):
        shutil.copy(folder / kind / f"{trained}.nii.gz", folder / kind / f"{other}.nii.gz")
    first = min(trained, other)
    assert found(folder, side=side) == {("duplicate", first)}
    for kind in ("images", "labels"):
        shutil.copy(folder / kind / f"{trained}.nii.gz", folder / kind / f"{held_out}.nii.gz")
    result = audit(read_dataset(folder), side=side)
    assert set(result.blocked) == {trained, other, held_out}


def test_a_patient_in_two_parts_is_found_and_not_named(folder):
    rows = ["case,image,label,group,split"]
    for number in range(CASES):
        split = "validation" if number > 7 else "train"
        group = "Anna Bauer" if number in (7, 8) else f"p{number}"
        rows.append(f"c{number},images/c{number}.nii.gz,labels/c{number}.nii.gz,{group},{split}")
    (folder / "d.csv").write_text("\n".join(rows) + "\n")
    data = read_dataset(folder / "d.csv")
    result = audit(data, side=sides(split_cases(data.labeled, folds=5, fold=0, seed=0)))
    assert set(result.blocked) == {"c7", "c8"}
    assert "Anna" not in str(result.findings)


def test_values_no_class_has_and_classes_no_label_has(folder):
    said = {"labels": {"liver": 1, "spleen": 3}, "cases": "d.csv"}
    rows = [f"c{n},images/c{n}.nii.gz,labels/c{n}.nii.gz" for n in range(CASES)]
    (folder / "d.csv").write_text("\n".join(["case,image,label", *rows]) + "\n")
    (folder / "d.yaml").write_text(json.dumps(said))
    for number in range(CASES - 1):
        volume(folder / "labels" / f"c{number}.nii.gz", (labels_of(number) == 1).astype(np.uint8))
    seen = found(folder / "d.yaml")
    assert ("unknown-class", "c9") in seen
    assert ("missing-class", None) in seen


def test_files_of_no_case_are_found(folder):
    (folder / "labels" / "stray.nii.gz").write_bytes(b"x")
    (folder / "labels" / "notes.txt").write_text("x")
    findings = audit(read_dataset(folder)).findings
    assert [f.message for f in findings] == ["stray.nii.gz in labels belongs to no case."]


def test_many_scans_from_another_scanner_are_not_unusual(folder):
    for number in range(4):
        volume(folder / "images" / f"c{number}.nii.gz", 50 * image_of(number))
    assert found(folder) == set()


def test_the_report_is_one_file_with_pictures(folder, tmp_path):
    replace(folder, {"images": truncate, "labels": LABELS}, depth=2)
    volume(folder / "labels" / "c6.nii.gz", np.zeros(SHAPE, np.uint8))
    out = tmp_path / "out"
    write_audit(audit(read_dataset(folder)), out)
    content = json.loads((out / "audit.json").read_text())
    assert content["blocked"].keys() == {"c3"}
    assert len(content["clean"]) == CASES - 1
    page = (out / "audit.html").read_text()
    assert page.count("data:image/png") == 1
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("damaged", [False, True])
def test_the_report_has_contents_of_all_its_parts_whatever_was_found(folder, tmp_path, damaged):
    if damaged:
        replace(folder, {"images": truncate, "labels": LABELS}, depth=2)
    write_audit(audit(read_dataset(folder)), tmp_path)
    page = (tmp_path / "audit.html").read_text()
    contents = page.partition('<nav class="contents"')[2].partition("</nav>")[0]
    titles = [re.sub("<[^>]+>", "", title) for title in re.findall(r"<h2[^>]*>(.*?)</h2>", page)]
    assert re.findall(r'<a href="#part-\d">([^<]+)</a>', contents) == titles
    assert titles[0] == "The dataset"
    assert ("Findings" in titles) != damaged


def test_the_command_exits_with_3_when_something_blocks(folder, tmp_path, capsys):
    assert run(["audit", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["blocked"] == {}
    replace(folder, {"images": CONSTANT})
    assert run(["audit", str(folder), "--out", str(tmp_path / "out")]) == 3
    assert "blocks  c3  constant image" in capsys.readouterr().out
    assert (tmp_path / "out" / "audit.html").is_file()


@pytest.mark.needs_data("data/hippocampus", "data/membranes_em")
@pytest.mark.parametrize("name", ["hippocampus", "membranes_em"])
def test_real_datasets_are_not_blocked(name):
    result = audit(read_dataset(DATA / name))
    assert result.blocked == {}
    assert len(result.findings) < 5


def test_thumbnails_show_the_outline_where_it_lies(folder):
    labels = np.zeros(SHAPE, np.uint8)
    labels[8:11, 8:10, 5] = 1
    volume(folder / "labels" / "c3.nii.gz", labels)
    data = read_dataset(folder)
    case = next(c for c in data.cases if c.case_id == "c3")
    picture = np.asarray(Image.open(BytesIO(b64decode(case_thumbnail(data, case).split(",")[1])))).astype(int)
    colored = np.argwhere(np.ptp(picture, axis=2) > 40)
    rows, columns = colored.mean(axis=0) / picture.shape[:2]
    # In nibabel's RAS, large x is the patient's right, shown on the left; large y is anterior, shown at the top.
    assert columns < 0.4
    assert rows < 0.4
    assert nib.aff2axcodes(np.eye(4)) == ("R", "A", "S")


def broken_in(name):
    def change(folder):
        file = folder / "labels" / "c3.nii.gz" if name != "image" else folder / "images" / "c3.nii.gz"
        array = LABELS.astype(np.float32)
        if name in ("corrupt", "image"):
            file.write_bytes(file.read_bytes()[:60])
        elif name == "fractions":
            volume(file, array * 0.5)
        elif name == "negative":
            volume(file, array - 1)
        elif name == "nan":
            volume(file, np.where(array > 0, np.nan, 0).astype(np.float32))
        elif name == "text":
            file.write_text("not a NIfTI file")

    return change


@pytest.mark.parametrize("name", ["corrupt", "image", "fractions", "negative", "nan", "text"])
def test_a_bad_file_is_a_finding_of_its_case_and_the_others_are_examined(folder, name):
    broken_in(name)(folder)
    result = audit(read_dataset(folder))
    assert {(f.kind, f.case_id) for f in result.findings} == {("unreadable", "c3")}
    assert len(result.clean) == CASES - 1


def test_a_decoder_that_raises_in_its_own_words_does_not_end_the_audit(folder, monkeypatch):
    from medseg.io import nifti

    real = nifti.read_scan

    def read(path):
        if path.name == "c3.nii.gz":
            raise ValueError("cannot reshape")
        return real(path)

    monkeypatch.setattr(nifti, "read_scan", read)
    assert found(folder) == {("unreadable", "c3")}


def test_files_of_macos_are_not_cases(folder):
    for part in ("images", "labels"):
        (folder / part / "._c3.nii.gz").write_bytes(b"\0\5\x16\7" + bytes(100))
    assert len(read_dataset(folder).cases) == CASES
    assert found(folder) == set()


def test_a_label_stored_in_another_order_is_a_note(folder):
    path = folder / "labels" / "c3.nii.gz"
    affine = np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = SHAPE[0] - 1
    nib.save(nib.Nifti1Image(LABELS[::-1].copy(), affine), path)
    result = audit(read_dataset(folder))
    assert {(f.kind, f.case_id, f.blocks) for f in result.findings} == {("reference-order", "c3", False)}


@pytest.mark.parametrize(("empty", "kind", "blocks"), [([1], "constant-channel", False), ([0, 1], "constant", True)])
def test_a_channel_filled_with_zeros_is_a_finding_and_an_image_without_any_blocks(folder, empty, kind, blocks):
    for number in range(CASES):
        image = np.stack([image_of(number), image_of(number) + 1], -1)
        image[..., empty if number == 3 else []] = 0
        volume(folder / "images" / f"c{number}.nii.gz", image)
    result = audit(read_dataset(folder))
    assert {(f.kind, f.case_id, f.blocks) for f in result.findings if "constant" in f.kind} == {(kind, "c3", blocks)}


@pytest.mark.parametrize(
    ("names", "voxels", "kind"),
    [
        (("c3", "c4"), 200, "same-reference"),
        (("sub-1_T1w", "sub-1_T2w"), 200, "shared-reference"),
        (("c3", "c4"), 9, "shared-reference"),
    ],
)
def test_one_label_of_two_images_blocks_only_where_they_are_of_two_patients(folder, names, voxels, kind):
    labels = np.zeros(SHAPE, np.uint8)
    labels.flat[np.arange(voxels)] = 1
    labels.flat[-voxels // 2 :] = 2
    for part in ("images", "labels"):
        for number, name in zip((3, 4), names, strict=True):
            (folder / part / f"c{number}.nii.gz").rename(folder / part / f"{name}.nii.gz")
    for name in names:
        volume(folder / "labels" / f"{name}.nii.gz", labels)
    data = group_by_patient(read_dataset(folder))
    assert {f.kind for f in audit(data).findings if "-reference" in f.kind} == {kind}
    assert KINDS[kind].blocks == (kind == "same-reference")


@pytest.mark.parametrize(("names", "kind"), [(("s_3", "s_4"), "shared-reference"), (("s_3", "s_7"), "same-reference")])
def test_slices_side_by_side_may_have_one_label(tmp_path, names, kind):
    for number, name in enumerate(names):
        volume(tmp_path / "images" / f"{name}.nii.gz", image_of(number)[..., 3:4])
        volume(tmp_path / "labels" / f"{name}.nii.gz", np.ones((*SHAPE[:2], 1), np.uint8))
    assert {f.kind for f in audit(read_dataset(tmp_path)).findings if "-reference" in f.kind} == {kind}


def test_2d_images_among_volumes_are_said(folder):
    volume(folder / "images" / "c3.nii.gz", image_of(3)[..., 3:4])
    volume(folder / "labels" / "c3.nii.gz", labels_of(3)[..., 3:4])
    (finding,) = [f for f in audit(read_dataset(folder)).findings if f.kind == "mixed-dimensions"]
    assert finding.message == "1 of 10 cases have one slice, the others several: c3."


@pytest.mark.parametrize("value", [0.5, -1.0])
def test_labels_of_which_none_can_be_read_are_each_a_finding(folder, value):
    for number in range(CASES):
        volume(folder / "labels" / f"c{number}.nii.gz", (labels_of(number) * value).astype(np.float32))
    result = audit(read_dataset(folder))
    assert {f.kind for f in result.findings if f.blocks} == {"unreadable"}
    assert (len(result.blocked), result.clean) == (CASES, ())
