"""A disk that is really full, to the last byte: what was acknowledged is there, and nothing else is said to be."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
UNSHARE = shutil.which("unshare")
SCRIPT = """
import json, sys
from collections import Counter
from pathlib import Path
from node_peers import arrival
from medseg.service.node.incoming import Incoming
from medseg.service.node.store import NodeStore

folder = Path(sys.argv[1])
told = []
with NodeStore(folder) as store, Incoming(store, folder / "incoming", spare=0) as incoming:
    for number in range(60):
        one = arrival(f"1.2.3.{number + 1}", content=bytes([number]) * 50_000)
        told.append((one, incoming.keep(one)))
    with NodeStore(folder) as full:  # for `serve status`, say
        assert full.rows("select count(*) c from objects")[0]["c"] < 60
    (folder / "ballast").unlink()
    again = [incoming.keep(one) for one, status in told if status]
with NodeStore(folder) as store:
    rows = {row["instance"]: row["file"] for row in store.rows("select instance, file from objects")}
whole = sum((folder / "incoming" / rows[one.instance]).read_bytes() == one.content.getvalue() for one, _ in told)
first = Counter(status for _, status in told)
print(json.dumps({"first": first, "again": Counter(again), "whole": whole, "rows": len(rows)}))
"""


def can_mount() -> bool:
    if UNSHARE is None:
        return False
    command = [UNSHARE, "-m", "mount", "-t", "tmpfs", "x", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this user may not mount a small disk")
def test_senders_are_told_to_try_again_and_what_was_stored_is_there(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    shell = (
        f"mount -t tmpfs -o size=5m tmpfs {disk} && head -c 3500000 /dev/zero > {disk}/ballast && "
        f'exec "$@"'
    )  # fmt: skip
    paths = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(TESTS), str(TESTS.parent)])
    done = subprocess.run(
        [str(UNSHARE), "-m", "sh", "-c", shell, "sh", sys.executable, "-c", SCRIPT, str(disk)],
        capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": paths},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found["first"]) == {"0", str(0xA700)}
    assert 5 < found["first"]["0"] < 40
    assert set(found["again"]) == {"0"}
    assert (found["whole"], found["rows"]) == (60, 60)
