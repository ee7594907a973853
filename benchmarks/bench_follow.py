"""What `medseg follow` says of real lesions that did not change, and that did, and how well heads are registered.

    python benchmarks/bench_follow.py ../shared/data --out docs/benchmarks/follow.md

The lesions are those that experts drew in ms_lesions. The later time point is the same map on another grid, turned and
moved by a fraction of a voxel, so that every voxel is drawn anew; in it, some lesions are dropped, and some grown. No
figure here is a time.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import nibabel as nib
import numpy as np
from markdown import table, write
from scipy import ndimage
from scipy.spatial.transform import Rotation

import medseg
from medseg.io.read import load_scan, read_labels
from medseg.locate.rigid import register_rigid
from medseg.locate.sampling import Image
from medseg.types import Geometry
from medseg.types.axis_order import nearest_ras

SIZES = ((0.0, 10.0), (10.0, 30.0), (30.0, 100.0), (100.0, np.inf))  # mm3
MARGIN = 3


def turned(shape):
    """Grid of the later time point: turned by some degrees about the middle, moved by fractions of a voxel."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", (4.0, -3.0, 5.0), degrees=True).as_matrix()
    middle = np.array(shape) / 2
    affine[:3, 3] = middle - affine[:3, :3] @ middle + [0.37, 0.21, 0.43]
    return affine


def drawn_anew(mask):
    """A map on its own grid, and the affine of one on another grid in the same world: sampled from a smooth outline."""
    affine = turned(mask.shape)
    smooth = ndimage.gaussian_filter(mask.astype(np.float32), 0.4)
    return ndimage.affine_transform(smooth, affine[:3, :3], affine[:3, 3], order=1) > 0.5, affine


def follow(folder, before, after, affine):
    """Compare two masks that lie in one world."""
    for name, mask, own in (("before", before, np.eye(4)), ("after", after, affine)):
        nib.save(nib.Nifti1Image(mask.astype(np.uint8), own), folder / f"{name}.nii.gz")
    return medseg.follow(folder / "before.nii.gz", folder / "after.nii.gz", folder / "out", registered=True)


def size_of(ml):
    return next(n for n, (low, high) in enumerate(SIZES) if low <= 1000 * ml < high)


def word(one):
    if one.match == "paired":
        return one.change
    return one.match if one.is_certain else f"{one.match}, not sure"


def unchanged(maps):
    """What is said of lesions that are the same, by size before."""
    counts = [Counter() for _ in SIZES]
    with TemporaryDirectory() as place:
        for mask in maps:
            found = follow(Path(place), mask, *drawn_anew(mask))
            for one in found.objects:
                counts[size_of(max(one.size.before_ml, one.size.after_ml))][word(one)] += 1
    return counts


def changed(maps, rng):
    """Of lesions of at least 30 mm3 that stay, grow by so many mm all round, appear or go: how many are called so."""
    found = {name: [0, 0] for name in ("grown by 0.5 mm", "grown by 1 mm", "grown by 2 mm", "gone", "new")}
    with TemporaryDirectory() as place:
        for mask in maps:
            ids = ndimage.label(mask, np.ones((3, 3, 3)))[0]
            volumes = np.bincount(ids.ravel())[1:]
            kept = np.flatnonzero(volumes >= 30) + 1
            for name, counted in found.items():
                chosen = rng.permutation(kept)[: max(1, len(kept) // 5)]
                before, after = mask.copy(), mask.copy()
                for number in chosen:
                    if name in ("gone", "new"):
                        (after if name == "gone" else before)[ids == number] = False
                if name.startswith("grown"):
                    mm = float(name.split()[2])
                    near = ndimage.distance_transform_edt(~np.isin(ids, chosen))
                    free = ndimage.distance_transform_edt(~(mask & ~np.isin(ids, chosen))) > 1.8
                    grown = ndimage.gaussian_filter((near <= mm).astype(np.float32), 0.3) > 0.5
                    after |= grown & free if mm >= 1 else half_grown(ids, chosen, mask)
                result = follow(Path(place), before, *drawn_anew(after))
                centers = ndimage.center_of_mass(mask, ids, chosen)
                places = {one.number: one for one in result.objects}
                for center in centers:
                    nearest = min(places.values(), key=lambda one: np.linalg.norm(np.array(one.place_mm) - center))
                    counted[1] += 1
                    counted[0] += (nearest.match if name in ("gone", "new") else nearest.change) == name.split()[0]
    return found


def half_grown(ids, chosen, mask):
    """Half of the voxels just outside: half a voxel all round in volume."""
    shell = ndimage.binary_dilation(np.isin(ids, chosen)) & ~mask
    return shell & (np.indices(mask.shape).sum(axis=0) % 2 == 0)


def heads(data):
    """Largest error of the registration of heads that were moved, noisier and darker to one end; and of others."""
    images = {
        "adult, T1, 2 mm": next(iter(sorted((data / "heads/adult_rorden_T1_head_2mm").glob("*.nii.gz")))),
        "child, T1": next(
            p for p in sorted((data / "heads/child3y_fnndsc_sag").glob("*.nii.gz")) if "label" not in p.name
        ),
        "multiple sclerosis, FLAIR, 1 mm": data / "ms_lesions/images/patient07_FLAIR.nii.gz",
        "hippocampus crop, T1, 1 mm": sorted((data / "hippocampus/imagesTr").glob("*.nii.gz"))[0],
    }
    rows, rng = {}, np.random.default_rng(0)
    for name, path in images.items():
        scan = load_scan(path)
        order = nearest_ras(scan.geometry)
        fixed = Image(np.nan_to_num(order.apply(scan.array[0]).astype(np.float32)), order.geometry(scan.geometry))
        crop = min(fixed.geometry.shape) * min(fixed.geometry.spacing) < 80
        degrees, mm = ((4, -3, 3), (2, -1, 1)) if crop else ((8, -5, 6), (6, -4, 9))
        grid = fixed.geometry
        center = grid.to_world(np.array(grid.shape) / 2)
        matrix = np.eye(4)
        matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
        matrix[:3, 3] = np.array(mm) + center - matrix[:3, :3] @ center
        array = fixed.on(Geometry(np.linalg.inv(matrix) @ grid.affine, grid.shape))
        array = array * (1 + 0.2 * np.linspace(-1, 1, grid.shape[2])) + rng.normal(0, 0.015 * array.max(), array.shape)
        found = register_rigid(fixed, Image(array.astype(np.float32), grid))
        bright = np.argwhere(fixed.array > np.percentile(fixed.array, 60))
        points = grid.to_world(bright[:: max(1, len(bright) // 1000)])
        error = np.linalg.norm(found.to_fixed(points @ matrix[:3, :3].T + matrix[:3, 3]) - points, axis=1)
        rows[name] = [
            f"{error.mean():.2f}",
            f"{error.max():.2f}",
            f"{found.inconsistency_mm:.2f}",
            f"{found.correlation:.2f}",
        ]
        print(name, rows[name], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("-n", type=int, default=18, help="maps of lesions")
    chosen = parser.parse_args()
    maps = []
    for path in sorted((chosen.data / "ms_lesions/labels").glob("*.nii.gz"))[: chosen.n]:
        mask = read_labels(path).array > 0
        box = ndimage.find_objects(mask.astype(np.uint8))[0]
        maps.append(np.pad(mask[box], 12))
    same = unchanged(maps)
    words = list(dict.fromkeys(word for counts in same for word, _ in counts.most_common()))
    names = [f"{low:g} to {high:g} mm³" if np.isfinite(high) else f"{low:g} mm³ and more" for low, high in SIZES]
    rows = {n: [sum(c.values()), *(c[word] for word in words)] for n, c in zip(names, same, strict=True)}
    print(rows, flush=True)
    found = changed(maps, np.random.default_rng(0))
    print(found, flush=True)
    paragraphs = [
        "By `python benchmarks/bench_follow.py ../shared/data`. [How it works](../how-to/follow.md). The default "
        "repeatability is used throughout: half a voxel at the boundary.",
        "## Lesions that are the same",
        f"Multiple sclerosis lesions of {len(maps)} people, as experts drew them, and the same drawn anew on a grid "
        "that is turned by some degrees and moved by a fraction of a voxel.",
        table(["lesions", *words], rows),
        "## Lesions that changed",
        "A fifth of the lesions of at least 30 mm³ in each map was grown all round, dropped, or added.",
        table(["lesions", "called so"], {name: [n, f"{hits / n:.0%}"] for name, (hits, n) in found.items()}),
        "## Registration",
        "Scans that were turned by 6 to 11 degrees and moved by up to 11 mm, darker to one end and noisier, against "
        "themselves, mm.",
        table(["mean error", "largest error", "there and back", "correlation"], heads(chosen.data)),
    ]
    write(chosen.out, "Two time points: lesions that changed, and those that did not", paragraphs)


if __name__ == "__main__":
    main()
