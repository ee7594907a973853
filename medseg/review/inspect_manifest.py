"""Lists what an inspection found in a manifest, so that it need not be found again by every process of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from medseg.engine.channel_cases import group_channels
from medseg.engine.journal import hash_files
from medseg.engine.manifest_table import ManifestRow, write_manifest
from medseg.errors import UsageError
from medseg.io.dicom.series_choice import choose_series
from medseg.io.files.addresses import scheme_of
from medseg.io.files.writable import check_writable
from medseg.models.card import ModelCard
from medseg.review.inspection import Inspection, VolumeReport
from medseg.types.channels import WantedChannel
from medseg.types.scan import Discovery, FoundScan, Skipped


def checked_manifest(manifest: Path | str, root: Path | str | None) -> Path:
    """Return where a manifest goes; raises `UsageError` before any work where that cannot be."""
    file = Path(manifest)
    if file.is_dir():
        raise UsageError("it is a folder", where=f"--manifest {file}", fix="Name a file, such as cases.csv.")
    if root is not None and scheme_of(str(root)) is not None:
        raise UsageError(
            "a manifest is made of files on this machine",
            where=f"--root {root}",
            fix="Give a folder; `medseg predict --root` takes the address of a copy of it.",
        )
    check_writable(file, where=f"--manifest {file}", is_folder=False)
    return file


def list_volumes(
    inspection: Inspection,
    manifest: Path,
    root: Path | str | None,
    card: ModelCard | None,
    inputs: Sequence[Path],
    *,
    hashes: bool,
) -> None:
    """Write the manifest of an inspection: all volumes, or with a model's card those that it would take."""
    channels: tuple[WantedChannel, ...] = ()
    skipped = [left for left in inspection.skipped if left.corrupt]
    found = [volume.found for volume in inspection.volumes]
    if card is not None:
        channels = tuple(WantedChannel(channel.name, channel.modality) for channel in card.input.channels)
        discovery = Discovery(tuple(found))
        criteria = card.series_criteria()
        if len(channels) > 1:
            discovery = group_channels(discovery, channels, inputs, patterns={})
        elif criteria is not None:
            discovery = choose_series(discovery, criteria, inputs)
        found = list(discovery.found)
        skipped += [left for left in discovery.skipped if left.corrupt]
    volumes = {(volume.found.files, volume.found.volume): volume for volume in inspection.volumes}
    write_manifest(
        manifest,
        (*_rows(found, channels, volumes, hashes), *map(_corrupt, skipped)),
        None if root is None else Path(root),
    )


def _rows(
    found: Sequence[FoundScan],
    channels: Sequence[WantedChannel],
    volumes: Mapping[tuple[tuple[Path, ...], str | None], VolumeReport],
    hashes: bool,
) -> Iterator[ManifestRow]:
    for case in found:
        names = [channel.name for channel in channels] if case.channels else [""]
        for scan, name in zip(case.channels or (case,), names, strict=True):
            volume = volumes[scan.files, scan.volume]
            yield ManifestRow(
                replace(scan, case_id=case.case_id),
                name,
                _digest(scan) if hashes else "",
                volume.verdict,
                volume.reason,
                volume.fix,
            )


def _digest(scan: FoundScan) -> str:
    try:
        return hash_files(scan.files)
    except OSError:  # it is rejected, and says so
        return ""


def _corrupt(left: Skipped) -> ManifestRow:
    """What should have been a scan: `predict` reports it as failed, as it does for what it finds itself."""
    scan = FoundScan(left.case_id, "nifti", (left.path,), file_name=left.source)
    return ManifestRow(scan, verdict="corrupt", reason=left.reason, fix=left.fix)
