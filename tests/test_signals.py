import os
import signal
import sys
import threading
import time

import pytest

from medseg import signals
from medseg.errors import Interrupted
from medseg.signals import stoppable

SLOW = "import time\nfor _ in range(40):\n    time.sleep(0.01)\nis_whole = True\n"


@pytest.fixture
def slow(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("slow_to_import", None)


def import_and_wait():
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
    import slow_to_import  # noqa: F401

    time.sleep(10)


def test_a_signal_waits_for_the_end_of_an_import(slow):
    started = time.monotonic()
    with pytest.raises(Interrupted), stoppable():
        import_and_wait()
    assert sys.modules["slow_to_import"].is_whole
    assert time.monotonic() - started < 9


def test_a_signal_does_not_wait_for_ever(slow, monkeypatch):
    monkeypatch.setattr(signals, "LONGEST_IMPORT", 0.0)
    with pytest.raises(Interrupted), stoppable():
        import_and_wait()
    assert "slow_to_import" not in sys.modules


def test_a_signal_that_waits_is_for_who_received_it(slow):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda *_given: heard.append(True))
    try:
        with stoppable():
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            import slow_to_import  # noqa: F401
        time.sleep(0.5)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not heard
