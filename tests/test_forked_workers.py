import os
import select
from pathlib import Path

import forked_workers


def test_a_fork_whose_asker_is_gone_ends_and_holds_no_stream(request, monkeypatch, tmp_path):
    monkeypatch.setattr(forked_workers, "_prctl", lambda *_given: None)  # so that the fork gets another parent
    reader, writer = os.pipe()
    with Path(os.devnull).open("rb") as nothing:
        streams = (nothing.fileno(), writer, writer)
        request.getfixturevalue("_forker")._fork("medseg", ["--version"], dict(os.environ), str(tmp_path), streams)
    os.close(writer)
    try:
        assert select.select([reader], [], [], 60)[0], "the fork waits for ever"
        assert os.read(reader, 100) == b""
    finally:
        os.close(reader)
