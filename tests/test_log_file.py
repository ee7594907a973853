from __future__ import annotations

import io
import logging
from pathlib import Path

import pytest

from medseg.errors import InputError, UsageError
from medseg.log_file import LOG_NAME, console_level, log_file

log = logging.getLogger("medseg.test")


def test_every_step_is_in_the_file_and_the_terminal_shows_what_it_did(tmp_path: Path) -> None:
    terminal = logging.StreamHandler(io.StringIO())
    root = logging.getLogger("medseg")
    before = root.level
    root.addHandler(terminal)
    root.setLevel(logging.INFO)
    try:
        with log_file(tmp_path / "out"), log_file(tmp_path / "out"):
            assert console_level() == logging.INFO
            log.info("shown")
            log.debug("kept")
        log.info("after")
    finally:
        root.removeHandler(terminal)
        root.setLevel(before)
    assert terminal.stream.getvalue() == "shown\nafter\n"
    lines = (tmp_path / "out" / LOG_NAME).read_text().splitlines()
    assert [line.rpartition(" ")[2] for line in lines[1:]] == ["shown", "kept"]


def test_the_text_of_an_exception_stays_out_since_it_may_name_a_patient(tmp_path: Path) -> None:
    scan = Path("/scans/DOE^JANE/1.dcm")
    with log_file(tmp_path):
        try:
            raise InputError("cannot be read", where=scan)
        except InputError as error:
            log.debug("case-1", exc_info=error)
    text = (tmp_path / LOG_NAME).read_text()
    assert "case-1" in text
    assert "InputError" in text
    assert "test_log_file.py" in text
    assert "DOE" not in text


def test_a_folder_that_cannot_be_made_is_named_with_its_option(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="--out"), log_file(tmp_path / "file" / "out"):
        pass
