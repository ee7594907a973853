"""ONNX files of a package's network: where they lie, and the reports beside them.

An export belongs to one network, by hash. It lies in the package's folder, where training leaves it, or in the user's
own (`store_folder`'s neighbor ``exports``), with a report beside it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medseg.config.safe_json import parse_json
from medseg.errors import ModelError
from medseg.infer.activations import UNKNOWN_CHANNELS, activation_bytes
from medseg.io.files.file_hash import file_sha256
from medseg.models.package import ONNX_FILE, REPORT_FILE, ModelPackage
from medseg.resources import store_folder


@dataclass(frozen=True)
class Export:
    """A network as ONNX.

    - `activations`: bytes of the results that are alive together at the worst moment of one window.
    - `multiple`: where the network may be shown other windows too, what each of their sides must be a multiple of.
    - `sha256`: what the file's content must be, by its report; None where that was checked.
    - `weights_of`: the package in whose folder it lies, where it refers to that package's weights.
    """

    path: Path
    activations: int
    sha256: str | None = None
    multiple: tuple[int, ...] | None = None
    weights_of: ModelPackage | None = None

    def checked(self) -> Path:
        """Path of the file, once its content has been held against its report; who opens it asks for it by this."""
        if self.sha256 is not None and file_sha256(self.path) != self.sha256:
            raise ModelError(
                "the ONNX file is not the one its report describes (SHA-256 differs)",
                where=self.path,
                fix="Delete it, and export again with medseg models export --format onnx.",
            )
        if self.weights_of is not None:
            self.weights_of.content()  # which holds them against the card
        return self.path


def find_export(package: ModelPackage) -> Export | None:
    """A package's ONNX file, or None where it neither came as one nor has been exported.

    Its content has not been looked at; see `Export.checked`.
    """
    if package.card.network.name == "onnx":
        package.content()
        return Export(package.weights_path, _activations(package))
    for folder in (package.folder, export_folder(package)):
        report = read_report(folder, package)
        if report is None or not (folder / ONNX_FILE).is_file():
            continue  # none, or of an earlier package in the same place
        if package.card.ensemble_members > 1 and "found" not in report.get("outputs", ()):
            continue  # of a time when exports did not hold what each network found
        multiple = None if report.get("multiple") is None else tuple(map(int, report["multiple"]))
        weights_of = package if report.get("shares_weights") else None
        activations, sha256 = int(report["activation_bytes"]), str(report.get("onnx_sha256"))
        return Export(folder / ONNX_FILE, activations, sha256, multiple, weights_of)
    return None


def _activations(package: ModelPackage) -> int:
    """Of a network that came as ONNX; without the package onnx, or with sizes left open, a guess."""
    try:
        return activation_bytes(package.weights_path)
    except (ImportError, ValueError):
        return 4 * UNKNOWN_CHANNELS * math.prod(package.card.input.patch)


def export_folder(package: ModelPackage) -> Path:
    """The user's own folder for exports of this network."""
    return store_folder().parent / "exports" / package.network_hash[:32]


def read_report(folder: Path, package: ModelPackage) -> dict[str, Any] | None:
    """Report of this network's export in a folder."""
    try:
        report = parse_json((folder / REPORT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("network_sha256") == package.network_hash else None
