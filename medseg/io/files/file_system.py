"""Whether a folder lies on a disk of this machine, where SQLite may keep a write-ahead log, or on a network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import psutil

# A write-ahead log needs memory that all processes share (sqlite.org/wal.html): no file system of a network has it.
NETWORK = {
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "dvs", "fhgfs", "fuse", "gfs2",
    "glusterfs", "gpfs", "lustre", "macfuse", "ncpfs", "nfs", "nfs3", "nfs4", "ocfs2", "orangefs", "osxfuse",
    "panfs", "prl_fs", "pvfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs", "vmhgfs", "webdav", "wekafs",
}  # fmt: skip


class Mount(NamedTuple):
    """A file system and where it is mounted."""

    place: str
    kind: str


def mounts() -> list[Mount]:
    """Every file system of this machine, those of networks too."""
    return [Mount(part.mountpoint, part.fstype) for part in psutil.disk_partitions(all=True)]


def is_local(folder: Path, mounted: Iterable[Mount] | None = None) -> bool:
    """Whether a folder lies on a disk of this machine; where that is not known, it is taken for a network's."""
    path = folder.resolve()
    if str(path).startswith(("\\\\", "//")):  # a network folder of Windows, which has no mount point
        return False
    around = [mount for mount in (mounts() if mounted is None else mounted) if path.is_relative_to(mount.place)]
    if not around:
        return False
    # Of two at one place the later one hides the earlier one.
    kind = max(enumerate(around), key=lambda one: (len(Path(one[1].place).parts), one[0]))[1].kind.lower()
    return kind not in NETWORK and not kind.startswith("fuse.")
