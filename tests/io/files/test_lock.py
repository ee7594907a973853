"""A folder is one run's at a time; where another may be about to end, it is waited for."""

import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from medseg.errors import UsageError
from medseg.io.files.lock import exclusive

pytest.importorskip("fcntl", reason="systems without POSIX locks lock nothing")


@pytest.mark.parametrize(("part", "other"), [("train", "train"), ("1-of-1", "2-of-3"), ("report", "1-of-1")])
def test_a_second_run_is_refused_at_once(part: str, other: str, tmp_path: Path) -> None:
    with (
        exclusive(tmp_path, part),
        pytest.raises(UsageError, match="another medseg run is writing there"),
        exclusive(tmp_path, other),
    ):
        pass


def test_a_run_that_ends_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="medseg.run")
    first = ExitStack()
    first.enter_context(exclusive(tmp_path, "train"))
    threading.Timer(0.5, first.close).start()
    with exclusive(tmp_path, "train", wait=30):
        pass
    assert caplog.text.count("waiting up to 30 s for its end") == 1


def test_the_wait_for_a_run_that_does_not_end_is_over_in_time(tmp_path: Path) -> None:
    began = time.monotonic()
    with (
        exclusive(tmp_path, "train"),
        pytest.raises(UsageError, match="another medseg run"),
        exclusive(tmp_path, "train", wait=0.5),
    ):
        pass
    assert 0.5 <= time.monotonic() - began < 10
