"""A manifest stands for a search: the same cases, the same bytes, and a file that is not the one listed is no case."""

import os
import re
import sys
import traceback
import zipfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from small_series import small_series

from medseg.engine.journal import hash_files
from medseg.engine.manifest import read_manifest
from medseg.engine.manifest_table import COLUMNS
from medseg.engine.predict import inputs_of
from medseg.engine.shard import Shard
from medseg.engine.stages.reading import Discover, Read
from medseg.engine.staging import Staged, stage
from medseg.errors import InputError, MissingDependency, UsageError
from medseg.harmless import TableWriter
from medseg.io.discover import discover
from medseg.io.files import addresses
from medseg.review.inspect import inspect
from medseg.types.channels import WantedChannel
from medseg.types.run import Inputs
from medseg.types.scan import Discovery
from medseg.types.stage import RunContext

MR = (WantedChannel("T1", "MR"), WantedChannel("FLAIR", "MR"))


def image(path: Path, value: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((4, 5, 6), value, np.int16), np.eye(4)), path)
    return path


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """A folder of one file, a DICOM series, a zip archive of another file, and a file that is none."""
    folder = tmp_path / "scans"
    image(folder / "one.nii.gz", 1)
    small_series(folder / "series", shape=(4, 4, 3))
    inner = image(tmp_path / "two.nii.gz", 2)
    with zipfile.ZipFile(folder / "more.zip", "w") as packed:
        packed.write(inner, "deep/two.nii.gz")
    (folder / "bad.nii.gz").write_bytes(b"nonsense")
    return folder


def write(path: Path, *rows: dict[str, Any]) -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as stream:
        writer = TableWriter(stream)
        writer.writerow(columns)
        writer.writerows([row.get(name, "") for name in columns] for row in rows)
    return path


def failed(discovery: Discovery) -> dict[str, str]:
    return {left.source: f"{left.reason}. {left.fix}" for left in discovery.skipped}


def bytes_of(found: Any) -> Any:
    staged = Staged()
    here, digest = stage(found, staged)
    case = Read(Read.Options()).run(here, RunContext(Path("/nowhere")))
    staged.close()
    assert found.recorded is None or found.recorded.archive == "" or not here.files[0].exists()
    return here.case_id, digest, case.scan.array.tobytes(), case.scan.geometry.affine.tobytes()


def test_a_manifest_gives_what_a_search_finds(scans: Path, tmp_path: Path) -> None:
    inspect(scans, manifest=tmp_path / "cases.csv")
    listed, found = read_manifest(tmp_path / "cases.csv"), discover([scans])
    assert sorted(map(bytes_of, listed.found)) == sorted(map(bytes_of, found.found))
    assert {(scan.description, scan.series_uid, scan.file_name) for scan in listed.found} == {
        (scan.description, scan.series_uid, scan.file_name) for scan in found.found
    }
    corrupt = [(left.case_id, left.path, left.reason, left.fix, left.source) for left in found.skipped if left.corrupt]
    assert corrupt == [(left.case_id, left.path, left.reason, left.fix, left.source) for left in listed.skipped]
    assert (tmp_path / "cases.csv").stat().st_mode & 0o777 == 0o600
    assert "scans/series" in (tmp_path / "cases.csv").read_text()  # below the manifest's folder


def test_the_folder_may_move_with_its_manifest_and_nothing_is_searched(
    scans: Path, tmp_path: Path, monkeypatch
) -> None:
    inspect(scans, manifest=scans / "cases.csv", headers_only=True)
    moved = scans.rename(tmp_path / "elsewhere")
    monkeypatch.setattr("medseg.io.discover.walk", lambda _: pytest.fail("it searched"))
    monkeypatch.setattr("os.walk", lambda *_, **__: pytest.fail("it searched"))
    assert len([bytes_of(found) for found in read_manifest(moved / "cases.csv").found]) == 3
    copied = (tmp_path / "cases.csv", moved)
    (moved / "cases.csv").rename(copied[0])
    assert len([bytes_of(found) for found in read_manifest(*copied).found]) == 3


@pytest.mark.parametrize("headers_only", [False, True])
def test_a_file_that_is_not_the_one_listed_is_no_case(scans: Path, tmp_path: Path, headers_only: bool) -> None:
    inspect(scans, manifest=tmp_path / "cases.csv", headers_only=headers_only)
    by_format = {scan.case_id: scan for scan in read_manifest(tmp_path / "cases.csv").found}
    one, (series,) = by_format["one"], [scan for scan in by_format.values() if scan.format == "dicom"]
    image(scans / "one.nii.gz", 7)
    with pytest.raises(InputError, match=r"bytes are not those|bytes, and|changed since"):
        stage(one, Staged())
    series.files[1].unlink()
    with pytest.raises(InputError, match="is not there"):
        stage(series, Staged())


def test_a_name_that_a_spreadsheet_did_not_save_as_utf8_is_called_so(scans: Path, tmp_path: Path) -> None:
    image(scans / "m\u00fcller.nii.gz", 3)
    inspect(scans, manifest=tmp_path / "cases.csv", root=scans)
    text = (tmp_path / "cases.csv").read_text(encoding="utf-8")
    (tmp_path / "cases.csv").write_bytes(text.encode("cp1252"))
    found = read_manifest(tmp_path / "cases.csv", scans).found
    (odd,) = [scan for scan in found if "ller" in scan.files[0].name]
    with pytest.raises(InputError, match="is not there") as caught:
        stage(odd, Staged())
    assert caught.value.fix is not None
    assert caught.value.fix.startswith("The manifest is not UTF-8")


def test_a_root_that_is_not_there_is_no_cases_that_failed(scans: Path, tmp_path: Path) -> None:
    inspect(scans, manifest=tmp_path / "cases.csv", root=scans)
    assert inputs_of((), tmp_path / "cases.csv", scans).paths == (scans,)
    with pytest.raises(UsageError, match="there is no such folder for the manifest's paths"):
        inputs_of((), tmp_path / "cases.csv", tmp_path / "nowhere")


def test_odd_names_come_back_as_they_were(tmp_path: Path) -> None:
    names = ["=cmd()", "a\nb", "a\\nb", "x,y", "\udcff", "'-1", " led"]
    for number, name in enumerate(names):
        image(tmp_path / "in" / f"plain{number}.nii.gz", number).rename(tmp_path / "in" / f"{name}.nii.gz")
    inspect(tmp_path / "in", manifest=tmp_path / "cases.csv")
    listed = read_manifest(tmp_path / "cases.csv")
    assert {scan.files[0].name for scan in listed.found} == {f"{name}.nii.gz" for name in names}
    assert all(stage(scan, Staged()) for scan in listed.found)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"case_id": "review", "path": "one.nii.gz"}, "'review' cannot be a case id. Write for instance case_review"),
        ({"case_id": "../up", "path": "one.nii.gz"}, "cannot be a case id"),
        ({"case_id": "run.1-of-2.json", "path": "one.nii.gz"}, "cannot be a case id"),
        ({"case_id": "", "path": "one.nii.gz"}, "column case_id: it is empty. Write an id"),
        ({"case_id": "a", "path": "../../etc/passwd"}, "leads upwards"),
        ({"case_id": "a", "path": "/etc/../etc/passwd"}, "leads upwards"),
        ({"case_id": "a", "path": "..\\x.nii"}, "leads upwards"),
        ({"case_id": "a", "path": ""}, "column path: it is empty"),
        ({"case_id": "a", "path": "d", "files": '["/etc/passwd"]'}, "leads out of its path"),
        ({"case_id": "a", "path": "d", "files": '["../x"]'}, "leads upwards|leads out of its path"),
        ({"case_id": "a", "path": "d", "files": "x;y"}, "column files: 'x;y' is no list in JSON"),
        ({"case_id": "a", "path": "/etc/passwd", "archive": "a.zip"}, "leads out of its path"),
        ({"case_id": "a", "path": "s3://b/x::file://y"}, "column path: it is no address of the form"),
        ({"case_id": "a", "path": "github://a:b@c/x"}, "not fetched from github:// addresses. Use .* s3://"),
        ({"case_id": "a", "path": "s3:/b/x"}, "no address of the form scheme://place"),
        ({"case_id": "a", "path": "file:/b/x"}, "no address of the form scheme://place"),
        ({"case_id": "a", "path": "simplecache::s3://b/x"}, "no address of the form scheme://place"),
        ({"case_id": "a", "path": "s3://"}, "column path: nothing follows s3://"),
        (
            {"case_id": "a", "path": "x", "archive": "foo://b/x.zip"},
            "column archive: scans are not fetched from foo://",
        ),
        ({"case_id": "a", "path": "file://other/x.nii"}, "names another machine"),
        ({"case_id": "a", "path": "x.nii", "format": "exe"}, "column format: 'exe' is no format. Write one of nifti"),
        ({"case_id": "a", "path": "x.nii", "size": "big"}, "column size: 'big' is no whole number"),
        ({"case_id": "a", "path": "x.nii", "size": "1,234"}, "no whole number"),
        ({"case_id": "a", "path": "x.nii", "size": "1_0"}, "no whole number"),
        ({"case_id": "a", "path": "x.nii", "size": "-1"}, "column size: '-1' is less than 0"),
        ({"case_id": "a", "path": "x.nii", "n_channels": "0"}, "column n_channels: '0' is less than 1"),
        ({"case_id": "a", "path": "x.nii", "n_channels": "nan"}, "column n_channels: 'nan' is no whole number"),
        ({"case_id": "a", "path": "x.nii", "series_number": "1.5"}, "column series_number: '1.5' is no whole number"),
        ({"case_id": "a", "path": "x.nii", "series_uid": "nan"}, "column series_uid: 'nan' stands for no UID. Empty"),
        ({"case_id": "a", "path": "x.nii", "study_uid": "None"}, "column study_uid: 'None' stands for no UID"),
        ({"case_id": "a", "path": "x.nii", "incomplete": "NaN"}, "column incomplete: 'NaN' is no reason"),
        ({"case_id": "a", "path": "x.nii", "incomplete": "no"}, "column incomplete: 'no' is no reason"),
        ({"case_id": "a", "path": "x.nii", "warnings": "nan"}, "column warnings: 'nan' is no list in JSON"),
        ({"case_id": "a", "path": "x.nii", "notes": "old"}, "column notes: 'old' is no list in JSON"),
        ({"case_id": "a", "path": "d", "files": '["x", "x"]'}, "column files: it names a file twice"),
        ({"case_id": "a", "path": "d", "volume": "t0"}, "column volume: 't0' is not as .* writes it.* or empty"),
        ({"case_id": "a", "path": "x.nii", "volume": '"t0"'}, "column volume: .* is of a DICOM series .*Empty"),
        ({"case_id": "a", "path": "x.nii", "channel": "-"}, "column channel: '-' is no name of a channel"),
        (
            {"case_id": "a", "path": "x.nii", "modified": "1,8E+09"},
            "column modified: .* was rounded, as",
        ),
        ({"case_id": "a", "path": "x.nii", "input_sha256": "0"}, "column input_sha256: '0' is no SHA-256"),
        ({"case_id": "a", "path": "x.nii", "modified": "nan"}, "no number of seconds"),
        (
            {"case_id": "a", "path": "x.nii", "verdict": "FALSCH"},
            "column verdict: 'FALSCH' is no verdict. Write one",
        ),
    ],
)
def test_a_row_that_cannot_be_costs_no_other(tmp_path: Path, row: dict[str, str], said: str) -> None:
    listed = read_manifest(write(tmp_path / "cases.csv", row, {"case_id": "good", "path": "good.nii.gz"}))
    assert listed.found[-1].case_id == "good"
    (text,) = failed(listed).values()
    assert re.search(said, text), text
    assert next(iter(failed(listed))) == "line 2 of cases.csv"


def test_no_message_about_a_cell_quotes_what_looks_like_a_patient(tmp_path: Path) -> None:
    """As where the cells of a row have slipped."""
    rows = [{"case_id": "Doe^Jane", "path": "one.nii"}, {"case_id": "b", "path": "x.nii", "format": "Doe, Jane"}]
    said = repr(failed(read_manifest(write(tmp_path / "cases.csv", *rows))))
    assert "Doe" not in said
    assert "column case_id: its text cannot be a case id. Write for instance file-" in said
    assert "column format: its text is no format" in said


def test_each_row_without_an_id_fails_and_each_cell_is_named_by_its_line(tmp_path: Path) -> None:
    rows = [{"case_id": "", "path": "a.nii"}, {"case_id": "", "path": "b.nii"}]
    assert len(failed(read_manifest(write(tmp_path / "cases.csv", *rows)))) == 2
    two = [
        {"case_id": "a", "channel": name, "path": f"{name}.nii", "size": size} for name, size in (("T1", 1), ("F", "x"))
    ]
    assert list(failed(read_manifest(write(tmp_path / "cases.csv", *two), channels=MR))) == ["line 3 of cases.csv"]


def test_one_scan_is_not_two_cases(tmp_path: Path) -> None:
    rows = [{"case_id": name, "path": f"{name[0]}.nii"} for name in ("a", "b", "a2")]
    listed = read_manifest(write(tmp_path / "cases.csv", *rows))
    assert [scan.case_id for scan in listed.found] == ["b"]
    assert "the scan is that of line 4, too. Correct the path" in failed(listed)["line 2 of cases.csv"]
    assert failed(read_manifest(tmp_path / "cases.csv", part=(3, 3))).keys() == {"line 4 of cases.csv"}


def test_a_file_has_the_channels_that_its_row_says(tmp_path: Path) -> None:
    image(tmp_path / "one.nii.gz")
    row = {"case_id": "a", "path": "one.nii.gz", "format": "nifti", "n_channels": 2}
    (found,) = read_manifest(write(tmp_path / "cases.csv", row)).found
    with pytest.raises(InputError, match=r"column n_channels says 2, and its file has 1 channel. Correct"):
        bytes_of(found)
    (found,) = read_manifest(write(tmp_path / "cases.csv", row | {"n_channels": 1})).found
    assert bytes_of(found)


def test_a_scan_that_is_gone_has_advice_that_fits_its_path(tmp_path: Path) -> None:
    rows = [{"case_id": "a", "path": "gone.nii"}, {"case_id": "b", "path": "/data/gone.nii"}]
    relative, absolute = read_manifest(write(tmp_path / "cases.csv", *rows)).found
    with pytest.raises(InputError, match="give the folder that the manifest's paths are relative to with --root"):
        stage(relative, Staged())
    with pytest.raises(InputError, match=r"replace the beginning of the paths in .* which --root does not change"):
        stage(absolute, Staged())


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("foo://bar", "--root: scans are not fetched from foo:// addresses. Use a path, or s3://"),
        ("s3:/bucket", "--root: it is no address of the form scheme://place"),
        ("s3://", "--root: nothing follows s3://"),
        ("file://other/x", "--root: it names another machine"),
        ("gs://bucket", "--root: gs:// addresses need gcsfs. .*pip install 'medseg\\[remote\\]' gcsfs"),
    ],
)
def test_a_root_that_cannot_be_one_ends_the_run_before_it_begins(tmp_path: Path, root: str, said: str) -> None:
    manifest = write(tmp_path / "cases.csv", {"case_id": "a", "path": "one.nii"})
    with pytest.raises((UsageError, MissingDependency)) as refused:
        inputs_of((), manifest, root)
    assert re.match(said, str(refused.value))
    assert refused.value.exit_code == 2


def test_a_corrupt_row_without_a_reason_has_a_fix(tmp_path: Path) -> None:
    listed = read_manifest(write(tmp_path / "cases.csv", {"case_id": "a", "path": "x.nii", "verdict": "Corrupt"}))
    assert re.search("is corrupt. Copy or export it again", failed(listed)["a"])


def test_whole_numbers_of_a_column_with_gaps_are_read(tmp_path: Path) -> None:
    row = {"case_id": "a", "path": "x.nii", "format": "nifti", "size": "73.0", "n_channels": "2,0"}
    (scan,) = read_manifest(write(tmp_path / "cases.csv", row)).found
    assert (scan.recorded.size, scan.n_channels) == (73, 2)
    (text,) = failed(read_manifest(write(tmp_path / "cases.csv", row | {"size": "1,000"}))).values()
    assert "no whole number" in text


def test_two_rows_of_one_id_are_none(tmp_path: Path) -> None:
    rows = [{"case_id": name, "path": f"{name}.nii"} for name in ("a", "b", "A")]
    listed = read_manifest(write(tmp_path / "cases.csv", *rows))
    assert [scan.case_id for scan in listed.found] == ["b"]
    assert "several rows have this case id (also line 4)" in failed(listed)["line 2 of cases.csv"]


def test_names_of_patients_become_hashes_unless_kept(tmp_path: Path) -> None:
    manifest = write(
        tmp_path / "c.csv", {"case_id": "Doe_Jane", "path": "Doe_Jane.nii"}, {"case_id": "ct-0123456789", "path": "x"}
    )
    assert [scan.case_id[:5] for scan in read_manifest(manifest).found] == ["file-", "ct-01"]
    assert "Doe" not in repr(
        [(scan.case_id, scan.file_name, scan.description) for scan in read_manifest(manifest).found]
    )
    assert read_manifest(manifest, keep_names=True).found[0].case_id == "Doe_Jane"


def test_what_is_no_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no column path"):
        read_manifest(write(tmp_path / "cases.csv", {"case_id": "a", "image": "x.nii"}))
    (tmp_path / "cases.csv").write_bytes(b'case_id,path\n"a')
    with pytest.raises(UsageError, match="cannot be read as a manifest"):
        read_manifest(tmp_path / "cases.csv")
    with pytest.raises(UsageError, match="--manifest names the cases"):
        inputs_of(["scans"], tmp_path / "cases.csv", None)
    with pytest.raises(UsageError, match="--root goes with --manifest"):
        inputs_of(["scans"], None, tmp_path)


def test_a_spreadsheet_may_have_saved_it(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_bytes("\ufeffpath;case_id\r\nx.nii;a\r\n;\r\n".encode())
    assert [scan.files for scan in read_manifest(tmp_path / "cases.csv").found] == [(tmp_path / "x.nii",)]


@pytest.mark.parametrize(
    "content",
    [
        "\ufeffsep=;\r\nCase ID;Path;modified\r\nA;x.nii;1,5\r\n".encode(),
        "case_id\tpath\tmodified\r\nA\tx.nii\t1,5\r\n".encode("utf-16"),  # "Unicode text"
        b"case_id , PATH,modified,\nA,x.nii,1.5,\n",
    ],
)
def test_what_excel_makes_of_a_table_is_read(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    (scan,) = read_manifest(tmp_path / "cases.csv").found
    assert (scan.case_id, scan.files, scan.recorded.modified) == ("A", (tmp_path / "x.nii",), 1.5)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\x03\x04" + bytes(9), "a spreadsheet's workbook. Save it as CSV"),
        (b"", "it is empty. Make it with"),
        (b"\x1f\x8b\x08\x00\x00", "it is no table of text. Make it with"),
        (b"case_id,path,path\na,x,y\n", "several columns path"),
        (b"case_id,path,n_channel\na,x,1\n", "column 'n_channel' is unknown. Did you mean 'n_channels'?"),
        (b"a,x.nii\nb,y.nii\n", "no column case_id and path. Name each column once in the first line"),
    ],
)
def test_a_table_that_cannot_be_one_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "cases.csv").write_bytes(content)
    with pytest.raises(UsageError) as refused:
        read_manifest(tmp_path / "cases.csv")
    assert said in str(refused.value)


def test_a_manifest_without_a_row_says_where_to_look(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no row, and so no case. Look at what `medseg inspect SCANS` says"):
        read_manifest(write(tmp_path / "cases.csv", dict.fromkeys(COLUMNS, "")))


def test_a_row_with_more_or_fewer_cells_than_the_header_is_none(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case_id,path,size,,\na,x,y.nii,3,,4\nb,y.nii\nc,z.nii,1,,,,\n")
    listed = read_manifest(tmp_path / "cases.csv")
    assert [scan.case_id for scan in listed.found] == ["c"]  # spreadsheets leave empty cells behind
    assert (
        "it has 2 cells, and the header 4. Write a comma for each empty cell" in failed(listed)["line 3 of cases.csv"]
    )
    assert "quotation marks around a comma" in failed(listed)["line 2 of cases.csv"]


def test_a_hash_in_capitals_and_a_time_without_its_fraction_are_those_of_the_file(tmp_path: Path) -> None:
    rows = []
    for number, time in enumerate((1795955878, 1795955880, 1795955878.3)):
        path = image(tmp_path / f"{number}.nii.gz")
        os.utime(path, (1e9, 1795955878.286))
        rows.append({"case_id": f"a{number}", "path": path.name, "format": "nifti", "modified": str(time)})
    path = image(tmp_path / "hashed.nii.gz")
    hashed_row = {"case_id": "h", "path": path.name, "format": "nifti", "input_sha256": hash_files([path]).upper()}
    same, later, other, hashed = read_manifest(write(tmp_path / "cases.csv", *rows, hashed_row)).found
    assert stage(same, Staged())[1] == stage(hashed, Staged())[1]
    for scan in (later, other):
        with pytest.raises(InputError, match="changed since"):
            stage(scan, Staged())


def test_shards_of_a_manifest_share_its_cases(tmp_path: Path) -> None:
    rows = [{"case_id": f"c{n}", "path": "../x" if n == 3 else f"{n}.nii"} for n in range(7)]
    manifest = write(tmp_path / "cases.csv", *rows)
    parts = [read_manifest(manifest, part=(k, 3)) for k in (1, 2, 3)]
    assert [[scan.case_id for scan in part.found] for part in parts] == [["c0", "c6"], ["c1", "c4"], ["c2", "c5"]]
    assert [part.elsewhere for part in parts] == [4, 5, 5]
    assert len({part.whole_list for part in parts}) == 1
    assert [len(part.skipped) for part in parts] == [1, 0, 0]
    assert Shard(2, 3).own(parts[1]) == parts[1]


def test_channels_of_a_case_are_rows_of_it(tmp_path: Path) -> None:
    for number in (1, 2):
        image(tmp_path / f"p{number}_T1.nii.gz", number)
        image(tmp_path / f"p{number}_FLAIR.nii.gz", 10 + number)
    rows = [
        {"case_id": "p1", "channel": "flair", "path": "p1_FLAIR.nii.gz"},
        {"case_id": "p1", "channel": "T1", "path": "p1_T1.nii.gz"},
    ]
    manifest = write(tmp_path / "cases.csv", *rows, {"case_id": "p2", "channel": "T1", "path": "p2_T1.nii.gz"})
    listed = read_manifest(manifest, channels=MR)
    (found,) = listed.found
    here, _ = stage(found, Staged())
    (scan,) = Read(Read.Options()).run(here, RunContext(tmp_path)).scans
    assert [int(channel.flat[0]) for channel in scan.array] == [1, 11]
    assert "no row for the channel FLAIR" in failed(listed)["line 4 of cases.csv"]


def test_channels_without_a_word_are_found_by_name(tmp_path: Path) -> None:
    rows = [
        {"case_id": name, "path": f"{name}.nii.gz", "format": "nifti"}
        for name in ("p1_T1", "p1_FLAIR", "p2_T1", "p2_FLAIR")
    ]
    manifest = write(tmp_path / "cases.csv", *rows)
    inputs = Inputs((tmp_path,), channels=MR, manifest=manifest, root=str(tmp_path), part=(1, 2))
    listed = Discover(Discover.Options()).run(inputs, RunContext(tmp_path / "out"))
    assert [scan.case_id for scan in listed.found] == ["p1", "p2"]
    assert listed.elsewhere is None  # all were needed to see which belong together


def test_addresses_are_fetched_case_by_case_and_taken_away(scans: Path, tmp_path: Path, monkeypatch) -> None:
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    for path in sorted(p for p in scans.rglob("*") if p.is_file()):
        files.pipe(f"/bucket/{path.relative_to(scans)}", path.read_bytes())
    inspect(scans, manifest=scans / "cases.csv")
    local = {scan.case_id: bytes_of(scan) for scan in read_manifest(scans / "cases.csv").found}
    monkeypatch.setenv("TMPDIR", str(tmp_path / "staging"))
    (tmp_path / "staging").mkdir()
    listed = read_manifest(scans / "cases.csv", "memory://bucket")
    assert {scan.case_id: bytes_of(scan) for scan in listed.found} == local
    assert list((tmp_path / "staging").iterdir()) == []
    # A row of an address and nothing else, of a file and of the folder of a series.
    bare = write(
        tmp_path / "bare.csv",
        {"case_id": "a", "path": "memory://bucket/one.nii.gz"},
        {"case_id": "b", "path": "memory://bucket/series"},
        {"case_id": "c", "path": "memory://bucket/none.nii"},
    )
    one, series, gone = read_manifest(bare).found
    assert bytes_of(one)[1:] == local["one"][1:]
    assert bytes_of(series)[2] in {whole[2] for whole in local.values()}
    with pytest.raises(InputError, match="nothing at this address"):
        stage(gone, Staged())
    files.pipe("/bucket/one.nii.gz", b"other")
    with pytest.raises(InputError, match="bytes are not those that the manifest lists"):
        stage(next(scan for scan in listed.found if scan.case_id == "one"), Staged())


class Refusing:
    """A file system whose errors name the address, as aiohttp's and many others do."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def isdir(self, _: str) -> bool:
        raise self.error


class Forbidden(Exception):
    status = 403


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Forbidden("403, url='https://h/Doe_Jane/a.nii.gz?sig=SECRET'"), "403 Forbidden"),
        (RuntimeError("no such key: Doe_Jane/a.nii.gz"), "RuntimeError"),
        (RuntimeError("denied to user:PASSWORD"), "RuntimeError"),
        (RuntimeError("see https://elsewhere/"), "RuntimeError"),
        (RuntimeError("the network is down"), "the network is down"),
    ],
)
def test_no_error_names_an_address(tmp_path: Path, monkeypatch, error: Exception, said: str) -> None:
    address = "https://user:PASSWORD@h/Doe_Jane/a.nii.gz?sig=SECRET"
    monkeypatch.setattr(addresses, "_file_system", lambda address: (Refusing(error), "x"))
    with pytest.raises(InputError, match="cannot be fetched") as caught:
        addresses.fetch(address, tmp_path)
    trace = "".join(traceback.format_exception(caught.value))
    assert f"a.nii.gz: it cannot be fetched ({said})" in str(caught.value)
    assert not any(private in trace for private in ("SECRET", "PASSWORD", "Doe_Jane"))


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://h/x/a.nii.gz?sig=S#top", "a.nii.gz"),
        ("https://h/x/a%20b.nii.gz", "a b.nii.gz"),
        ("s3://b/odd/a#b?c%20d.nii.gz", "a#b?c%20d.nii.gz"),
    ],
)
def test_the_name_at_an_address(address: str, name: str) -> None:
    assert addresses.name_of(address) == name


def test_without_fsspec_an_address_is_refused_in_a_sentence(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingDependency, match="addresses need fsspec") as caught:
        addresses.fetch("s3://bucket/x", tmp_path)
    assert "medseg[remote]" in str(caught.value)


def test_a_served_file_that_is_larger_than_it_says_is_cut_off(tmp_path: Path, monkeypatch) -> None:
    import io

    class Liar:
        def isdir(self, _: str) -> bool:
            return False

        def info(self, _: str) -> dict[str, int]:
            return {"size": 10}

        def open(self, *_: str) -> io.BytesIO:
            return io.BytesIO(bytes(11))

    monkeypatch.setattr(addresses, "_file_system", lambda address: (Liar(), "x"))
    with pytest.raises(Exception, match="larger than it says"):
        addresses.fetch("s3://bucket/x", tmp_path)


def test_every_column_is_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "manifest.md").read_text(encoding="utf-8")
    assert [name for name in COLUMNS if f"`{name}`" not in page] == []
