"""The words by which names of files and folders say what these are: image or label, and of which part of the split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

LABEL = {
    "label", "labels", "labeled", "lbl", "lbls", "mask", "masks", "seg", "segs", "segmentation",
    "segmentations", "dseg", "gt", "gts", "groundtruth", "truth", "annotation", "annotations", "anno", "annot",
    "manual", "contour", "contours", "delineation", "ho", "consensus", "roi", "rois", "aseg", "segm", "segmented",
    "instances", "gold", "maske", "masken", "segmentierung", "segmentierungen", "masque", "masques", "mascara",
    "mascaras", "maschera", "maschere", "structures",
}  # fmt: skip
IMAGE = {
    "image", "images", "img", "imgs", "im", "imgaes", "scan", "scans", "volume", "volumes", "vol", "vols", "original",
    "originals", "orig", "raw", "input", "inputs", "photo", "photos", "imaging", "cxr", "dicom",
    "patient", "patients", "bild", "bilder", "aufnahme", "aufnahmen", "imagen", "imagenes", "immagine", "immagini",
}  # fmt: skip
# Of these, a number belongs to whose it is: `patient001`, where `img0001` is image 0001.
COUNTED = {"patient", "patients", "scan", "scans"}
# Words beside one for a label that distinguish labels of one case, if anything.
BESIDE = {"st", "nd", "rd", "th", "ground", "standard", "final", "corrected", "binary", "human", "expert", "rater",
          "reader", "observer", "obs", "annotator", "grader"}  # fmt: skip
SPLIT: dict[str, Literal["train", "validation", "test"]] = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
# nnU-Net's and the Decathlon's: imagesTr, labelsTs.
OF_DECATHLON: dict[str, Literal["train", "validation", "test"]] = {
    "tr": "train",
    "ts": "test",
    "vl": "validation",
    "va": "validation",
}
# Folders that say nothing of whose files are in them: BIDS's, and plain ones.
PLAIN = {
    "anat", "derivatives", "micr", "microscopy", "rawdata", "sourcedata", "data", "dataset", "datasets", "database",
    "set", "sets", "cases", "stage", "phase", "part", "task", "files", "png", "nii", "nifti", "jpg", "tif", "tiff",
    "of", "and", "the", "folder", "preprocessed", "processed", "registered", "coregistered",
}  # fmt: skip
# What folders of images and of labels do not share.
OF_ROLES = LABEL | IMAGE | BESIDE | PLAIN | SPLIT.keys() | OF_DECATHLON.keys()
# Folders of BIDS for a kind of scan, where a folder above them is a subject's.
OF_BIDS = {"dwi", "perf", "func", "fmap", "swi", "ct", "pet"}
WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+")


def words(text: str) -> list[str]:
    """Words and numbers of a name in lower case, also where only capitals part them."""
    return [word.lower() for word in WORD.findall(text)]


def is_label(found: Sequence[str]) -> bool:
    """Whether words of a name say that it is of labels."""
    return any(w in LABEL or w.startswith("labell") for w in found)  # the British spelling too
