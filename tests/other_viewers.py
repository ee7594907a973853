"""Label files as other programs save them, written here without medseg's own writers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
from pydicom.sr.codedict import codes

from medseg.types import LabelMap

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def _nrrd(path: Path, array: np.ndarray, affine: np.ndarray, fields: dict[str, str], *, layers: bool = False) -> Path:
    """A NRRD by hand: (X, Y, Z), or (layers, X, Y, Z) with a vector axis first."""
    lps = LPS @ affine
    vectors = [f"({','.join(repr(float(v)) for v in lps[:3, axis])})" for axis in range(3)]
    if layers:
        vectors.insert(0, "none")
    kind = {"uint8": "unsigned char", "uint16": "unsigned short"}[array.dtype.name]
    header = [
        "NRRD0004",
        f"type: {kind}",
        f"dimension: {array.ndim}",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, array.shape))}",
        f"space directions: {' '.join(vectors)}",
        f"kinds: {' '.join((['vector'] if layers else []) + ['domain'] * 3)}",
        "endian: little",
        "encoding: gzip",
        f"space origin: ({','.join(repr(float(v)) for v in lps[:3, 3])})",
        *(f"{key}:={value}" for key, value in fields.items()),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("\n".join(header).encode() + b"\n\n" + gzip.compress(array.tobytes(order="F")))
    return path


def save_slicer(path: Path, labels: LabelMap, *, names: dict[int, str] | None = None, crop: bool = True) -> Path:
    """3D Slicer: ``.seg.nrrd`` cropped to what is drawn, a segment for each class, values of its own from 1."""
    array, affine = labels.array, np.array(labels.geometry.affine)
    if crop:
        drawn = np.argwhere(array)
        low, high = drawn.min(axis=0), drawn.max(axis=0) + 1
        array = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        affine[:3, 3] = labels.geometry.to_world(low)
    own = np.zeros(array.shape, np.uint8)
    fields = {
        "Segmentation_MasterRepresentation": "Binary labelmap",
        "Segmentation_ContainedRepresentationNames": "Binary labelmap|",
    }
    extent = " ".join(f"0 {n - 1}" for n in array.shape)
    for number, entry in enumerate(labels.table, start=1):
        own[array == entry.value] = number
        fields |= {
            f"Segment{number - 1}_ID": f"Segment_{number}",
            f"Segment{number - 1}_Name": (names or {}).get(entry.value, entry.name),
            f"Segment{number - 1}_Color": "0.5 0.68 0.5",
            f"Segment{number - 1}_LabelValue": str(number),
            f"Segment{number - 1}_Layer": "0",
            f"Segment{number - 1}_Extent": extent,
        }
    return _nrrd(path, own, affine, fields)


def save_itksnap(path: Path, labels: LabelMap) -> Path:
    """ITK-SNAP: NIfTI of 16-bit numbers on the image's grid, with values and no names."""
    image = nib.Nifti1Image(labels.array.astype(np.int32), labels.geometry.affine)
    image.set_qform(labels.geometry.affine, 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    return path


def save_mitk(path: Path, labels: LabelMap, *, groups: int = 1) -> Path:
    """MITK: NRRD with its labels as JSON in a field; further groups are components of each voxel."""
    described = [
        {"name": e.name, "value": e.value, "color": {"type": "ColorProperty", "value": [0.2, 0.4, 1.0]}}
        for e in labels.table
    ]
    layers = np.zeros((groups, *labels.array.shape), np.uint16)
    content = []
    for number in range(groups):
        own = described[number::groups]
        layers[number] = np.where(np.isin(labels.array, [one["value"] for one in own]), labels.array, 0)
        content.append({"labels": own})
    fields = {
        "modality": "org.mitk.multilabel.segmentation",
        "org.mitk.multilabel.segmentation.labelgroups": json.dumps(content),
        "org.mitk.multilabel.segmentation.version": "2",
    }
    array = layers if groups > 1 else layers[0]
    return _nrrd(path, array, labels.geometry.affine, fields, layers=groups > 1)


def save_ohif(path: Path, labels: LabelMap, series: list[Path], *, names: dict[int, str] | None = None) -> Path:
    """OHIF: a binary DICOM SEG that only has the frames drawn on, segments numbered from 1."""
    headers = sorted((pydicom.dcmread(file) for file in series), key=lambda h: float(h.InstanceNumber))
    frames = np.stack([(labels.array == e.value).transpose(2, 1, 0) for e in labels.table], axis=-1)
    described = [
        hd.seg.SegmentDescription(
            number,
            (names or {}).get(entry.value, entry.name),
            codes.SCT.Tissue,
            codes.SCT.Tissue,
            "MANUAL",
        )
        for number, entry in enumerate(labels.table, start=1)
    ]
    made = hd.seg.Segmentation(
        headers, frames.astype(np.uint8), "BINARY", described, pydicom.uid.generate_uid(), 99,
        pydicom.uid.generate_uid(), 1, "OHIF", "OHIF Viewer", "3.9", "0", omit_empty_frames=True,
    )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    made.save_as(path)
    return path
