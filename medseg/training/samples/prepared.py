"""Cases as the network sees them, on disk: read and prepared once, mapped into memory ever after."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.config.safe_json import parse_json
from medseg.data.dataset import Dataset, DatasetCase
from medseg.data.reading import read_case
from medseg.errors import InputError, MedsegError
from medseg.io.files.atomic import atomic_path, write_text
from medseg.io.files.patient_names import public_name
from medseg.prepare.card import InputCard
from medseg.prepare.labels import prepare_labels
from medseg.prepare.prepared import prepare
from medseg.training.samples.cascade import LowResolutionRun

log = logging.getLogger("medseg.train")

Triple = tuple[float, float, float]

# Voxels of each class remembered for the forced foreground.
REMEMBERED = 10_000
# Keys of the input card on which nothing prepared depends: the padding up to a patch is skipped.
UNUSED = {"patch", "mirror_axes", "mirror_sides", "expected_extent_mm", "expected_spacing"}
# Of the files a prepared case consists of; cases of another are prepared again.
FORMAT = 1
# In prepared labels, a voxel to ignore.
IGNORED = 255


@dataclass(frozen=True)
class CaseFacts:
    """What later steps need to know of a case without reading it.

    Shape as prepared; field of view and spacing of the scan before, along x, y, z; volume of each class in the
    reference, by name.
    """

    shape: tuple[int, int, int]
    extent_mm: tuple[float, float, float]
    spacing: tuple[float, float, float]
    volumes_ml: dict[str, float]


@dataclass(frozen=True)
class PreparedCase:
    """A case ready to draw patches from.

    `foreground` holds at most 10,000 voxels (n, 3) of each part it has; `annotated`, for each output of the network,
    whether the case annotates it, is None where it annotates all.
    """

    case_id: str
    folder: Path
    facts: CaseFacts
    foreground: dict[int, npt.NDArray[np.int32]] = field(default_factory=dict, compare=False)
    annotated: tuple[bool, ...] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along x, y, z."""
        return self.facts.shape

    def open(self) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
        """Image (C, X, Y, Z) and parts (X, Y, Z), memory-mapped and read-only."""
        image = np.load(self.folder / "image.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(self.folder / "labels.npy", mmap_mode="r", allow_pickle=False)
        return image, labels


def prepare_cases(
    data: Dataset,
    cases: Sequence[DatasetCase],
    card: InputCard,
    folder: Path,
    low_resolution: LowResolutionRun | None = None,
) -> tuple[list[PreparedCase], dict[str, str]]:
    """Prepare labeled cases, one folder each; one made before from the same files in the same way is taken as it is.

    Returns those that could be prepared, and why each of the others was skipped. In a cascade `low_resolution` labels
    them beforehand.
    """
    prepared: list[PreparedCase] = []
    skipped: dict[str, str] = {}
    for case in cases:
        try:
            one = _prepare_once(data, case, card, folder / case.case_id, low_resolution)
            prepared.append(replace(one, annotated=_annotated_outputs(data, case)))
        except MedsegError as error:
            skipped[case.case_id] = str(error)
            log.warning("%s skipped: %s", public_name(case.case_id), error)
    return prepared, skipped


def _annotated_outputs(data: Dataset, case: DatasetCase) -> tuple[bool, ...] | None:
    if case.annotated is None:
        return None
    classes = [case.annotates(c.name) for c in data.table]
    return tuple(classes) if data.regions else (True, *classes)


def _prepare_once(
    data: Dataset, case: DatasetCase, card: InputCard, folder: Path, low_resolution: LowResolutionRun | None
) -> PreparedCase:
    key = _key(data, case, card, None if low_resolution is None else low_resolution.model_hash(case.case_id))
    facts = folder / "facts.json"
    if facts.is_file():
        known = parse_json(facts.read_text(encoding="utf-8"))
        if known.pop("key") == key:
            return _open_prepared(case.case_id, folder, CaseFacts(**{k: _tuples(v) for k, v in known.items()}))
        facts.unlink()
    image, labels, found = _prepare(data, case, card, low_resolution)
    foreground = _remember(labels, range(1, len(data.parts) + 1), key)
    _save(folder / "image.npy", image)
    _save(folder / "labels.npy", labels)
    rows = [np.insert(places, 0, channel, axis=1) for channel, places in foreground.items()]
    _save(folder / "foreground.npy", np.concatenate(rows) if rows else np.zeros((0, 4), np.int32))
    write_text(facts, json.dumps({**asdict(found), "key": key}, indent=1) + "\n")
    return PreparedCase(case.case_id, folder, found, foreground)


def _open_prepared(case_id: str, folder: Path, facts: CaseFacts) -> PreparedCase:
    rows = np.load(folder / "foreground.npy", allow_pickle=False)
    foreground = {int(channel): rows[rows[:, 0] == channel, 1:] for channel in np.unique(rows[:, 0])}
    return PreparedCase(case_id, folder, facts, foreground)


def _prepare(
    data: Dataset, case: DatasetCase, card: InputCard, low_resolution: LowResolutionRun | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any], CaseFacts]:
    """Read a case and bring it onto the network's grid by the code that inference uses, its padding skipped.

    Labels are turned from the reference's values into numbers of parts: 0 for the background, 1 for the dataset's first
    part and so on. Where classes exclude each other, parts are the network's output channels.
    """
    scan, reference = read_case(data, case)
    values = [0, *data.parts]
    prepared = prepare(
        scan, card, low_resolution_stage=None if low_resolution is None else low_resolution.labels(case.case_id, scan)
    )
    inner = prepared.route.inner
    image = np.ascontiguousarray(prepared.array[(slice(None), *inner)])
    labels = _parts_of(prepare_labels(reference, prepared.route)[inner], values, data.ignore_label)
    order = prepared.route.order
    spacing: Triple = order.select(scan.geometry.spacing)
    x, y, z = (n * mm for n, mm in zip(order.select(scan.geometry.shape), spacing, strict=True))
    volume_ml = reference.geometry.voxel_volume / 1000
    counts = np.bincount(reference.array.ravel(), minlength=max(data.parts) + 1)
    volumes = {
        c.name: float(counts[list(data.reference_values(c.value))].sum()) * volume_ml
        for c in data.table
        if case.annotates(c.name)
    }
    i, j, k = labels.shape
    return image, labels, CaseFacts((i, j, k), (x, y, z), spacing, volumes)


def _parts_of(labels: npt.NDArray[Any], values: Sequence[int], ignore: int | None) -> npt.NDArray[np.uint8]:
    """Number of each value's part; `IGNORED` for voxels to ignore."""
    if len(values) > IGNORED:
        raise InputError(
            f"medseg trains at most {IGNORED} classes at once, not {len(values)}",
            fix="Train several models of fewer classes.",
        )
    channel = np.zeros(int(max(*values, ignore or 0)) + 1, dtype=np.uint8)
    channel[list(values)] = np.arange(len(values))
    if ignore is not None:
        channel[ignore] = IGNORED
    return np.ascontiguousarray(channel[labels])


def _remember(labels: npt.NDArray[Any], values: Sequence[int], key: str) -> dict[int, npt.NDArray[np.int32]]:
    """Voxels of each class present, thinned at random, but always the same, where there are many."""
    random = np.random.default_rng(int(key[:16], 16))
    places: dict[int, npt.NDArray[np.int32]] = {}
    for value in values:
        found = np.argwhere(labels == value).astype(np.int32)
        if len(found) > REMEMBERED:
            found = found[np.sort(random.choice(len(found), REMEMBERED, replace=False))]
        if len(found):
            places[value] = found
    return places


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    with atomic_path(path) as part, part.open("wb") as stream:
        try:
            np.save(stream, array, allow_pickle=False)
        except OSError as error:
            if error.errno is not None:
                raise
            # NumPy says how much it wrote, and not why no more.
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error


def _key(data: Dataset, case: DatasetCase, card: InputCard, model_hash: str | None) -> str:
    """Hash of everything a prepared case depends on: contents of its files, classes, preparation."""
    digest = hashlib.sha256()
    for path in case.files:
        digest.update(_content(path))
    how = card.model_dump(mode="json", exclude=UNUSED)
    reading = [
        [c.value for c in data.table],
        data.ignore_label,
        data.references,
        sorted(data.values.items()),
        sorted(data.structures.items()),
        data.resample_channels,
        *([] if data.border_mm is None else [data.border_mm]),
        *([data.regions] if data.regions else []),
        *(["masks"] if data.masks else []),
        *([] if model_hash is None else [model_hash]),
        *([] if case.annotated is None else [sorted(case.annotated)]),
        *([] if case.frame is None else [f"frame {case.frame}"]),
    ]
    digest.update(json.dumps([FORMAT, how, reading], sort_keys=True).encode())
    return digest.hexdigest()


def _content(path: Path) -> bytes:
    """Hash of a file, or of every file of a folder."""
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    try:
        return b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    except OSError as error:
        raise InputError(
            f"cannot be read ({error.strerror})",
            where=path,
            fix="Put the file back, or remove the case from the dataset.",
        ) from error


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
