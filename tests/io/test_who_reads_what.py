"""Every format on every kind of grid, read by the programs it is for; the table in the docs says what came out.

Run as a program, this file writes that table anew.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from peer_tools import call, dicom_errors
from small_labels import MODEL, TABLE, no_labels, nrrd, some_labels
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, small_multiframe, small_series

from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.formats import WRITERS, Labeled, write
from medseg.io.itk import write_labels
from medseg.io.read import read_labels
from medseg.types import Geometry, LabelMap, LabelTable, Source

pytestmark = pytest.mark.peers
PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "writing.md"
MARK = "<!-- who reads what -->"
Places = dict[int, set[tuple[int, ...]]]
KINDS: dict[str, Callable[[Path], tuple[Source, Geometry]]] = {
    "axial": lambda folder: small_series(folder, orientation=AXIAL),
    "coronal": lambda folder: small_series(folder, orientation=CORONAL),
    "sagittal": lambda folder: small_series(folder, orientation=SAGITTAL),
    "oblique": lambda folder: small_series(folder, orientation=OBLIQUE),
    "reversed": lambda folder: small_series(folder, orientation=OBLIQUE, reverse=True),
    "tilted": lambda folder: small_series(folder, lean=(0, 0.9, 0)),
    "multi-frame": lambda folder: small_multiframe(folder / "mr.dcm"),
}


def places(array: np.ndarray, geometry: Geometry) -> Places:
    """World positions, in tenths of a millimeter, of the voxels of classes 1 and 2."""
    return {
        value: {tuple(p) for p in np.rint(geometry.to_world(np.argwhere(array == value)) * 10).astype(int)}
        for value in (1, 2)
    }


def of_medseg(path: Path, scan: Path, geometry: Geometry) -> Places:
    labels = read_rtstruct(path, geometry) if path.name.endswith(".rtstruct.dcm") else read_labels(path)
    return places(labels.array, labels.geometry)


def of_highdicom(path: Path, scan: Path, geometry: Geometry) -> Places:
    import highdicom as hd

    found = {}
    for number in (1, 2):
        volume = hd.seg.segread(path).get_volume(segment_numbers=[number], combine_segments=False)
        affine = np.diag([-1, -1, 1, 1]) @ volume.affine
        array = (volume.array[..., 0] >= 0.5).astype(int) * number
        found[number] = places(array, Geometry(affine, array.shape))[number]
    return found


def of_dcmqi(path: Path, scan: Path, geometry: Geometry) -> Places:
    out = path.parent / f"{path.stem}-dcmqi"
    out.mkdir(exist_ok=True)
    call("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", out, "--outputType", "nrrd")
    found: Places = {1: set(), 2: set()}
    for file in out.glob("*.nrrd"):
        array, grid = nrrd(file)
        if array.max() == 255:  # of fractions it gives the bytes, a file for each segment
            array = (array >= 128) * int(file.stem)
        both = places(array, grid)
        for number in (1, 2):
            found[number] |= both[number]
    return found


def of_plastimatch_contours(path: Path, scan: Path, geometry: Geometry) -> Places:
    out, grid_file = path.parent / "plastimatch", path.with_name("grid.nrrd")
    # It reads no multi-frame scans; there the grid is given to it as NRRD.
    write_labels(LabelMap(np.zeros(geometry.shape, np.uint8), geometry, LabelTable(())), grid_file)
    on = ("--referenced-ct", scan) if len(list(scan.iterdir())) > 1 else ("--fixed", grid_file)
    call("plastimatch", "convert", "--input", path, *on, "--output-prefix", out, "--prefix-format", "nrrd")
    found = {}
    for number, entry in enumerate(TABLE.classes[:2], start=1):
        (file,) = out.glob(f"*{entry.name[:2]}*.nrrd")
        array, grid = nrrd(file)
        found[number] = places((array > 0) * number, grid)[number]
    return found


def of_plastimatch(path: Path, scan: Path, geometry: Geometry) -> Places:
    out = path.with_name("plastimatch.nrrd")
    out.unlink(missing_ok=True)
    call("plastimatch", "convert", "--input", path, "--output-img", out)
    return places(*nrrd(out))


def of_simpleitk(path: Path, scan: Path, geometry: Geometry) -> Places:
    return places(*nrrd(path))


def of_nibabel(path: Path, scan: Path, geometry: Geometry) -> Places:
    import nibabel as nib

    image = nib.load(path)
    return places(np.asarray(image.dataobj), Geometry(image.affine, image.shape))


def of_slicerio(path: Path, scan: Path, geometry: Geometry) -> Places:
    slicerio = pytest.importorskip("slicerio")
    segmentation = slicerio.read_segmentation(str(path))
    grid = Geometry(np.diag([-1, -1, 1, 1]) @ segmentation["ijkToLPS"], segmentation["voxels"].shape)
    named = [(s["labelValue"], s["name"]) for s in segmentation["segments"]]
    assert named[0] == (1, "liver")
    assert segmentation["segments"][0]["terminology"]["type"] == ["SCT", "10200004", "Liver"]
    return places(segmentation["voxels"], grid)


SEGMENTATIONS = {"medseg": of_medseg, "highdicom": of_highdicom, "dcmqi": of_dcmqi}
READERS: dict[str, dict[str, Callable[[Path, Path, Geometry], Places]]] = {
    "nifti": {"nibabel": of_nibabel, "SimpleITK": of_simpleitk},
    "nrrd": {"SimpleITK": of_simpleitk, "slicerio": of_slicerio, "plastimatch": of_plastimatch},
    "dicom-seg": {**SEGMENTATIONS, "plastimatch": of_plastimatch},
    "dicom-seg-labelmap": SEGMENTATIONS,
    "dicom-seg-fractional": SEGMENTATIONS,
    "rtstruct": {"medseg": of_medseg, "plastimatch": of_plastimatch_contours},
}


def judge(read: Callable[[], Places], truth: Places) -> str:
    """``same``, ``wrong``, or ``rejected`` where the program says no or dies."""
    try:
        found = read()
    except pytest.skip.Exception:
        raise
    except BaseException:  # each program has its own way to say no
        return "rejected"
    return "same" if found == truth else "wrong"


def measured(kind: str, folder: Path) -> dict[tuple[str, str], str]:
    """What each reader makes of each format."""
    source, geometry = KINDS[kind](folder / "scan")
    labels = some_labels(geometry)
    labels.array[3:5, 4:5, 2] = 0  # a hole
    truth = places(labels.array, geometry)
    answers = {}
    for name, readers in READERS.items():
        (path, *_), *_ = write(name, Labeled(labels, source, MODEL), folder / name)
        for program, read in readers.items():
            answers[name, program] = judge(lambda p=path, r=read: r(p, folder / "scan", geometry), truth)
    return answers


def table(columns: dict[str, dict[tuple[str, str], str]]) -> str:
    lines = [f"| format | read by | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for row in next(iter(columns.values())):
        cells = [columns[kind][row] for kind in columns]
        lines.append(f"| `{row[0]}` | {row[1]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def told() -> dict[tuple[str, str], dict[str, str]]:
    """What the docs say: format and reader to kind of grid to answer."""
    lines = [line for line in PAGE.read_text(encoding="utf-8").split(MARK)[1].splitlines() if line.startswith("| ")]
    head, *rows = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]
    return {(row[0], row[1]): dict(zip(head[2:], row[2:], strict=True)) for row in rows}


@pytest.mark.parametrize("kind", KINDS)
def test_the_docs_say_what_each_program_makes_of_it(tmp_path, kind):
    said = told()
    answers = measured(kind, tmp_path)
    assert answers == {row: said[row][kind] for row in answers}
    assert answers.keys() == said.keys()
    assert all(answer == "same" for (_, program), answer in answers.items() if program == "medseg")


def test_what_readers_get_wrong_is_said_when_it_is_written():
    """Where the docs say `wrong` or `rejected` of tilted slices, writing says so too."""
    for (name, _), answers in told().items():
        if answers["axial"] == "same" and answers["tilted"] != "same":
            assert WRITERS[name].tilted, name


def test_the_judge_sees_a_voxel_out_of_place(tmp_path):
    _, geometry = KINDS["oblique"](tmp_path)
    labels = some_labels(geometry)
    moved = LabelMap(np.roll(labels.array, 1, axis=2), geometry, TABLE)
    truth = places(labels.array, geometry)
    assert judge(lambda: places(labels.array, geometry), truth) == "same"
    assert judge(lambda: places(moved.array, geometry), truth) == "wrong"


@pytest.mark.parametrize("kind", ["axial", "oblique", "tilted", "multi-frame"])
def test_dciodvfy_finds_no_error(tmp_path, kind):
    """But in Label Map Segmentations, a class younger than it."""
    source, geometry = KINDS[kind](tmp_path / "scan")
    for labels in (some_labels(geometry), no_labels(geometry)):
        for name in ("dicom-seg", "dicom-seg-fractional", "rtstruct", "sr", "sc"):
            for path in write(name, Labeled(labels, source, MODEL), tmp_path / "out")[0]:
                assert path.suffix == ".json" or dicom_errors(path) == [], name


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        columns = {kind: measured(kind, Path(temporary) / kind) for kind in KINDS}
    page = PAGE.read_text(encoding="utf-8")
    before, _, after = page.split(MARK)
    PAGE.write_text(f"{before}{MARK}\n{table(columns)}\n{MARK}{after}", encoding="utf-8")
    sys.stdout.write(re.sub(r"`", "", table(columns)) + "\n")
