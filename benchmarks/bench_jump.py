"""Where slices of real volumes jump: warnings on whole volumes, on thinned ones, and on parts of two patients joined.

    python benchmarks/bench_jump.py [../shared/data]

Prints what the comment in `medseg/io/dicom/jump.py` states. Volumes along each of their axes, and every 2nd, 3rd, 5th
and 8th slice of these, are one patient's: a warning is false. The first 20 slices of one volume below the first 20 of
another of the same modality are two patients': no warning is a miss.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from medseg.io.dicom.jump import jump_warnings

VOLUMES = (
    "sarcoma/nifti/*/*_image.nii.gz", "heads/*/image.nii.gz", "ms_lesions/images/*.nii.gz",
    "hippocampus/imagesTr/hippocampus_0[0-4]*.nii.gz",
)  # fmt: skip
THINNED = (2, 3, 5, 8)
SLICES = 20
MOST_PAIRS = 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data"))
    data = parser.parse_args().data
    counts: dict[str, list[int]] = defaultdict(list)
    by_modality: dict[str, list[Any]] = defaultdict(list)
    for path in (path for pattern in VOLUMES for path in sorted(data.glob(pattern))):
        array = np.asanyarray(nib.load(path).dataobj)  # type: ignore[attr-defined]
        array = array if array.ndim == 3 else array[..., 0]
        modality = next((name for name in ("CT", "PT", "MR") if name in path.name), "")
        if modality:
            by_modality[modality].append(array)
        for axis in range(3):
            turned = np.moveaxis(array, axis, 2)
            counts["whole volumes, falsely"].append(bool(jump_warnings(turned)))
            counts["thinned volumes, falsely"] += [bool(jump_warnings(turned[:, :, ::step])) for step in THINNED]
    for modality, arrays in by_modality.items():
        for one, other in islice(combinations(arrays, 2), MOST_PAIRS):
            x, y = np.minimum(one.shape[:2], other.shape[:2])
            joined = np.concatenate([one[:x, :y, :SLICES], other[:x, :y, :SLICES]], axis=2)
            counts[f"two patients of {modality}, rightly"].append(bool(jump_warnings(joined)))
    for what, warned in counts.items():
        print(f"{what}: {sum(warned)} of {len(warned)}")


if __name__ == "__main__":
    main()
