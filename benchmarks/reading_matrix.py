"""Every kind of DICOM series, read by medseg, SimpleITK, MONAI and dcm2niix: who is right, who refuses, who is wrong.

Writes the table between the markers of docs/reference/reading.md. dcm2niix is skipped of it where it is not installed.

    python benchmarks/reading_matrix.py
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import nibabel as nib
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from series_kinds import KINDS, Kind, Volume, judge  # noqa: E402

TABLE = ROOT / "docs" / "reference" / "reading.md"
START, END = "<!-- matrix: made by benchmarks/reading_matrix.py -->", "<!-- end of matrix -->"
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Refused(Exception):
    """The reader said that it could not read something."""


def by_medseg(folder: Path) -> list[Volume]:
    from medseg.errors import MedsegError
    from medseg.io.discover import discover
    from medseg.io.read import read_scan

    volumes = []
    discovery = discover([folder])
    try:
        for found in discovery.found:
            scan = read_scan(found)
            volumes.append(Volume(scan.array[0].astype(float), scan.geometry.affine))
    except MedsegError as error:
        raise Refused(error.what) from error
    broken = [left.reason for left in discovery.skipped if left.corrupt]
    if broken and not volumes:
        raise Refused(broken[0])
    return volumes


def by_simpleitk(folder: Path) -> list[Volume]:
    import SimpleITK as sitk  # noqa: N813

    volumes = []
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(folder))
    if not series:
        raise Refused("no series found")
    for uid in series:
        names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder), uid)
        reader = sitk.ImageSeriesReader()
        reader.SetFileNames(names)
        try:
            # A multi-frame file is a volume by itself.
            image = reader.Execute() if len(names) > 1 else sitk.ReadImage(names[0])
        except RuntimeError as error:
            raise Refused(str(error)) from error
        affine = np.eye(4)
        affine[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
        affine[:3, 3] = image.GetOrigin()
        volumes.append(Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(float), LPS_TO_RAS @ affine))
    return volumes


def by_monai(folder: Path) -> list[Volume]:
    from monai.data import PydicomReader
    from monai.transforms import LoadImage

    try:
        image = LoadImage(reader=PydicomReader(), image_only=True, ensure_channel_first=False)(str(folder))
    except Exception as error:
        raise Refused(str(error)) from error
    array = np.asarray(image, dtype=float)
    return [Volume(array if array.ndim == 3 else array[..., None], np.asarray(image.affine, dtype=float))]


def by_dcm2niix(folder: Path) -> list[Volume]:
    with tempfile.TemporaryDirectory() as out:
        ran = subprocess.run(["dcm2niix", "-b", "n", "-z", "n", "-f", "%s_%d", "-o", out, str(folder)], check=False)
        files = sorted(Path(out).glob("*.nii"))
        # The original lies beside the one put straight or made even, which is the one meant to be used.
        straight = {re.sub("_(Tilt|Eq)(_1)?", "", f.name) for f in files if re.search("_(Tilt|Eq)", f.name)}
        images = [nib.load(f) for f in files if f.name not in straight]
        volumes = []
        for image in images:
            array = np.asanyarray(image.dataobj).astype(float)
            stack = array.reshape(*array.shape[:3], -1) if array.ndim > 2 else array[..., None, None]
            volumes += [Volume(stack[..., t], image.affine) for t in range(stack.shape[3])]
    if not volumes:
        raise Refused(f"nothing written, exit code {ran.returncode}")
    return volumes


READERS: dict[str, Callable[[Path], list[Volume]]] = {
    "medseg": by_medseg,
    "SimpleITK": by_simpleitk,
    "MONAI": by_monai,
    "dcm2niix": by_dcm2niix,
}


@contextmanager
def spoken() -> Iterator[list[str]]:
    """Collect what a reader writes on stdout and stderr, from C++ and from other processes too."""
    said: list[str] = []
    with tempfile.TemporaryFile() as store:
        kept = [os.dup(1), os.dup(2)]
        for stream in (1, 2):
            os.dup2(store.fileno(), stream)
        try:
            yield said
        finally:
            sys.stdout.flush()
            for stream, copy in zip((1, 2), kept, strict=True):
                os.dup2(copy, stream)
                os.close(copy)
            store.seek(0)
            said.append(store.read().decode(errors="replace"))


def answer(read: Callable[[Path], list[Volume]], kind: Kind, folder: Path, idle: set[str]) -> str:
    """One cell of the table.

    `idle` is what the reader says of a plain series; anything else that sounds like one counts as a warning.
    """
    with spoken() as said:
        try:
            verdict = judge(kind, read(folder))
        except Refused:
            verdict = "rejected"
    warned = any(WARNING.search(line) for line in set(_lines(said[0])) - idle)
    if verdict == "rejected":
        return "rejected" if kind.answer == "rejected" else "rejected needlessly"
    if verdict == "right":
        # Two answers can be right where slices are missing: no, or new ones in between and saying so.
        return "right" if kind.answer == "right" else "resampled" + (", warns" if warned else ", **silently**")
    return f"**{verdict}**" + (", warns" if warned else "")


WARNING = re.compile("warning|error|missing|non uniform|tilt", re.IGNORECASE)


def _lines(said: str) -> list[str]:
    """What was said, without numbers and names of files, so that it can be compared."""
    return [re.sub(r"[\d.]+|/\S+", "", line).strip() for line in said.splitlines()]


def _idle(read: Callable[[Path], list[Volume]], folder: Path) -> set[str]:
    """What a reader says when all is well; twice, as some things are said only the first time."""
    lines: set[str] = set()
    for _ in range(2):
        with spoken() as said:
            read(folder)
        lines |= set(_lines(said[0]))
    return lines


def main() -> None:
    readers = {name: read for name, read in READERS.items() if name != "dcm2niix" or shutil.which("dcm2niix")}
    versions = {name: version(name) if name != "dcm2niix" else _dcm2niix_version() for name in readers}
    lines = [
        "| Series | " + " | ".join(f"{name} {versions[name]}" for name in readers) + " |",
        "|" + " --- |" * (len(readers) + 1),
    ]
    silent, loud = dict.fromkeys(readers, 0), dict.fromkeys(readers, 0)
    with tempfile.TemporaryDirectory() as place:
        KINDS["axial"].write(Path(place) / "plain")
        idle = {reader: _idle(read, Path(place) / "plain") for reader, read in readers.items()}
        for name, kind in KINDS.items():
            kind.write(Path(place) / name)
            cells = []
            for reader, read in readers.items():
                cells.append(answer(read, kind, Path(place) / name, idle[reader]))
                if "**" in cells[-1]:
                    (loud if "warns" in cells[-1] else silent)[reader] += 1
            lines.append(f"| {kind.about} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    lines.append("| **Wrong, without a warning** | " + " | ".join(f"**{silent[r]}**" for r in readers) + " |")
    lines.append("| **Wrong, with a warning** | " + " | ".join(f"**{loud[r]}**" for r in readers) + " |")
    text = TABLE.read_text(encoding="utf-8")
    before, after = text.split(START)[0], text.split(END)[1]
    TABLE.write_text(f"{before}{START}\n\n" + "\n".join(lines) + f"\n\n{END}{after}", encoding="utf-8")
    if silent["medseg"] or loud["medseg"]:
        raise SystemExit("medseg gave a wrong answer")


def _dcm2niix_version() -> str:
    told = subprocess.run(["dcm2niix", "--version"], check=False, capture_output=True, text=True).stdout
    return told.strip().splitlines()[-1].lstrip("v")


if __name__ == "__main__":
    main()
