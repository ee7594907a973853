"""The audit trail: what was changed in it is found, and several processes write it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from reviewed_results import CASE, save

from medseg.errors import InputError
from medseg.io.files.file_system import Mount, is_local
from medseg.review.events import EventLog
from medseg.review.opening import open_store
from medseg.review.store import Store

CHANGES = [
    "update events set who='Eve' where n=2",
    "update events set body=replace(body, '\"boundary\"', '\"other\"') where n=2",
    "delete from events where n=2",
    "delete from events where n=3",  # the last one, which no later event holds the hash of
    "update events set t='2020-01-01T00:00:00.000+00:00' where n=3",
    "update events set prev='0' where n=1",
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_trail_is_refused_and_verify_says_where(out: Path, change: str) -> None:
    with open_store(out, create=True) as store:
        save(store)
        store.verdict(CASE, kind="reject", revision=1, who="Ada", reason="boundary")
        store.verdict(CASE, kind="take_back", revision=1, who="Ada")
    database = sqlite3.connect(out / "review/review.sqlite")
    database.execute(change)
    database.commit()
    database.close()
    with pytest.raises(InputError, match=r"the audit trail was changed: event [123]"):
        open_store(out)
    with open_store(out, check=False) as store:
        assert "event" in store.verify()[0].where
        assert store.case(CASE).revisions[0].file.is_file()


def test_a_damaged_database_is_said_so_in_one_line(out: Path) -> None:
    (out / "review").mkdir()
    (out / "review/review.sqlite").write_bytes(b"not SQLite" * 100)
    with pytest.raises(InputError, match="the audit trail is damaged"):
        open_store(out)


def test_a_trail_that_another_process_writes_to_is_not_called_changed(tmp_path: Path, monkeypatch) -> None:
    trail, other = (EventLog(tmp_path / "events.sqlite", write_ahead=True) for _ in range(2))
    rows = trail.rows

    def read_while_written(query: str) -> list:
        other.append("Ada", CASE, "opened", {})
        return rows(query)

    other.append("Ada", CASE, "opened", {})
    monkeypatch.setattr(trail, "rows", read_while_written)
    assert trail.broken_at() is None
    monkeypatch.undo()
    assert trail.head[0] == 3


def test_a_write_ahead_log_is_kept_on_local_disks_only(store: Store, tmp_path: Path) -> None:
    kinds = {"/": "ext4", "/mnt/pacs": "nfs4", "/mnt/pacs/local": "xfs", "/mnt/share": "cifs", "/home/me": "fuse.sshfs"}
    mounted = [Mount(place, kind) for place, kind in kinds.items()]
    assert is_local(Path("/data"), mounted)
    assert is_local(Path("/mnt/pacs/local/results"), mounted)
    assert not is_local(Path("/mnt/pacs/results"), mounted)
    assert not is_local(Path("/mnt/share"), mounted)
    assert not is_local(Path("/home/me/results"), mounted)
    assert not is_local(Path("/data"), [])
    for kind in ("lustre", "gpfs", "beegfs", "wekafs", "fuse", "fuse.gcsfuse", "NFS"):
        assert not is_local(Path("/scratch/x"), [*mounted, Mount("/scratch", kind)])
    mode = store.log.rows("pragma journal_mode")[0][0]
    assert mode == ("wal" if is_local(tmp_path) else "delete")
    assert store.log.rows("pragma synchronous")[0][0] == 2


def test_a_rollback_journal_serves_as_well(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medseg.review.case_store.is_local", lambda folder: False)
    with open_store(out, create=True) as store:
        assert store.log.rows("pragma journal_mode")[0][0] == "delete"
        save(store)
    assert not (out / "review/review.sqlite-wal").exists()
    with open_store(out) as store:
        assert store.case(CASE).revision == 1
