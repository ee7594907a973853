"""The formats labels are written in: one table, so that prediction and export go one way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from medseg.errors import FormatLimitation, UsageError
from medseg.io.files.atomic import write_text
from medseg.types import AnyLabels, Instances, LabelMap, ModelIdentity, OverlappingLabels, Source
from medseg.types.run import Measured, Volumes
from medseg.types.verification import Verification

if TYPE_CHECKING:
    from medseg.io.dicom_results.seg import Encoding


# Stands for a person where a model is named: no package, so no hash.
MANUAL = ModelIdentity("manual segmentation", "1", "")


@dataclass(frozen=True, eq=False)
class Labeled:
    """Labels, and what formats say of them."""

    labels: AnyLabels
    source: Source
    model: ModelIdentity
    probabilities: npt.NDArray[np.float32] | None = (
        None  # (1 + classes, X, Y, Z), background first; none if overlapping
    )
    instances: Instances | None = None
    verification: Verification | None = None  # of the person who vouches for the labels
    volumes: Volumes | None = None  # with the scan's values, where they were measured

    def __post_init__(self) -> None:
        """Protect the arrays, so that no writer can change what the next one is given."""
        labels = self.labels
        if isinstance(labels, OverlappingLabels):
            object.__setattr__(self, "labels", replace(labels, combinations=_protected(labels.combinations)))
        else:
            object.__setattr__(self, "labels", replace(labels, array=_protected(labels.array)))
        if self.probabilities is not None:
            object.__setattr__(self, "probabilities", _protected(self.probabilities))
        if self.instances is not None:
            object.__setattr__(self, "instances", replace(self.instances, ids=_protected(self.instances.ids)))


def _protected(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


class Written(NamedTuple):
    """What a writer left."""

    files: list[Path]
    notes: tuple[str, ...] = ()  # on readers that will get these labels wrong
    read_back: Mapping[str, Measured] = {}  # by DICOM file, what came of comparing it with the labels


@dataclass(frozen=True)
class Writer:
    """How labels are written in one format."""

    file_name: str  # in a case's folder; formats of several files put what distinguishes them before the last suffix
    needs_dicom: bool  # refers to a DICOM source, so that it cannot be written for another scan
    write: Callable[[Labeled, Path], Written]  # takes labels and the file's path
    about: str  # what it is good for, in a few words
    tilted: str = ""  # what to know where slices are tilted; empty where readers have them right
    has_bits: bool = False  # pixels are single bits, so that frames may begin within a byte


def write(name: str, item: Labeled, folder: Path) -> Written:
    """Write labels in one of `WRITERS`."""
    writer = WRITERS[name]
    written = writer.write(item, folder / writer.file_name)
    geometry = item.labels.geometry
    notes = [*written.notes]
    # Of a report, what is to be known of its pixels is about the segmentations beside it.
    drawn = [path.name for path in written.files if path.name in SEGMENTATIONS] if name == "sr" else [writer.file_name]
    of_pixels = [writer.tilted] if geometry.is_sheared and writer.tilted else []
    if writer.has_bits and geometry.shape[0] * geometry.shape[1] % 8:
        of_pixels.append(BETWEEN_BYTES)
    if name == "dicom-seg-fractional" and item.probabilities is None:
        notes.append("There were no probabilities, so every fraction is 0 or 1.")
    own = [f"{writer.file_name}: {note}" for note in notes]
    return written._replace(notes=(*own, *(f"{file}: {note}" for note in of_pixels for file in drawn)))


def write_file(item: Labeled, path: Path) -> list[Path]:
    """Write labels in the format that the end of the file's name says; return the files.

    Raises
    ------
    UsageError
        When no format has that ending, or it needs a DICOM scan and this scan is not DICOM.
    """
    ending = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if ending is None:
        raise UsageError("no format has this ending", where=path, fix=f"Use one of {', '.join(ENDINGS)}.")
    if ending == DICOM_ENDING and item.source.format != "dicom":
        raise UsageError("a DICOM object needs a DICOM scan", where=path, fix="Segment the series, or save NIfTI.")
    return ENDINGS[ending](item, path).files


def _exclusive(item: Labeled, what: str) -> LabelMap:
    """Labels for a format that holds one class for each voxel; a `FormatLimitation` where classes overlap."""
    if isinstance(item.labels, LabelMap):
        return item.labels
    raise FormatLimitation(
        f"{what} holds one class for each voxel, and these classes may overlap",
        fix="Write nifti, nrrd, dicom-seg, rtstruct, sr, stl, obj or gltf.",
    )


def _nifti(item: Labeled, path: Path) -> Written:
    """Write the labels, one channel a class where they may overlap, and the table of their names."""
    from medseg.io.label_table import table_path, write_table
    from medseg.io.nifti import write_labels, write_overlapping

    if isinstance(item.labels, OverlappingLabels):
        write_overlapping(item.labels, path, item.source, item.model.mark)
    else:
        write_labels(item.labels, path, item.source, item.model.mark)
    write_table(item.labels.table, table_path(path))
    return Written([path, table_path(path)])


def _nrrd(item: Labeled, path: Path) -> Written:
    from medseg.io.itk import write_labels

    write_labels(item.labels, path, item.model.mark)
    return Written([path])


def _metaimage(item: Labeled, path: Path) -> Written:
    """Write the labels, and the table of their names, which MetaImage has no place for."""
    from medseg.io.label_table import table_path, write_table

    _exclusive(item, "MetaImage")
    write_table(item.labels.table, table_path(path))
    return Written([*_nrrd(item, path).files, table_path(path)])


def _dicom_seg(item: Labeled, path: Path, encoding: Encoding = "binary") -> Written:
    from medseg.io.dicom_results.seg import write_seg

    probabilities = item.probabilities if encoding == "fractional" else None
    measured = write_seg(
        item.labels, item.source, path, model=item.model, encoding=encoding, probabilities=probabilities
    )
    return Written([path], read_back={path.name: measured})


def _dicom_seg_objects(item: Labeled, path: Path) -> Written:
    from medseg.io.object_labels import object_labels

    if item.instances is None:
        raise FormatLimitation(
            "no objects were made, and this format holds one segment for each",
            fix="Write dicom-seg, or see docs/how-to/count-objects.md for how to make objects.",
        )
    return _dicom_seg(replace(item, labels=object_labels(item.instances)), path)


def _rtstruct(item: Labeled, path: Path) -> Written:
    """Write the structures, and beside them the Dice of reading them back."""
    from medseg.io.dicom_results.rtstruct import write_rtstruct

    measured = write_rtstruct(item.labels, item.source, path, model=item.model, verification=item.verification)
    beside = path.with_suffix(".json")
    write_text(beside, json.dumps({"dice_of_reading_it_back": measured["dice"]}, indent=2) + "\n")
    return Written([path, beside], read_back={path.name: measured})


def _sr(item: Labeled, path: Path) -> Written:
    """Write the report, and the DICOM SEG it refers to, without which it would point nowhere."""
    from medseg.io.dicom_results.sr import MOST_OBJECTS, reports_objects, write_sr

    segmentations = [_dicom_seg(item, path.with_name(WRITERS["dicom-seg"].file_name))]
    notes: tuple[str, ...] = ()
    if item.instances is not None and reports_objects(item.instances):
        segmentations.append(_dicom_seg_objects(item, path.with_name(WRITERS["dicom-seg-objects"].file_name)))
    elif item.instances is not None and item.instances.rows:
        notes = (f"It reports classes only, as there are {len(item.instances.rows)} objects (at most {MOST_OBJECTS}).",)
    measured = write_sr(
        item.labels,
        item.source,
        path,
        model=item.model,
        verification=item.verification,
        volumes=item.volumes,
        instances=item.instances,
    )
    read_back = {name: value for one in segmentations for name, value in one.read_back.items()}
    return Written([*(f for one in segmentations for f in one.files), path], notes, {**read_back, path.name: measured})


def _key_images(item: Labeled, path: Path) -> Written:
    from medseg.io.dicom_results.key_images import write_key_images

    return Written(write_key_images(_exclusive(item, "a key image"), item.source, path, model=item.model))


def _mesh(item: Labeled, path: Path) -> Written:
    from medseg.io import mesh

    return Written(mesh.WRITERS[path.suffix](item.labels, path, model=item.model))


NIFTI_TILTED = "The slices are tilted, which programs that read NIfTI through ITK reject; give these nrrd."
SEG_TILTED = (
    "The slices are tilted. OHIF and highdicom show each frame in its place; dcmqi and 3D Slicer, which expect upright "
    "stacks, show it in a wrong one; give these nrrd."
)
BETWEEN_BYTES = (
    "The pixels of a slice are no multiple of 8, so that frames begin within a byte, as DICOM asks; OHIF 3.13 draws "
    "them wrong; give it dicom-seg-fractional, which has a byte for each pixel."
)
RT_TILTED = (
    "The slices are tilted. The contours are in the right place, but plastimatch and others fill them on upright "
    "slices; give these nrrd."
)

WRITERS: Mapping[str, Writer] = {
    "nifti": Writer("labels.nii.gz", False, _nifti, "research tools; carries tilted slices", NIFTI_TILTED),
    "nrrd": Writer("labels.seg.nrrd", False, _nrrd, "3D Slicer, with names, colors and codes; carries tilted slices"),
    "mha": Writer("labels.mha", False, _metaimage, "programs that build on ITK", NIFTI_TILTED),
    "dicom-seg": Writer(
        "labels.seg.dcm", True, _dicom_seg, "archives and workstations; read by nearly all", SEG_TILTED, has_bits=True
    ),
    "dicom-seg-labelmap": Writer(
        "labels.labelmap.dcm",
        True,
        partial(_dicom_seg, encoding="labelmap"),
        "many classes in a small file, for readers of DICOM 2024",
        SEG_TILTED,
    ),
    "dicom-seg-fractional": Writer(
        "labels.fractional.dcm",
        True,
        partial(_dicom_seg, encoding="fractional"),
        "the probability of each class, a byte each",
        SEG_TILTED,
    ),
    "dicom-seg-objects": Writer(
        "objects.seg.dcm",
        True,
        _dicom_seg_objects,
        "objects, a segment for each",
        SEG_TILTED,
        has_bits=True,
    ),
    "rtstruct": Writer("labels.rtstruct.dcm", True, _rtstruct, "radiotherapy planning; contours with holes", RT_TILTED),
    "sr": Writer(
        "labels.sr.dcm",
        True,
        _sr,
        "measurements of classes and objects as a structured report, with the DICOM SEG it refers to",
        SEG_TILTED,
        has_bits=True,
    ),
    "sc": Writer("labels.key.dcm", True, _key_images, "2D images of the main slices, for the simplest viewers"),
    "stl": Writer("labels.stl", False, _mesh, "3D printing and planning; a file for each class"),
    "obj": Writer("labels.obj", False, _mesh, "3D programs; colors in a file beside it"),
    "gltf": Writer("labels.glb", False, _mesh, "3D in a browser, with names and colors"),
}

SEGMENTATIONS = tuple(WRITERS[name].file_name for name in ("dicom-seg", "dicom-seg-objects"))
DICOM_ENDING = ".dcm"
# What a file of its own may end in, the longest first.
ENDINGS: Mapping[str, Callable[[Labeled, Path], Written]] = {
    ".nii.gz": _nifti,
    ".nii": _nifti,
    ".nrrd": _nrrd,
    ".mha": _metaimage,
    DICOM_ENDING: _dicom_seg,
    ".stl": _mesh,
    ".obj": _mesh,
    ".glb": _mesh,
}
