"""What nnU-Net's plans say of a configuration; of Python alone, as nnU-Net's own Python reads it too."""

NET = "dynamic_network_architectures.architectures.unet."


def architecture(kind, d, features=(6, 8, 12), blocks=(2, 2, 2), decoder=(2, 2)):
    depth = "n_blocks_per_stage" if kind == "ResidualEncoderUNet" else "n_conv_per_stage"
    return {
        "network_class_name": NET + kind,
        "arch_kwargs": {
            "n_stages": 3, "features_per_stage": list(features), "conv_op": f"torch.nn.modules.conv.Conv{d}d",
            "kernel_sizes": [[1, 3, 3][3 - d:], [3] * d, [3] * d], "strides": [[1] * d, [1, 2, 2][3 - d:], [2] * d],
            depth: list(blocks), "n_conv_per_stage_decoder": list(decoder),
            "conv_bias": True, "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{d}d",
            "norm_op_kwargs": {"eps": 1e-05, "affine": True}, "dropout_op": None, "dropout_op_kwargs": None,
            "nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True},
        },
        "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"],
    }  # fmt: skip


def settings(kind, d, spacing, patch):
    resampling = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": f"{kind}_{d}d", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2,
        "patch_size": patch, "median_image_size_in_voxels": [30, 40, 40][3 - d:], "spacing": spacing,
        "normalization_schemes": ["CTNormalization"], "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": resampling | {"order": 3},
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_seg_kwargs": resampling | {"is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": resampling | {"order": 1},
        "architecture": architecture(kind, d), "batch_dice": False,
    }  # fmt: skip
