"""What the gate lets through and what it withholds, and the values that the shipped cards state for it.

    python benchmarks/bench_gate.py ../shared/data --out docs/benchmarks/gate.md [--part NAME...]

Parts: `cards` (facts of the training data, as they stand on the cards of hippocampus and nuclei), `tolerance` (crops
resampled and enlarged: where Dice falls), `turned` (every crop turned by its header), `suitable` (false refusals) and
`wrong` (scans of other kinds). Each is kept in a JSON file beside the table, so that a part can be measured alone.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from itertools import combinations
from pathlib import Path

import cc3d
import nibabel as nib
import numpy as np
from markdown import table, write
from scipy import ndimage

import medseg
from medseg.errors import MedsegError, NotForThisModel
from medseg.infer.gate.result import mean_boundary_entropy
from medseg.infer.gate.scan import extent_mm, refuse_scan
from medseg.infer.gate.structure import agreement, edges
from medseg.infer.gate.turned import COARSE
from medseg.infer.gate.values import Values
from medseg.infer.predictor import Predictor
from medseg.io.discover import discover
from medseg.io.read import read_labels, read_scan
from medseg.training.selection.validate import dice
from medseg.types import Geometry, Scan

CROP = np.array([36, 50, 36])  # mm; the median of the hippocampus crops
SEED = 0
# T1-weighted heads, whole or without skull, in which the locator of the hippocampus model finds both hippocampi.
HEADS = ("heads/*/image.nii.gz", "ms_lesions/images/*T1*.nii.gz")
NO_T1_HEAD = "odd_"  # how the folders of heads that are none begin
MODELS = ("hippocampus", "nuclei")


def scans_below(folder):
    """Every scan found below a folder, with its path; what cannot be read is left to the tests of reading."""
    for found in discover([folder]).found:
        try:
            yield found, read_scan(found)
        except MedsegError:
            continue


def crop_of(scan, center, size, step=1.0):
    """Cut a box of so many voxels around a point in world mm, along the world's axes."""
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = np.asarray(center) - (np.asarray(size) - 1) * step / 2
    inner = np.linalg.inv(scan.geometry.affine) @ affine
    array = ndimage.affine_transform(
        scan.array[0].astype(np.float32), inner[:3, :3], inner[:3, 3], output_shape=tuple(size), order=3
    )
    return Scan(array[np.newaxis], Geometry(affine, tuple(int(n) for n in size)), scan.modality)


def resampled(scan, spacing, order=3):
    """The same field of view at another spacing."""
    old = np.array(scan.geometry.spacing)
    size = np.maximum(np.round(np.array(scan.geometry.shape) * old / spacing).astype(int), 1)
    scale = np.array(scan.geometry.shape) / size
    array = ndimage.affine_transform(
        scan.array[0].astype(np.float32), np.diag(scale), (scale - 1) / 2, output_shape=tuple(size), order=order,
        mode="nearest",
    )  # fmt: skip
    affine = scan.geometry.affine @ np.diag([*scale, 1.0])
    affine[:3, 3] = scan.geometry.to_world((scale - 1) / 2)
    return Scan(array[np.newaxis], Geometry(affine, tuple(int(n) for n in size)), scan.modality)


def outcome(model, scan):
    """How a scan ends, and the reason it is withheld for."""
    if model.card.result is None:  # nothing is looked at after the network, so it need not run
        why = refuse_scan(scan, model.card)
        return ("done", "") if why is None else ("withheld", why.reason)
    try:
        model.segment(scan)
    except NotForThisModel as error:
        return "withheld", error.what
    except MedsegError as error:
        return "failed", str(error)
    return "done", ""


def hippocampi(data):
    for path in sorted((data / "hippocampus" / "imagesTr").glob("hippocampus_*.nii.gz")):
        yield path.name, medseg.load_scan(path), read_labels(data / "hippocampus" / "labelsTr" / path.name)


def t1_heads(data):
    """Paths of whole heads that the model's locator is for."""
    paths = [path for pattern in HEADS for path in sorted(data.glob(pattern))]
    return [path for path in paths if not path.parent.name.startswith(NO_T1_HEAD)]


def images_2d(data):
    for path in sorted((data / "nuclei" / "images").iterdir()):
        yield path.name, medseg.load_scan(path)


def range_of(values):
    return [round(float(min(values)), 3), round(float(max(values)), 3)]


def cards(data):
    """Facts of the training data that the shipped cards state."""
    card = medseg.load_model("hippocampus").card.input
    components, brightness, extents = Counter(), [], []
    for _, scan, labels in hippocampi(data):
        brightness.append(Values(scan.array[0]).brightness)
        extents.append(extent_mm(scan, card))
        for value in (1, 2):
            components[value, int(cc3d.connected_components(labels.array == value, connectivity=26).max())] += 1
    gray, color, sharp, agreed = [], [], [], []
    for _, scan in images_2d(data):
        same = (scan.array[1:] == scan.array[0]).all()
        sharp.append(edges(scan.array[0]))
        agreed.append(agreement(scan.array))
        (gray if same else color).append(Values(scan.array[0]).brightness)
    return {
        "hippocampus brightness_gray": range_of(brightness),
        "hippocampus extents, mm": [np.min(extents, axis=0).tolist(), np.max(extents, axis=0).tolist()],
        "hippocampus components of a class in a reference": {
            f"class {value}, {n}": count for (value, n), count in sorted(components.items())
        },
        "nuclei brightness_gray": [*range_of(gray), len(gray)],
        "nuclei brightness_color": [*range_of(color), len(color)],
        "nuclei channels_agree": round(min(agreed), 3),
        "nuclei edges": round(min(sharp), 2),
    }


def tolerance(data, every=12):
    """Dice of crops at other spacings, and of larger fields of view in heads with known hippocampi."""
    model = medseg.load_model("hippocampus", engine="torch")
    spacings = [(1, 1, 1), (0.5, 0.5, 0.5), (1.5, 1.5, 1.5), (2, 2, 2), (2.5, 2.5, 2.5), (3, 3, 3), (1, 1, 2),
                (1, 2, 1), (2, 1, 1), (1, 1, 3), (1, 3, 1), (3, 1, 1), (1, 1, 4)]  # fmt: skip
    found = {str(spacing): [] for spacing in spacings}
    for _, scan, labels in list(hippocampi(data))[::every]:
        for spacing in spacings:
            other = resampled(scan, np.array(spacing, float))
            result = model.segment(other, anyway=True)
            back = resampled(
                Scan((result.labels.array > 0).astype(np.float32)[np.newaxis], other.geometry), 1.0, order=1
            ).array[0]
            shape = tuple(min(a, b) for a, b in zip(back.shape, labels.array.shape, strict=True))
            cut = tuple(slice(n) for n in shape)
            entropy = mean_boundary_entropy(result.segmented.prediction)
            found[str(spacing)].append((dice(back[cut] > 0.5, labels.array[cut] > 0), entropy))
    extents = {}
    for name in ("icbm152_2009c_sym_cerebra", "skullstripped_niivue_aseg", "synthetic_head_01"):
        scan = medseg.load_scan(data / "heads" / name / "image.nii.gz")
        labels = read_labels(data / "heads" / name / "labels.nii.gz")
        for value in (1, 2):
            place = np.argwhere(labels.array == value)
            center = labels.geometry.to_world((place.min(0) + place.max(0)) / 2)
            mask = Scan((labels.array == value).astype(np.float32)[np.newaxis], labels.geometry)
            for scale in (0.85, 1.0, 1.15, 1.25, 1.35, 1.5, 1.75):
                size = np.round(CROP * scale).astype(int)
                result = model.segment(crop_of(scan, center, size), anyway=True)
                reference = crop_of(mask, center, size).array[0] > 0.5
                entropy = mean_boundary_entropy(result.segmented.prediction)
                extents.setdefault(str(scale), []).append((dice(result.labels.array > 0, reference), entropy))
    cases = len(next(iter(found.values())))
    return {"spacing": summarized(found), "extent": summarized(extents), "cases": cases}


def summarized(measured):
    """Mean and least Dice and most entropy of each row, from its pairs of Dice and entropy."""
    rows = {key: np.array(pairs).T for key, pairs in measured.items()}
    return {
        key: [round(float(figure), 3) for figure in (overlap.mean(), overlap.min(), entropy.max())]
        for key, (overlap, entropy) in rows.items()
    }


def turned(data):
    """Entropy of each crop as it is, and turned along every set of axes; what the gate says of each."""
    model = medseg.load_model("hippocampus", engine="torch")
    coarse = Predictor(model.predictor.package, model.predictor.options.model_copy(update=COARSE),
                       engine=model.predictor.engine)  # fmt: skip
    rows = []
    for number, (name, scan, _) in enumerate(hippocampi(data)):
        row = {"case": name, "as it is": mean_boundary_entropy(coarse.segment(scan))}
        for axes in (c for n in (1, 2) for c in combinations((1, 2), n)):
            copy = scan.with_array(np.flip(scan.array, [1 + a for a in axes]).copy(), scan.geometry)
            key = " and ".join({1: "front and back", 2: "up and down"}[a] for a in axes)
            row[key] = mean_boundary_entropy(coarse.segment(copy))
            if number % 8 == 0:
                row[f"{key}: outcome"] = outcome(model, copy)
        rows.append(row)
    return rows


def suitable(data):
    """Outcome of every scan that the shipped models are for."""
    found = {}
    model = medseg.load_model("hippocampus", engine="torch")
    for name, scan, _ in hippocampi(data):
        found[f"hippocampus/{name}"] = outcome(model, scan)
    for series, scan in scans_below(data / "dicom" / "clinical_mr"):
        if max(scan.geometry.shape) < 60:
            found[f"clinical crop {series.case_id}"] = outcome(model, scan)
    for path in t1_heads(data):
        found[f"whole T1 head {path.relative_to(data)}"] = outcome(model, medseg.load_scan(path))
    rng = np.random.default_rng(SEED)
    for number, (name, scan, _) in enumerate(hippocampi(data)):
        if number % 10:
            continue
        axes = rng.permutation(3)
        image = nib.Nifti1Image(scan.array[0], scan.geometry.affine)
        other = nib.orientations.axcodes2ornt("".join("RAS"[a] if rng.random() < 0.5 else "LPI"[a] for a in axes))
        stored = image.as_reoriented(
            nib.orientations.ornt_transform(nib.orientations.io_orientation(image.affine), other)
        )
        found[f"other axes {name}"] = outcome(model, stored)
        for spacing in (0.5, 1.5, 2.0):
            found[f"{spacing} mm {name}"] = outcome(model, resampled(scan, spacing))
    model = medseg.load_model("nuclei", engine="torch")
    for name, scan in images_2d(data):
        found[f"nuclei/{name}"] = outcome(model, scan)
    return found


def images_of_noise(rng, size=256):
    """2D noise of nine distributions, smoothed or not, plain or on a gradient: gray, tinted, or in color."""
    shape = (3, size, size)
    kinds = {
        "uniform": rng.random(shape), "normal": rng.normal(size=shape), "exponential": rng.exponential(size=shape),
        "inverted exponential": -rng.exponential(size=shape), "beta": rng.beta(0.5, 5, shape),
        "inverted beta": rng.beta(5, 0.5, shape), "Poisson": rng.poisson(3, shape),
        "bright specks": (rng.random(shape) > 0.95) * 1.0 + 0.01 * rng.random(shape),
        "dark specks": (rng.random(shape) < 0.95) * 1.0 + 0.01 * rng.random(shape),
    }  # fmt: skip
    tint, images = np.array([1, 0.8, 0.9])[:, None, None], {}
    for name, values in kinds.items():
        for sigma in (0, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16):
            smooth = ndimage.gaussian_filter(values.astype(float), (0, sigma, sigma))
            smooth = smooth / smooth.std()
            one = np.broadcast_to(smooth[:1], shape)
            for slope in (0, 3):
                ramp = slope * np.linspace(0, 1, size)[:, None]
                for kind, array in {"gray": one, "tinted": tint * one, "color": smooth}.items():
                    where = " on a gradient" if slope else ""
                    images[f"{kind} noise, {name}, sigma {sigma}{where}"] = as_bytes(array + ramp)
    return images


def as_bytes(array):
    """The range of an array as 0 to 255, with a last axis of one plane."""
    return np.round((array - array.min()) / np.ptp(array) * 255).astype(np.uint8)[..., np.newaxis]


def synthetic():
    """Small arrays that are no scan."""
    rng, shape = np.random.default_rng(SEED), (36, 50, 36)
    grid, flat = Geometry(np.eye(4), shape), Geometry(np.eye(4), (256, 256, 1))
    labels = ndimage.zoom(rng.integers(0, 40, (4, 5, 4)), (9, 10, 9), order=0)
    return {
        "constant": Scan(np.full((1, *shape), 7, np.int16), grid),
        "two values": Scan((rng.random((1, *shape)) > 0.9).astype(np.uint8), grid),
        "label map of 40": Scan(labels[np.newaxis].astype(np.int16), grid),
        "all NaN": Scan(np.full((1, *shape), np.nan, np.float32), grid),
        "1e300": Scan(np.full((1, *shape), 1e300) * rng.random((1, *shape)), grid),
        "noise": Scan(rng.normal(size=(1, *shape)).astype(np.float32), grid),
        **{f"2D {name}": Scan(array, flat) for name, array in images_of_noise(rng).items()},
        "thin slab": Scan(rng.normal(size=(1, 36, 50, 2)).astype(np.float32), Geometry(np.eye(4), (36, 50, 2))),
    }


def crops_elsewhere(data, each=10):
    """Boxes of a hippocampus crop's size from elsewhere, at least 25 mm from any known or usual hippocampus."""
    rng = np.random.default_rng(SEED)
    sources = sorted((data / "heads").glob("*/image.nii.gz")) + sorted((data / "ms_lesions" / "images").iterdir())
    sources += sorted((data / "sarcoma" / "nifti").glob("*/*_image.nii.gz"))[:18]
    for path in sources:
        scan = medseg.load_scan(path)
        scan = Scan(scan.array[:1], scan.geometry, scan.modality)
        known = []
        if (path.parent / "labels.nii.gz").is_file() and "heads" in path.parts:
            labels = read_labels(path.parent / "labels.nii.gz")
            known = [labels.geometry.to_world(np.argwhere(labels.array == v).mean(0)) for v in (1, 2)]
        elif "sarcoma" not in path.parts:
            continue
        body = np.median(scan.array[0][scan.array[0] > scan.array[0].min()])
        for number in range(each if known else 3):
            for _ in range(200):
                index = rng.uniform(0.15, 0.85, 3) * scan.geometry.shape
                center = scan.geometry.to_world(index)
                away = all(np.linalg.norm(center - np.asarray(place)) > 25 for place in known)
                if away and scan.array[0][tuple(index.astype(int))] > 0.5 * body:
                    break
            size = np.round(CROP * rng.uniform(0.9, 1.15, 3)).astype(int)
            yield f"crop {number} of {path.parent.name}/{path.name}", crop_of(scan, center, size)


def wrong(data):
    """Outcome of everything that is not a model's own, by model."""
    found = {"hippocampus": {}, "nuclei": {}}
    models = {name: medseg.load_model(name, engine="torch") for name in found}
    heads = {path.relative_to(data) for path in t1_heads(data)}
    for name, scan in synthetic().items():
        for model in found:
            found[model][f"synthetic: {name}"] = outcome(models[model], scan)
    for series, scan in scans_below(data):
        path = series.files[0].relative_to(data)
        kind = path.parts[0]
        labels = any("label" in part or part == "instances" for part in path.parts)
        for model in found:
            if kind == model and not labels:
                continue
            if model == "hippocampus" and kind == "dicom" and max(scan.geometry.shape) < 60:
                continue  # a hippocampus crop of a clinical study
            if model == "hippocampus" and path in heads:
                continue
            found[model][f"{path.parent}/{path.name} {series.volume or ''}".strip()] = outcome(models[model], scan)
    for folder in ("nuclei/images", "nuclei/instances", "membranes_em/image", "membranes_em/label", "nuclei_3d"):
        for path in sorted((data / folder).iterdir()):
            for model in found:
                if (model, folder) != ("nuclei", "nuclei/images"):
                    found[model][f"{folder.partition('/')[0]}/{path.name} {folder}"] = outcome(
                        models[model], medseg.load_scan(path)
                    )
    for name, scan in crops_elsewhere(data):
        found["hippocampus"][name] = outcome(models["hippocampus"], scan)
    return {**found, "cpu_ms": cost(models["hippocampus"].card)}


def cost(card):
    """CPU milliseconds of all checks before the network, on a head's array that every one of them looks at."""
    open_card = card.model_copy(update={"input": card.input.model_copy(update={"expected_extent_mm": None})})
    shape = (182, 218, 182)
    values = 500 + 1000 * ndimage.gaussian_filter(np.random.default_rng(SEED).normal(size=shape), 2)
    spent = {}
    for name, array in {"int16": values.astype(np.int16), "float32": values.astype(np.float32)}.items():
        stored = Scan(np.asfortranarray(array)[np.newaxis], Geometry(np.eye(4), shape))
        begun = time.process_time()
        assert refuse_scan(stored, open_card) is None
        spent[name] = round(1000 * (time.process_time() - begun), 1)
    return spent


PARTS = {"cards": cards, "tolerance": tolerance, "turned": turned, "suitable": suitable, "wrong": wrong}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--part", nargs="*", choices=PARTS, default=list(PARTS))
    parser.add_argument("--keep", type=Path, default=Path("runs/gate"), help="folder of what was measured")
    options = parser.parse_args()
    options.keep.mkdir(parents=True, exist_ok=True)
    for name in options.part:
        begun = time.process_time()
        measured = PARTS[name](options.data)
        (options.keep / f"{name}.json").write_text(json.dumps(measured, indent=1))
        print(f"{name}: {time.process_time() - begun:.0f} CPU-s", flush=True)
    kept = {name: json.loads(p.read_text()) for name in PARTS if (p := options.keep / f"{name}.json").is_file()}
    report(options.out, kept)


def report(out, kept):
    """Write what was measured, of the parts that were."""
    paragraphs = [
        "Measured by `python benchmarks/bench_gate.py`; [the gate](../explanation/gate.md) says what is checked."
    ]
    if "suitable" in kept:
        paragraphs += ["## Scans that the models are for", suitable_table(kept["suitable"])]
    if "wrong" in kept:
        paragraphs += ["## Scans that are not", wrong_table(kept["wrong"])]
        passed = [f"{model}: {name}" for model in MODELS for name, (state, _) in kept["wrong"][model].items()
                  if state == "done"]  # fmt: skip
        paragraphs.append(f"Done all the same: {'; '.join(passed) or 'none'}.")
        spent = ", ".join(f"{ms} ms ({name})" for name, ms in kept["wrong"]["cpu_ms"].items())
        paragraphs.append(f"CPU time of all checks before the network on 182 x 218 x 182 voxels: {spent}.")
    if "turned" in kept:
        paragraphs += ["## Scans turned by their header", *turned_table(kept["turned"])]
    if "tolerance" in kept:
        paragraphs += ["## What hippocampus crops tolerate", *tolerance_tables(kept["tolerance"])]
    if "cards" in kept:
        paragraphs += [
            "## Facts on the cards",
            "\n".join(f"- {name}: {value}" for name, value in kept["cards"].items()),
        ]
    write(out, "The gate: what is withheld, and what is not", paragraphs)


def group_of(name):
    """Kind of a scan, for a table."""
    for start in ("hippocampus", "nuclei", "other axes", "clinical crop", "whole T1 head", "synthetic", "crop"):
        if name.startswith(start):
            return start
    return name.partition(" mm ")[0] + " mm" if " mm " in name else name.partition("/")[0]


def counted(outcomes):
    groups = {}
    for name, (state, _) in outcomes.items():
        groups.setdefault(group_of(name), Counter())[state] += 1
    return {name: [states["done"], states["withheld"], states["failed"]] for name, states in sorted(groups.items())}


def suitable_table(outcomes):
    return table(["done", "withheld", "failed"], counted(outcomes))


def wrong_table(kept):
    rows = {}
    for model in MODELS:
        rows |= {f"{model}: {name}": row for name, row in counted(kept[model]).items()}
    return table(["done", "withheld", "failed to be read as this model's input"], rows)


def turned_table(rows):
    kinds = [key for key in rows[0] if key not in ("case", "as it is") and not key.endswith("outcome")]
    own = [row["as it is"] for row in rows]
    lines = {"as it is": [*range_of(own), "", ""]}
    for kind in kinds:
        values = [(row[kind] or 1.0, row["as it is"]) for row in rows]
        tried = [row[f"{kind}: outcome"][0] for row in rows if f"{kind}: outcome" in row]
        lines[kind] = [
            *range_of([v for v, _ in values]),
            round(min(v / o for v, o in values), 3),
            f"{tried.count('withheld')} of {len(tried)}",
        ]
    columns = ["least entropy", "most entropy", "least times that as it is", "withheld"]
    return [f"Mean boundary entropy of {len(rows)} hippocampus crops, as stored and turned:", table(columns, lines)]


def tolerance_tables(found):
    columns = ["mean Dice", "least Dice", "most boundary entropy"]
    return [
        f"{found['cases']} crops resampled to other spacings (mm), against their own references:",
        table(columns, found["spacing"]),
        "Boxes around both hippocampi of three heads with labels, by their size in crops of 36 x 50 x 36 mm:",
        table(columns, found["extent"]),
    ]


if __name__ == "__main__":
    main()
