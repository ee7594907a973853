"""The formats labels are written in: one table, so that prediction and export go one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from medseg.types import LabelMap, ModelIdentity, Source

__all__ = ["BY_HAND", "WRITERS", "Writer"]

# Stands for a person where a model is named: no package, so no hash.
BY_HAND = ModelIdentity("manual segmentation", "1", "")


@dataclass(frozen=True)
class Writer:
    """How labels are written in one format.

    Parameters
    ----------
    file_name : str
        What the file is called in a case's folder. Formats of several files put what tells them apart before the
        last suffix.
    needs_dicom : bool
        Whether the format refers to a DICOM source, so that it cannot be written for another scan.
    write : callable
        Takes labels, the source of the scan they belong to, the file's path, and the model that made them; returns
        the files written.
    about : str
        What it is good for, in a few words.
    """

    file_name: str
    needs_dicom: bool
    write: Callable[[LabelMap, Source, Path, ModelIdentity], list[Path]]
    about: str


def _nifti(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:  # noqa: ARG001
    """Write the labels, and the table of their names, which NIfTI has no place for."""
    from medseg.io.label_table import table_path, write_table
    from medseg.io.nifti import write_labels

    write_labels(labels, path, source)
    write_table(labels.table, table_path(path))
    return [path, table_path(path)]


def _nrrd(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:  # noqa: ARG001
    from medseg.io.itk import write_labels

    write_labels(labels, path)
    return [path]


def _dicom_seg(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:
    from medseg.io.dicom_seg import write_seg

    write_seg(labels, source, path, model=model)
    return [path]


def _dicom_seg_labelmap(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:
    from medseg.io.dicom_seg import write_seg

    write_seg(labels, source, path, model=model, encoding="labelmap")
    return [path]


def _rtstruct(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:
    from medseg.io.rtstruct import write_rtstruct

    write_rtstruct(labels, source, path, model=model)
    return [path, path.with_suffix(".json")]


def _sr(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:
    """Write the report, and the DICOM SEG it refers to, without which it would point nowhere."""
    from medseg.io.dicom_sr import write_sr

    segmentation = _dicom_seg(labels, source, path.with_name(WRITERS["dicom-seg"].file_name), model)
    write_sr(labels, source, path, model=model)
    return [*segmentation, path]


def _key_images(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:
    from medseg.io.key_images import write_key_images

    return write_key_images(labels, source, path, model=model)


def _mesh_stl(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:  # noqa: ARG001
    from medseg.io.mesh import write_stl

    return write_stl(labels, path, model=model)


def _mesh_obj(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:  # noqa: ARG001
    from medseg.io.mesh import write_obj

    write_obj(labels, path, model=model)
    return [path, path.with_suffix(".mtl")]


def _mesh_gltf(labels: LabelMap, source: Source, path: Path, model: ModelIdentity) -> list[Path]:  # noqa: ARG001
    from medseg.io.mesh import write_glb

    write_glb(labels, path, model=model)
    return [path]


WRITERS: Mapping[str, Writer] = {
    "nifti": Writer("labels.nii.gz", False, _nifti, "research tools; carries tilted slices"),
    "nrrd": Writer("labels.seg.nrrd", False, _nrrd, "3D Slicer, with names, colours and codes"),
    "dicom-seg": Writer("labels.seg.dcm", True, _dicom_seg, "archives and workstations; read by nearly all"),
    "dicom-seg-labelmap": Writer(
        "labels.labelmap.dcm", True, _dicom_seg_labelmap, "many classes in a small file, for readers of DICOM 2024"
    ),
    "rtstruct": Writer("labels.rtstruct.dcm", True, _rtstruct, "radiotherapy planning; contours with holes"),
    "sr": Writer("labels.sr.dcm", True, _sr, "volumes as a structured report, with the DICOM SEG it refers to"),
    "sc": Writer("labels.key.dcm", True, _key_images, "pictures of the main slices, for viewers of pictures only"),
    "stl": Writer("labels.stl", False, _mesh_stl, "3D printing and planning; a file for each class"),
    "obj": Writer("labels.obj", False, _mesh_obj, "3D programs; colours in a file beside it"),
    "gltf": Writer("labels.glb", False, _mesh_gltf, "3D in a browser, with names and colours"),
}
