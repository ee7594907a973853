"""Run by nnU-Net's own Python: tiny models of every kind, as nnU-Net builds and saves them, and what it predicts.

    build/peers/nnunet/bin/python tests/models/nnunet_peer.py OUT

Leaves OUT/scans, OUT/results/DATASET/TRAINER__PLANS__CONFIGURATION and OUT/predictions/DATASET/CONFIGURATION.
"""

import json
import os
import sys
from pathlib import Path

OUT = Path(sys.argv[1])
for name in ("raw", "preprocessed", "results"):
    os.environ[f"nnUNet_{name}"] = str(OUT / name)
    (OUT / name).mkdir(parents=True, exist_ok=True)

import nibabel as nib  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
from nnunet_plans import settings  # noqa: E402
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: E402
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans  # noqa: E402
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels  # noqa: E402
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402
from scipy.ndimage import gaussian_filter  # noqa: E402


def plans(dataset, kind):
    fine = settings(kind, 3, [2.0, 1.0, 1.0], [12, 24, 24])
    return {
        "dataset_name": dataset, "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO",
        "original_median_spacing_after_transp": [2.5, 1.1, 1.0],
        "original_median_shape_after_transp": [30, 40, 40], "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2], "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            "0": {"max": 400.0, "mean": 60.0, "median": 50.0, "min": -200.0, "percentile_00_5": -150.0,
                  "percentile_99_5": 250.0, "std": 70.0}},
        "configurations": {
            "2d": settings(kind, 2, [1.2, 1.0], [32, 24]),
            "3d_lowres": settings(kind, 3, [3.0, 2.0, 2.0], [8, 16, 16]) | {"next_stage": "3d_cascade_fullres"},
            "3d_fullres": fine,
            "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
        },
    }  # fmt: skip


def train_nothing(dataset, kind, configuration, labels, folds):
    """Save networks nnU-Net builds, with weights that no training has touched."""
    root = OUT / "results" / dataset / f"nnUNetTrainer__nnUNetPlans__{configuration}"
    described = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 5, "file_ending": ".nii.gz"}
    if any(isinstance(value, list) for value in labels.values()):
        described["regions_class_order"] = [1, 2, 3]
    manager = PlansManager(plans(dataset, kind))
    chosen = manager.get_configuration(configuration)
    label_manager = manager.get_label_manager(described)
    for fold in folds:
        torch.manual_seed(fold + 17)
        network = get_network_from_plans(
            chosen.network_arch_class_name, chosen.network_arch_init_kwargs,
            chosen.network_arch_init_kwargs_req_import, determine_num_input_channels(manager, chosen, described),
            label_manager.num_segmentation_heads, deep_supervision=True,
        )  # fmt: skip
        (root / f"fold_{fold}").mkdir(parents=True)
        torch.save(
            {"network_weights": network.state_dict(), "init_args": {"configuration": configuration, "fold": fold},
             "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": (0, 1, 2)},
            root / f"fold_{fold}" / "checkpoint_final.pth",
        )  # fmt: skip
    (root / "plans.json").write_text(json.dumps(plans(dataset, kind)))
    (root / "dataset.json").write_text(json.dumps(described))
    return root


def predict(root, dataset, folds, previous=None):
    predictor = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(root), folds)
    target = OUT / "predictions" / dataset / root.name.rpartition("__")[2]
    target.mkdir(parents=True)
    scans = [[str(path)] for path in sorted((OUT / "scans").glob("*.nii.gz"))]
    ends = [str(target / Path(scan).name.removesuffix("_0000.nii.gz")) for (scan,) in scans]
    predictor.predict_from_files(
        scans, ends, num_processes_preprocessing=1, num_processes_segmentation_export=1,
        folder_with_segs_from_prev_stage=previous and str(previous),
    )  # fmt: skip
    return target


def main():
    torch.set_num_threads(1)
    (OUT / "scans").mkdir()
    rng = np.random.default_rng(0)
    for number, (shape, spacing) in enumerate([((40, 44, 20), (1.0, 1.1, 2.5)), ((38, 30, 12), (0.92, 0.92, 5.0))]):
        array = gaussian_filter(rng.normal(size=shape), 2) * 900 + 50
        array[:3] = 0  # something to crop
        array[:, -4:] = 0
        scan = nib.Nifti1Image(array.astype(np.float32), np.diag([*spacing, 1.0]))
        nib.save(scan, OUT / "scans" / f"case{number}_0000.nii.gz")
    labels = {"background": 0, "liver": 1, "tumor": 2}
    regions = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": [3]}
    for dataset, kind, wanted in (
        ("Dataset001_Plain", "PlainConvUNet", labels), ("Dataset002_Residual", "ResidualEncoderUNet", regions)
    ):  # fmt: skip
        for configuration in ("2d", "3d_lowres", "3d_cascade_fullres"):
            folds = (0, 1) if configuration == "3d_cascade_fullres" else (0,)
            root = train_nothing(dataset, kind, configuration, wanted, folds)
            first = OUT / "predictions" / dataset / "3d_lowres"
            predict(root, dataset, folds, first if configuration == "3d_cascade_fullres" else None)


if __name__ == "__main__":
    main()
