"""Against other people's tools, on shared cases. `python benchmarks/peer_environments.py` installs them."""

import json
import math
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from objects_for_tests import label_map
from PIL import Image
from scipy import ndimage
from shared_data import DATA

from medseg.evaluation.metrics.detection import components, count_overlaps, detection_measures
from medseg.evaluation.metrics.lesions import lesion_measures, matched_lesion_measures
from medseg.evaluation.metrics.measure import measure_case
from medseg.evaluation.options import EvaluateOptions
from medseg.types import LabelTable

pytestmark = pytest.mark.peers
REPOSITORY = Path(__file__).resolve().parents[2]

# Before and after each script: the cases, for BraTS as NIfTI of its value for enhancing tumor, and what was found.
BEGINNING = """
import json, sys
import numpy as np
cases, found = np.load(sys.argv[1]), []
def written(n):
    import nibabel as nib
    paths = [sys.argv[1].replace("cases.npz", f"{side}.nii.gz") for side in "pr"]
    for side, path in zip("pr", paths):
        nib.save(nib.Nifti1Image(3 * cases[f"{side}{n}"], np.eye(4)), path)
    return paths
"""
ENDING = 'print("RESULT" + json.dumps(found))'

PANOPTICA = """
from panoptica import ConnectedComponentsInstanceApproximator, InputType, NaiveThresholdMatching, Panoptica_Evaluator
from panoptica.metrics import Metric
from panoptica.utils.constants import CCABackend
kind = InputType.SEMANTIC if sys.argv[2] == "masks" else InputType.UNMATCHED_INSTANCE
evaluator = Panoptica_Evaluator(
    expected_input=kind,
    instance_approximator=ConnectedComponentsInstanceApproximator(cca_backend=CCABackend.cc3d),
    instance_matcher=NaiveThresholdMatching(matching_metric=Metric.IOU, matching_threshold=0.5),
    instance_metrics=[Metric.DSC, Metric.IOU], global_metrics=[Metric.DSC, Metric.IOU],
)
for n in range(len(cases.files) // 2):
    result = evaluator.evaluate(cases[f"p{n}"], cases[f"r{n}"], verbose=False)["ungrouped"]
    found.append({k: float(getattr(result, k)) for k in
        ("pq", "sq", "rq", "tp", "n_ref_instances", "n_pred_instances", "global_bin_dsc", "global_bin_iou")})
"""

BRATS = """
from brats_evaluation import config_path, evaluate_single_exam
from panoptica import Panoptica_Evaluator
evaluator = Panoptica_Evaluator.load_from_config(str(config_path("gli")))
for n in range(len(cases.files) // 2):
    result = evaluate_single_exam(*written(n), str(n), evaluator)["et"]
    found.append({k: float(result.get(k, "nan")) for k in ("sq_dsc", "tp", "fp", "fn")})
"""

BRATS_2023 = """
import types, warnings
from pathlib import Path
import pandas as pd
warnings.filterwarnings("ignore")
# Without distances, which medseg does not give by lesion and which take most of the time; so nothing is infinite, and
# `replace`, which of the pandas that this Python has wheels for none can do on a column of arrays, has nothing to do.
pd.DataFrame.replace = lambda table, *_, inplace=False: None if inplace else table
sys.modules["surface_distance"] = types.SimpleNamespace(
    compute_surface_distances=lambda *_: None, compute_robust_hausdorff=lambda *_: float("nan"))
sys.path.insert(0, str(Path(sys.executable).parents[1]))
from eval import get_LesionWiseResults
for n in range(len(cases.files) // 2):
    result = get_LesionWiseResults(*written(n), sys.argv[2]).set_index("Labels").loc["ET"]
    found.append({k: float(result[k]) for k in ("LesionWise_Score_Dice", "Num_TP", "Num_FP", "Num_FN")})
"""

MESHMETRICS = """
from meshmetrics import compute_metrics
for n in range(len(cases.files) // 3):
    found.append({k: float(v) for k, v in compute_metrics(
        cases[f"r{n}"].astype(bool), cases[f"p{n}"].astype(bool), spacing=tuple(cases[f"s{n}"]), taus=(3.0,)).items()})
"""

SURFACE_DISTANCE = """
import surface_distance.metrics as m
for n in range(len(cases.files) // 3):
    a, b = cases[f"r{n}"].astype(bool), cases[f"p{n}"].astype(bool)
    d = m.compute_surface_distances(a, b, cases[f"s{n}"])
    found.append({"dice": float(m.compute_dice_coefficient(a, b)), "hd": float(m.compute_robust_hausdorff(d, 100)),
        "hd95": float(m.compute_robust_hausdorff(d, 95)), "nsd": float(m.compute_surface_dice_at_tolerance(d, 3.0))})
"""


def ask(peer, script, cases, folder, *arguments):
    """Let a peer measure cases, of reference, prediction and perhaps a spacing, in its own environment."""
    python = REPOSITORY / "build" / "peers" / peer / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"{peer} is not installed (python benchmarks/peer_environments.py {peer})")
    arrays = {f"{side}{n}": np.asarray(value) for n, case in enumerate(cases) for side, value in zip("rps", case)}  # noqa: B905
    arrays = {name: array.astype(np.uint8) if array.dtype == bool else array for name, array in arrays.items()}
    np.savez_compressed(folder / "cases.npz", **arrays)
    command = [python, "-W", "ignore", "-c", BEGINNING + script + ENDING, folder / "cases.npz", *arguments]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))[6:])


def blobs(shape, seed, threshold=0.15, width=2.5):
    """Smooth random shapes, and the same a little changed."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal(shape), width)
    change = ndimage.gaussian_filter(rng.standard_normal(shape), width / 2)
    field, change = field / field.std(), change / change.std()
    return field > 1 - threshold, field + 0.45 * change > 1 - threshold


def object_cases():
    cases = [blobs((40, 40, 30), seed) for seed in range(8)] + [blobs((60, 60, 1), seed) for seed in range(3)]
    lesions = sorted((DATA / "ms_lesions" / "labels").glob("*.nii.gz"))[:2]
    for path in lesions:
        mask = np.asarray(nib.load(path).dataobj) > 0
        cases.append((mask, ndimage.binary_dilation(np.roll(mask, 1, axis=0)) & ~np.roll(mask, 3, axis=1)))
    return cases


def test_objects_agree_with_panoptica(tmp_path):
    cases = object_cases()
    theirs = ask("panoptica", PANOPTICA, cases, tmp_path, "masks")
    matched = 0
    for (reference, prediction), other in zip(cases, theirs, strict=True):
        ours = detection_measures(count_overlaps(components(reference), components(prediction)))
        assert ours["objects_reference"] == other["n_ref_instances"]
        assert ours["objects_prediction"] == other["n_pred_instances"]
        assert ours["objects_matched"] == other["tp"]
        matched += int(other["tp"])
        for name in ("pq", "sq", "rq") if other["tp"] else ("pq", "rq"):
            assert ours[name] == pytest.approx(other[name], abs=1e-9), name
        assert ours["f1@0.5"] == pytest.approx(other["rq"], abs=1e-9)
        both = (reference & prediction).sum()
        assert other["global_bin_dsc"] == pytest.approx(2 * both / (reference.sum() + prediction.sum()))
    assert matched > 50


def test_paired_lesions_agree_with_the_package_of_brats(tmp_path):
    """`lesions.rule: matched`, on the enhancing tumor of its configuration for glioma."""
    cases = [blobs((40, 40, 30), seed) for seed in range(8)]
    nothing, one = np.zeros((2, 12, 12, 12), bool)
    one[2:5, 2:5, 2:5] = True
    cases += [(nothing, nothing), (one, nothing), (nothing, one), (one, np.roll(one, 5, axis=0)), (one, one)]
    theirs = ask("brats-evaluation", BRATS, cases, tmp_path)
    for (reference, prediction), other in zip(cases, theirs, strict=True):
        ours = matched_lesion_measures(reference, prediction)
        assert (ours["lesion_tp"], ours["lesion_fp"], ours["lesion_fn"]) == (other["tp"], other["fp"], other["fn"])
        assert ours["lesion_dice"] == pytest.approx(other["sq_dsc"], abs=1e-9, nan_ok=True)
    assert sum(other["tp"] for other in theirs) > 50


@pytest.mark.parametrize(("task", "dilation", "minimum_mm3"), [("GLI", 3, 50), ("MEN", 1, 50), ("MET", 1, 2)])
def test_dilated_lesions_agree_with_the_code_of_the_challenge_of_2023(tmp_path, task, dilation, minimum_mm3):
    """`lesions.rule: dilated`, with the numbers of each task; an empty pair is 1 there and NaN here."""
    cases = [blobs((40, 40, 24), seed, threshold=-1.0, width=2.2) for seed in range(8)]
    for _, prediction in cases[:4]:
        prediction[:20] = False  # else hardly a lesion is missed
    nothing, one = np.zeros((2, 14, 14, 14), bool)
    one[2:6, 2:6, 2:6] = True
    two = one | np.roll(one, 6, axis=0)
    cases += [(nothing, nothing), (one, nothing), (nothing, one), (one, np.roll(one, 6, axis=0)), (two, one)]
    theirs = ask("brats-2023", BRATS_2023, cases, tmp_path, f"BraTS-{task}")
    for (reference, prediction), other in zip(cases, theirs, strict=True):
        ours = lesion_measures(reference, prediction, 1.0, dilation=dilation, minimum_mm3=minimum_mm3)
        counts = tuple(other[name] for name in ("Num_TP", "Num_FP", "Num_FN"))
        assert (ours["lesion_tp"], ours["lesion_fp"], ours["lesion_fn"]) == counts
        if math.isnan(ours["lesion_dice"]):
            assert other["LesionWise_Score_Dice"] == 1
        else:
            assert ours["lesion_dice"] == pytest.approx(other["LesionWise_Score_Dice"], abs=1e-9)
    for name in ("Num_TP", "Num_FP", "Num_FN"):
        assert sum(other[name] for other in theirs) > 4


def test_the_two_rules_of_brats_agree_where_every_lesion_is_found_alone(tmp_path):
    reference, prediction = np.zeros((2, 40, 40, 40), bool)
    for place in (2, 16, 30):
        reference[place : place + 6, 2:8, 2:8] = prediction[place + 1 : place + 7, 2:8, 2:8] = True
    (other,) = ask("brats-evaluation", BRATS, [(reference, prediction)], tmp_path)
    assert lesion_measures(reference, prediction, 1.0)["lesion_dice"] == pytest.approx(other["sq_dsc"])


@pytest.mark.needs_data("data/nuclei")
def test_maps_of_ids_agree_with_panoptica(tmp_path):
    cases = []
    for path in sorted((DATA / "nuclei" / "instances").glob("*.png"))[:10]:
        ids = np.asarray(Image.open(path)).astype(np.uint16)
        cases.append((ids, ndimage.label(ndimage.binary_erosion(ids > 0))[0].astype(np.uint16)))
    for (reference, prediction), other in zip(cases, ask("panoptica", PANOPTICA, cases, tmp_path, "ids"), strict=True):
        ours = detection_measures(count_overlaps(reference, prediction))
        assert ours["objects_matched"] == other["tp"]
        assert ours["pq"] == pytest.approx(other["pq"], abs=1e-9)


def test_where_panoptica_defines_otherwise(tmp_path):
    """The table of differences in docs/reference/metrics.md, kept true."""
    nothing, something, elsewhere, split = np.zeros((4, 8, 8, 8), np.uint8)
    something[1:3, 1:3, 1:3] = 1
    elsewhere[5:7, 5:7, 5:7] = 1
    pairs = [(nothing, nothing), (something, nothing), (something, elsewhere), (something, split)]
    split[1:2, 1:3, 1:3] = 1
    theirs = ask("panoptica", PANOPTICA, pairs, tmp_path, "masks")
    ours = [detection_measures(count_overlaps(*map(components, (a > 0, b > 0)))) for a, b in pairs]
    assert [(o["rq"], t["rq"]) for o, t in zip(ours[1:], theirs[1:], strict=True)] == [(0, 0), (0, 0), (1, 1)]
    assert math.isnan(ours[0]["rq"])
    assert math.isnan(theirs[0]["rq"])
    assert [math.isnan(o["sq"]) for o in ours] == [True, True, True, False]
    assert [t["sq"] for t in theirs[1:]] == [0, 0, 0.5]


def surface_cases():
    spacings = [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5), (3.0, 0.7, 1.1)]
    return [(*blobs((36, 36, 28), 100 + n, threshold=0.6, width=4), s) for n, s in enumerate(spacings * 2)]


def measured(reference, prediction, spacing):
    maps = [label_map(mask, np.diag([*spacing, 1.0]), LabelTable.unnamed([1])) for mask in (reference, prediction)]
    options = EvaluateOptions(tolerances_mm=(3.0,), objects="none")
    return measure_case(*maps, {"a": (1,)}, options).values["a"]


@pytest.mark.parametrize("peer", ["pymeshmetrics", "surface-distance"])
def test_surfaces_agree_with_meshes_to_a_voxel(peer, tmp_path):
    """Both peers measure a surface of area elements between voxels, medseg border voxels: a voxel apart at most."""
    cases = surface_cases()
    script = MESHMETRICS if peer == "pymeshmetrics" else SURFACE_DISTANCE
    for case, other in zip(cases, ask(peer, script, cases, tmp_path), strict=True):
        ours = measured(*case)
        diagonal, finest = math.hypot(*case[2]), min(case[2])
        names = {"dice": "DSC", "iou": "IoU", "hd": "HD_100", "hd95": "HD_95", "assd": "ASSD", "masd": "MASD"}
        theirs = {k: other[v] for k, v in names.items()} if peer == "pymeshmetrics" else other
        assert ours["dice"] == pytest.approx(theirs["dice"], abs=1e-9)
        assert ours["hd"] == pytest.approx(theirs["hd"], abs=diagonal)
        assert ours["hd95"] == pytest.approx(theirs["hd95"], abs=diagonal)
        assert ours["nsd@3mm"] == pytest.approx(other.get("NSD_3.0", other.get("nsd")), abs=0.08)
        for name in ("assd", "masd") if peer == "pymeshmetrics" else ():
            assert ours[name] == pytest.approx(theirs[name], abs=0.5 * finest), name


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_monai_has_the_same_hausdorff_distances():
    """MONAI's border is the same voxels away from the image's edge; its percentile is the same."""
    torch = pytest.importorskip("torch")
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    for reference, prediction, spacing in surface_cases():
        masks = [torch.from_numpy(np.pad(m, 1))[None, None] for m in (prediction, reference)]
        ours = measured(np.pad(reference, 1), np.pad(prediction, 1), spacing)
        keywords = {"include_background": True, "spacing": spacing}
        assert ours["hd"] == pytest.approx(float(compute_hausdorff_distance(*masks, **keywords)), rel=1e-5)
        hd95 = float(compute_hausdorff_distance(*masks, percentile=95, **keywords))
        assert ours["hd95"] == pytest.approx(hd95, rel=1e-5)
        assd = float(compute_average_surface_distance(*masks, symmetric=True, **keywords))
        assert ours["assd"] == pytest.approx(assd, rel=1e-5)
