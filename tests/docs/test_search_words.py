"""What people who come from other tools search for is found in these pages; `test_site.py` asks the search itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
# What users of nnU-Net, TotalSegmentator and MONAI search for.
WORDS = """
inference; fine-tuning; transfer learning; pretrained weights; test-time augmentation; TTA; uncertainty; calibration;
batch size; epochs; learning rate; optimizer; data augmentation; loss function; patch size; sliding window; overlap;
mixed precision; bfloat16; CUDA; GPU; CPU; Docker; container; out of memory; troubleshoot; offline; Windows; macOS;
proxy; DICOM SEG; RTSTRUCT; NIfTI; NRRD; PACS; Orthanc; OHIF; 3D Slicer; ITK-SNAP; nnU-Net; TotalSegmentator; MONAI;
MONAI Label; cross-validation; fold; ensemble; cascade; postprocessing; preprocessing; resampling; spacing; orientation;
affine; mask; ground truth; Dice; Hausdorff; surface distance; panoptic; instance segmentation; checkpoint; resume;
license; anonymize; TensorBoard; wandb; conda; MPS; num_workers; TensorRT; MONAI Deploy; class imbalance; anisotropic;
largest component; vertebrae; FDA; CE mark; GDPR; HIPAA; upgrade; cite; MLflow;
batch_size; SlidingWindowInferer; DiceCELoss; pseudonymization; fold_all; Killed; unknown key; no CUDA GPUs found;
postprocessing: the largest component; the scan is a 2D image;
the run in this folder was started with another configuration;
radiomics; SLURM; Kubernetes; Ray; registration; SUV; ONNX; OpenVINO; multi-GPU; multi-label
"""
LIST = [word.strip() for word in re.sub(r"\s+", " ", WORDS).split(";")]


@pytest.fixture(scope="module")
def text() -> str:
    pages = " ".join(page.read_text(encoding="utf-8") for page in sorted(DOCS.rglob("*.md")))
    return re.sub(r"\s+", " ", pages).lower()


@pytest.mark.parametrize("word", LIST)
def test_the_word_is_found(text: str, word: str) -> None:
    assert re.search(rf"\b{re.escape(word.lower())}", text), f"no page has '{word}'"
