"""TotalSegmentator's weights folder with networks of random weights: its true names, class maps, plans and files.

Of Python and PyTorch alone, so that TotalSegmentator's own Python can read the same networks:

    python tests/models/totalsegmentator_networks.py OUT   # networks of the true shapes, five of 1.5 mm and one of 3 mm
"""

import csv
import json
import sys
from pathlib import Path

import torch
from nnunet_reference import NnUNet, randomize

MAPS = Path(__file__).resolve().parents[2] / "medseg/models/adapters/totalsegmentator.csv"
FOLDERS = {
    291: "Dataset291_TotalSegmentator_part1_organs_1559subj",
    292: "Dataset292_TotalSegmentator_part2_vertebrae_1532subj",
    293: "Dataset293_TotalSegmentator_part3_cardiac_1559subj",
    294: "Dataset294_TotalSegmentator_part4_muscles_1559subj",
    295: "Dataset295_TotalSegmentator_part5_ribs_1559subj",
    297: "Dataset297_TotalSegmentator_total_3mm_1559subj",
    298: "Dataset298_TotalSegmentator_total_6mm_1559subj",
}
TRAINERS = {297: "nnUNetTrainer_4000epochs_NoMirroring", 298: "nnUNetTrainer_4000epochs_NoMirroring"}
SPACINGS = {297: 3.0, 298: 6.0}
TRUE = {"base": 32, "stages": 6, "patch": 128}


def labels_of(dataset):
    with MAPS.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if int(row["dataset"]) == dataset]
    return {"background": 0, **{row["name"]: int(row["part_value"]) for row in rows}}


def plans(dataset, base, stages, patch):
    """Plans in the format of nnU-Net 2.0, with which these networks were trained."""
    resampling = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    strides = [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)]
    fullres = {
        "data_identifier": "nnUNetPlans_3d_fullres", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": [patch] * 3, "median_image_size_in_voxels": [231.0, 243.0, 243.0],
        "spacing": [SPACINGS.get(dataset, 1.5)] * 3, "normalization_schemes": ["CTNormalization"],
        "use_mask_for_norm": [False], "UNet_class_name": "PlainConvUNet", "UNet_base_num_features": base,
        "n_conv_per_stage_encoder": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1),
        "num_pool_per_axis": [stages - 1] * 3, "pool_op_kernel_sizes": strides,
        "conv_kernel_sizes": [[3, 3, 3]] * stages, "unet_max_num_features": 320,
        "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": resampling,
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1}, "batch_dice": True,
    }  # fmt: skip
    measured = {"max": 3000.0, "median": 30.0, "min": -1000.0, "percentile_00_5": -900.0, "percentile_99_5": 1300.0}
    return {
        "dataset_name": FOLDERS[dataset], "plans_name": "nnUNetPlans", "image_reader_writer": "NibabelIOWithReorient",
        "original_median_spacing_after_transp": [1.5] * 3, "original_median_shape_after_transp": [231, 243, 243],
        "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2], "label_manager": "LabelManager",
        "experiment_planner_used": "ExperimentPlanner",
        # Each network was trained on labels of its own, and so has a mean of its own.
        "foreground_intensity_properties_per_channel": {"0": {**measured, "mean": dataset - 250.0, "std": 300.0}},
        "configurations": {"3d_fullres": fullres},
    }  # fmt: skip


def write(root, dataset, *, base=2, stages=2, patch=8):
    """Write the results folder of one dataset and return it."""
    trainer = TRAINERS.get(dataset, "nnUNetTrainerNoMirroring")
    folder = root / FOLDERS[dataset] / f"{trainer}__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True)
    labels = labels_of(dataset)
    features = [min(base * 2**stage, 320) for stage in range(stages)]
    strides = [[1, 1, 1], *[[2, 2, 2]] * (stages - 1)]
    network = NnUNet(3, 1, len(labels), features, [[3] * 3] * stages, strides, [2] * stages, [2] * (stages - 1), False)
    randomize(network, dataset)
    with torch.no_grad():
        last = network.decoder.stages[-1].convs[-1].norm
        last.weight.fill_(1.0)  # so that what the last layer is shown differs from place to place
        last.bias.zero_()
        for head in network.decoder.seg_layers:
            # Few classes compete anywhere, as in a body: nnU-Net adds scores up in half precision, where rounding
            # decides between classes that are nearly equal, and of 117 random ones two nearly always are.
            head.bias.fill_(-100.0)
            head.bias[1 :: max(1, len(labels) // 4)] = 0.0
            head.bias[0] = 0.3 * base**0.5  # many voxels are background
    checkpoint = {
        "network_weights": network.state_dict(),
        "init_args": {"configuration": "3d_fullres", "fold": 0},
        "trainer_name": trainer,
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(checkpoint, folder / "fold_0" / "checkpoint_final.pth")
    (folder / "plans.json").write_text(json.dumps(plans(dataset, base, stages, patch)))
    described = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 1559, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


if __name__ == "__main__":
    for number in (291, 292, 293, 294, 295, 297):
        print(write(Path(sys.argv[1]), number, **TRUE))
