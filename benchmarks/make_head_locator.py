"""Makes the locator of the shipped hippocampus model: a 3 mm template of the head, the mask of its brain, the card.

    python benchmarks/make_head_locator.py T1.nii.gz GM.nii.gz WM.nii.gz CROPS medseg/models/shipped/hippocampus

T1: the ICBM 152 2009c nonlinear symmetric average with its skull; GM and WM: the average tissue maps in the same space,
for instance those that nilearn's wheel holds (`mni_icbm152_gm_tal_nlin_sym_09a_converted.nii.gz` and `..._wm_...`).
CROPS: the folder of the training data's images.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import nibabel
import numpy as np
from scipy import ndimage

from medseg.io.files.file_hash import file_sha256
from medseg.io.read import load_scan
from medseg.locate.crop import crop_axes, crop_grid, sample_crop
from medseg.locate.sampling import Image, coarse, foreground, largest_component
from medseg.locate.template import Template
from medseg.locate.tissues import tissues_near
from medseg.models.locate_card import (
    BRAIN_FILE,
    LOCATE_FOLDER,
    TEMPLATE_FILE,
    LocateCard,
    RegionCard,
    RegionCheckCard,
)
from medseg.models.package import load_package, write_card
from medseg.types.axis_order import nearest_ras

SPACING = 3.0  # mm
TISSUE = 0.3  # of gray and white matter together, from which on a voxel is brain
QUANTILES = 41
SOURCE = (
    "ICBM 152 2009c nonlinear symmetric average of T1-weighted MR (Fonov et al., NeuroImage 54, 313, 2011), at 3 mm. "
    "Copyright (C) 1993-2009 Louis Collins, McConnell Brain Imaging Centre, Montreal Neurological Institute, McGill "
    "University. Permission to use, copy, modify, and distribute this software and its documentation for any purpose "
    "and without fee is hereby granted, provided that the above copyright notice appear in all copies. The authors and "
    "McGill University make no representations about the suitability of this software for any purpose. It is provided "
    "as is without express or implied warranty. The authors are not responsible for any data loss, equipment damage, "
    "property loss, or injury to subjects or patients resulting from the use or misuse of this software package."
)
TITLE = "Anterior and posterior hippocampus in T1-weighted MR at 1 mm: of one side in a crop, of both in a whole head"
PURPOSE = "a whole head in T1-weighted MR, or a crop of about 36 x 50 x 36 mm around one hippocampus"
LIMITS = (
    "Give it a whole head, or a crop of about 36 x 50 x 36 mm around one hippocampus, as in its training data.",
    "In a crop it does not tell left from right. In a whole head the sides are those of the scan's header, and a "
    "header that exchanges them cannot be noticed. All classes carry SNOMED CT's code for the whole hippocampus.",
)


def canonical(path: Path) -> Image:
    """Read one channel with its axes nearest to RAS."""
    scan = load_scan(path)
    order = nearest_ras(scan.geometry)
    return Image(order.apply(scan.array[0]).astype(np.float32), order.geometry(scan.geometry))


def write(array: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Write bytes as NIfTI, mm."""
    image = nibabel.Nifti1Image(array.astype(np.uint8), affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def training_tissues(t1: Image, template: Template, card: LocateCard, folder: Path) -> tuple[float, float, float]:
    """Brightness of tissues in the crops in a folder, each by its own mean and standard deviation.

    No crop holds enough of every tissue to measure them there. The template's own crops show a usual brain, as most of
    the folder's do: what is as bright as the template's tissues is so at the same quantiles of both.
    """
    steps = np.linspace(0, 1, QUANTILES)
    found = []
    for path in sorted(folder.glob("*.nii.gz")):
        array = load_scan(path).array[0].astype(np.float64)
        found.append((np.quantile(array, steps) - array.mean()) / array.std())
    centers = np.array([region.center_mm for region in card.regions])
    axes = crop_axes(np.eye(4), card.pitch_degrees)
    crops = np.stack([sample_crop(t1, crop_grid(center, axes, card)) for center in centers])
    own = tissues_near(template, t1.on(template.image.geometry, outside=0.0), centers)
    levels = np.interp([own.csf, own.gray, own.white], np.quantile(crops, steps), np.mean(found, axis=0))
    return round(float(levels[0]), 3), round(float(levels[1]), 3), round(float(levels[2]), 3)


def main() -> None:
    """Make the files, and write them into the card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    for name in ("t1", "gm", "wm", "crops", "package"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    small = coarse(canonical(given.t1), SPACING)
    low, high = np.percentile(small.array, [1, 99.5])
    tissues = [canonical(path) for path in (given.gm, given.wm)]
    tissue = sum(t.array / t.array.max() for t in tissues)
    brain = largest_component(ndimage.binary_fill_holes(ndimage.binary_closing(tissue > TISSUE, iterations=3)))
    mask = Image(brain.astype(np.float32), tissues[0].geometry).on(small.geometry, outside=0.0) > 0.5
    folder = given.package / LOCATE_FOLDER
    folder.mkdir(exist_ok=True)
    write(np.clip((small.array - low) / (high - low), 0, 1) * 255, small.geometry.affine, folder / TEMPLATE_FILE)
    write(mask, small.geometry.affine, folder / BRAIN_FILE)
    card = load_package(given.package).card
    locate = LocateCard(
        what="a whole head in T1-weighted MR",
        files={name: file_sha256(folder / name) for name in (TEMPLATE_FILE, BRAIN_FILE)},
        source=SOURCE,
        # Middles of the Decathlon's crops, as they lie about its labels, carried to the template's hippocampi.
        regions=(
            RegionCard(name="left", center_mm=(-24.5, -23.0, -12.5), offset_mm=(1.0, 0.5, 0.5)),
            RegionCard(name="right", center_mm=(24.5, -23.0, -12.5), offset_mm=(-1.0, 0.5, 0.5)),
        ),
        extent_mm=(36, 50, 36),
        pitch_degrees=15.0,  # the Decathlon's crops are nodded so against the template
        parts_up_to_mm=2.0,
        whole="hippocampus",
        from_mm=100.0,
        up_to_mm=3.3,
        region_checks=RegionCheckCard(
            volume_ml=(1.6, 5.5), ratio=1.6, distance_mm=(38, 68), asymmetry_mm=8.0, first_class=(0.38, 0.68)
        ),
    )
    template = Template(Image(foreground(small.array)[0], small.geometry), mask)
    tissues = training_tissues(canonical(given.t1), template, locate, given.crops)
    locate = locate.model_copy(update={"tissues": tissues})
    accepts = card.input.accepts.model_copy(update={"purpose": PURPOSE})
    update = {"input": card.input.model_copy(update={"accepts": accepts}), "limits": (*LIMITS, card.limits[1])}
    update |= {"version": "2", "title": TITLE, "locate": locate}
    write_card(given.package, card.model_copy(update=update))


if __name__ == "__main__":
    main()
