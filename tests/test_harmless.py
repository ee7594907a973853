import csv
import io
import json
import logging
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from reviewed_results import make_results
from run_here import log_restored
from small_nifti import phantom, save

import medseg
from medseg.cli.app import run
from medseg.draw.page import harmless
from medseg.errors import InputError
from medseg.harmless import (
    HarmlessStream,
    TableWriter,
    cell,
    from_cell,
    harmless_output,
    json_text,
    name_from_cell,
    one_line,
    printable,
    trusted,
)
from medseg.io.itk import write_labels
from medseg.review.opening import open_store
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

# Every character that Unicode calls a control or half of a pair, and those that separate lines.
KINDS = ("Cc", "Cs", "Zl", "Zp")
CONTROLS = [chr(n) for n in range(0x11000) if unicodedata.category(chr(n)) in KINDS]
DIRECTIONS = [chr(n) for n in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)]


@pytest.mark.parametrize("text", ["plain", "Leber, links", "mm² 中文 é", "a  b", "100%"])
def test_what_is_ordinary_stays(text):
    assert printable(text) == one_line(text) == cell(text) == text


def test_no_control_character_passes():
    for sign in CONTROLS + DIRECTIONS:
        line = one_line(f"a{sign}b")
        assert line.isascii(), hex(ord(sign))
        assert line.isprintable(), hex(ord(sign))
        assert line.startswith("a\\")
        assert printable(f"a{sign}b") == (line if sign not in "\t\n" else f"a{sign}b")


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@given(st.text())
def test_a_row_stays_a_row_and_no_cell_is_a_formula(text):
    stream = io.StringIO()
    TableWriter(stream).writerows([[text, 1.5], ["second", 2]])
    rows = list(csv.reader(io.StringIO(stream.getvalue())))
    assert len(rows) == 2
    first = rows[0][0]
    assert not first.startswith(("=", "+", "@")) or len(first) == 1 or is_number(first)
    assert from_cell(first) in (one_line(text), one_line(text)[1:])
    if "\\" not in text and not text.startswith("'"):
        assert name_from_cell(first) == text


FORMULAS = ["=1+1", '=HYPERLINK("http://e")', "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", " =1", "\uff1d1", "-x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_become_text_and_numbers_stay_numbers(text):
    assert cell(text) == f"'{text}"
    assert from_cell(f"'{text}") == text
    for number in ("-1", "+1.5e-3", "-.5", "nan", "-inf", "-"):
        assert cell(number) == number
    assert cell(-1.5) == -1.5


def test_an_error_about_an_odd_file_is_one_line():
    assert str(InputError("bad", where="a\nb\x1b[31m.nii")) == "a\\nb\\x1b[31m.nii: bad"


def test_a_page_shows_what_a_file_says_and_obeys_nothing():
    text = Environment(autoescape=True, finalize=harmless).from_string("{{ a }}").render(a="<b>\x1b[2J\u202e")
    assert text == "&lt;b&gt;\\x1b[2J\\u202e"


def test_the_streams_of_a_verb_pass_nothing_harmful_but_what_is_trusted(capsys):
    with harmless_output():
        sys.stdout.write("\x1b[2Jx\n")
        sys.stderr.write("\x07")
        trusted(sys.stdout).write("\x1b[1mbold")
        assert isinstance(sys.stdout, HarmlessStream)
        assert not sys.stdout.isatty()
    said = capsys.readouterr()
    assert said.out == "\\x1b[2Jx\n\x1b[1mbold"
    assert said.err == "\\x07"


@pytest.mark.parametrize("verb", ["inspect", "convert", "predict"])
def test_the_name_of_a_file_reaches_no_terminal_and_no_table_raw(tmp_path, capsys, verb):
    scans = tmp_path / "scans"
    scans.mkdir()
    save(scans / "a\x1b[2Jb\nc.nii.gz", phantom())
    (scans / "=1+1\x1b]0;title\x07\n.nii").write_bytes(b"x")
    out = tmp_path / "out"
    more = {
        "inspect": [], "convert": ["-o", str(out)], "predict": ["-o", str(out), "-m", "hippocampus", "--dry-run"],
    }[verb]  # fmt: skip
    run([verb, str(scans), *more])
    said = "".join(capsys.readouterr())
    assert "title" in said or verb == "predict"
    assert not any(sign in said for sign in CONTROLS if sign not in "\n\t")
    for path in out.rglob("*"):
        if path.is_file() and path.suffix in (".csv", ".html", ".log", ".json"):
            assert not any(sign in path.read_text() for sign in CONTROLS if sign not in "\n\t"), path.name


@pytest.mark.parametrize("name", ["a\nb", "a\tb", "a\x1b[2Jb", "a\u2028b"])
def test_a_name_breaks_no_line_of_a_review(tmp_path, capsys, name):
    """Of readers, reasons, files and cases: a line a case or file, with as many cells as it has without."""
    results = make_results(tmp_path)
    wrong = tmp_path / f"{name}.nii.gz"
    save(wrong, phantom((3, 4, 5)))
    with open_store(results, create=True) as store:
        store.verdict("scan_0", kind="reject", revision=0, who="Ada", reason="boundary", comment=name)
    capsys.readouterr()
    run(["review", "import", str(results), str(wrong), "--reviewer", "Ada"])
    said = capsys.readouterr()
    assert [line.count("\t") for line in said.out.splitlines()] == [6]
    assert not any(sign in said.out + said.err for sign in CONTROLS if sign not in "\n\t")
    assert name not in said.err
    run(["review", "status", str(results)])
    assert [line.count("\t") for line in capsys.readouterr().out.splitlines()] == [4, 4]


def test_a_message_of_the_log_is_one_line(capsys, tmp_path):
    with log_restored():
        logging.getLogger("medseg").handlers.clear()
        run(["inspect", str(tmp_path)])
        logging.getLogger("medseg").warning("%s: skipped", "a\nb\tc")
    assert capsys.readouterr().err.splitlines()[-1] == "a\\nb\\tc: skipped"


def test_the_name_of_a_class_reaches_no_page_table_or_line_raw(tmp_path, capsys):
    """Also not by way of charts, and no spreadsheet runs it."""
    name = "=1+1\x1b[31m<script>alert(1)</script>\n\u202e\x9bx"
    table = LabelTable((LabelClass(1, name), LabelClass(2, "@SUM(A1)")))
    files = []
    for number in (4, 6):
        array = np.zeros((12, 11, 9), np.uint8)
        array[2:7, 2:6, 2:number], array[8:11, 2:6, 2:5] = 1, 2
        files.append(tmp_path / f"{number}.seg.nrrd")
        write_labels(LabelMap(array, Geometry(np.eye(4), array.shape), table), files[-1])
    before, after = map(str, files)
    assert run(["follow", before, after, "--registered", "--out", str(tmp_path / "follow")]) == 0
    assert run(["evaluate", before, after, "--out", str(tmp_path / "evaluate")]) == 0
    said = "".join(capsys.readouterr())
    assert not any(sign in said for sign in CONTROLS + DIRECTIONS if sign not in "\n\t")
    written = [path for path in tmp_path.rglob("*") if path.suffix in (".csv", ".tsv", ".html", ".log")]
    assert {path.suffix for path in written} >= {".csv", ".html"}
    for path in written:
        text = path.read_text()
        assert not any(sign in text for sign in CONTROLS + DIRECTIONS if sign not in "\n\t"), path.name
        assert path.suffix != ".html" or "<script>alert" not in text, path.name
        if path.suffix == ".csv":
            cells = [value for row in csv.reader(io.StringIO(text)) for value in row]
            assert not any(value.startswith(("=", "@", "+")) for value in cells), path.name


def test_tables_are_written_in_one_place():
    root = Path(medseg.__file__).parent
    writers = [
        p.name for p in root.rglob("*.py") if any(w in p.read_text() for w in ("csv.writer(", "csv.DictWriter("))
    ]
    assert writers == ["harmless.py"]


def test_files_of_json_hold_nothing_harmful_and_say_the_same():
    content = {f"a{sign}b": [f"a{sign}b"] for sign in (*CONTROLS, *DIRECTIONS, "ä \\u202e")}
    written = json_text(content)
    assert not [sign for sign in (*CONTROLS, *DIRECTIONS) if sign in written and sign != "\n"]
    assert json.loads(written) == content
    assert "ä" in written


def test_files_of_json_are_written_in_one_place():
    """But for what is hashed, what is no file of ours, and a value inside a page."""
    medseg_folder = Path(medseg.__file__).parent
    found = {
        str(path.relative_to(medseg_folder))
        for path in medseg_folder.rglob("*.py")
        if "ensure_ascii=False" in path.read_text(encoding="utf-8")
    }
    assert found == {"harmless.py", "config/safe_json.py", "review/events.py", "data/describe.py", "io/mesh.py"}
