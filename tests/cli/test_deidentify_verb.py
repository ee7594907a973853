"""`medseg deidentify` stopped in the middle says truly how to go on, with a key and without."""

import os
import signal

import pytest
from small_series import small_series

from medseg.cli.app import run
from medseg.io.files import atomic
from medseg.privacy import deidentify as module


@pytest.mark.parametrize("has_key", [True, False])
def test_stopped_in_the_middle(tmp_path, monkeypatch, capsys, has_key):
    small_series(tmp_path / "in", shape=(8, 8, 3))
    out = tmp_path / "out"
    command = ["deidentify", str(tmp_path / "in"), "--out", str(out), *(["--key", f"{out}.key"] if has_key else [])]

    def stop(path, content):
        atomic.write_bytes(path, content)
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", stop)
        assert run(command) == 75
    last = capsys.readouterr().err
    assert len(list(out.rglob("*.dcm"))) == 1
    if has_key:
        assert last == "medseg: stopped by SIGTERM; run the same command again to resume.\n"
        assert run(command) == 0
    else:
        assert last == (
            f"medseg: stopped by SIGTERM; delete {out} and begin again, as a run can be resumed only with --key FILE.\n"
        )
        assert run(command) == 2
    assert len(list(out.rglob("*.dcm"))) == (3 if has_key else 1)
