"""More tiny sets in the layouts of public challenges, with their files named exactly as published."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from public_layouts import HIGH, SHAPE, WIDE, Expected, drawn, flat, itk, labels, nifti, photo, scan, write_ct


def verse(root: Path) -> Expected:
    """VerSe: two scans of one subject, centroids and a snapshot beside each mask."""
    cases, groups = {}, {}
    for subject, part in (("verse004", ""), ("verse401", "_split-verse253"), ("verse401", "_split-verse254")):
        start = f"sub-{subject}/sub-{subject}{part}"
        image, mask = f"rawdata/{start}_ct.nii.gz", f"derivatives/{start}_seg-vert_msk.nii.gz"
        nifti(root / image, scan(len(cases)))
        nifti(root / mask, labels(len(cases), value=20))
        (root / f"derivatives/{start}_seg-subreg_ctd.json").write_text('[{"direction": ["P", "I", "R"]}]')
        flat(root / f"derivatives/{start}_seg-vert_snp.png", photo(1))
        case_id = f"sub-{subject}" + part
        cases[case_id] = ((image,), (mask,))
        if part:
            groups[case_id] = "sub-verse401"
    groups["sub-verse004"] = "sub-verse004"
    return Expected(cases, ("ct",), ("class-20",), groups=groups)


def msseg(root: Path) -> Expected:
    """MSSEG 2016: raw and preprocessed images, a consensus and seven raters, a mask of the brain."""
    cases = {}
    for center, patient in (("01", "01"), ("01", "02"), ("07", "03")):
        folder = f"Center_{center}/Patient_{patient}"
        for kind in ("FLAIR", "T1"):
            nifti(root / folder / "Raw_Data" / f"{kind}.nii.gz", scan(1))
            nifti(root / folder / "Preprocessed_Data" / f"{kind}_preprocessed.nii.gz", scan(2))
        for number in range(1, 8):
            nifti(root / folder / "Masks" / f"ManualSegmentation_{number}.nii.gz", labels(1))
        nifti(root / folder / "Masks" / "Consensus.nii.gz", labels(1))
        nifti(root / folder / "Masks" / "Brain_Mask.nii.gz", np.ones(SHAPE, np.uint8))
        images = tuple(f"{folder}/Preprocessed_Data/{kind}_preprocessed.nii.gz" for kind in ("FLAIR", "T1"))
        cases[f"Patient_{patient}"] = (images, (f"{folder}/Masks/Consensus.nii.gz",))
    return Expected(cases, ("flair_preprocessed", "t1_preprocessed"), ambiguous="images given twice")


def myops(root: Path) -> Expected:
    """MyoPS 2020: three sequences in one folder, labels that only end in ``gd`` in another."""
    cases = {}
    for number in (101, 102, 103):
        images = tuple(f"train25/myops_training_{number}_{kind}.nii.gz" for kind in ("C0", "DE", "T2"))
        for image in images:
            nifti(root / image, scan(number))
        mask = f"train25_myops_gd/myops_training_{number}_gd.nii.gz"
        nifti(root / mask, labels(number, value=200))
        cases[f"myops_{number}"] = (images, (mask,))
    return Expected(cases, ("c0", "de", "t2"), ("class-200",))


def bonbid(root: Path) -> Expected:
    """BONBID-HIE 2023: a folder a channel, whose files have its words before or behind the case."""
    cases = {}
    for number in (10, 11, 12):
        case = f"MGHNICU_0{number}-VISIT_01"
        files = (
            f"1ADC_ss/{case}-ADC_ss.mha",
            f"2Z_ADC/Zmap_{case}-ADC_smooth2mm_clipped10.mha",
            f"3LABEL/{case}_lesion.mha",
        )
        for k, file in enumerate(files):
            itk(root / file, labels(number) if k == 2 else scan(number + k))
        cases[f"MGHNICU_0{number}-VISIT_01"] = (files[:2], files[2:])
    return Expected(cases, ("1adc_ss", "2z_adc"))


def neurite_oasis(root: Path) -> Expected:
    cases = {}
    for name in ("OASIS_OAS1_0001_MR1", "OASIS_OAS1_0002_MR1", "OASIS_OAS1_0003_MR1"):
        nifti(root / name / "aligned_norm.nii.gz", scan(1))
        nifti(root / name / "aligned_seg35.nii.gz", labels(1))
        cases[f"{name}_aligned"] = ((f"{name}/aligned_norm.nii.gz",), (f"{name}/aligned_seg35.nii.gz",))
    return Expected(cases, ("norm",))


def ph2(root: Path) -> Expected:
    cases = {}
    for name in ("IMD002", "IMD003", "IMD004"):
        folder = f"PH2 Dataset images/{name}"
        files = f"{folder}/{name}_Dermoscopic_Image/{name}.bmp", f"{folder}/{name}_lesion/{name}_lesion.bmp"
        flat(root / files[0], photo(1))
        flat(root / files[1], drawn(1) > 0)
        if name == "IMD003":
            flat(root / folder / f"{name}_roi" / f"{name}_R1_Label3.bmp", drawn(2) > 0)
        cases[name] = ((files[0],), (files[1],))
    return Expected(cases, ("red", "green", "blue"), dimensions=2, ambiguous="lesion")


def stripped_skulls(root: Path) -> Expected:
    """NFBS: the image, the image without skull, and the mask of the brain, which is the only label."""
    cases = {}
    for number in (1, 2, 3):
        start = f"A0002818{number}/sub-A0002818{number}_ses-NFB3_T1w"
        nifti(root / f"{start}.nii.gz", scan(number))
        nifti(root / f"{start}_brain.nii.gz", scan(number) * labels(number))
        nifti(root / f"{start}_brainmask.nii.gz", labels(number))
        cases[start.replace("/", "_")] = ((f"{start}.nii.gz",), (f"{start}_brainmask.nii.gz",))
    return Expected(cases, ambiguous="the only labels are 'brainmask'")


def lesions_beside_brains(root: Path) -> Expected:
    """FSL's masks of brains, and lesions that no word calls labels."""
    cases = {}
    for number in (1, 2, 3):
        start = f"sub-0{number}"
        nifti(root / f"{start}_T1.nii.gz", scan(number))
        nifti(root / f"{start}_T1_brain.nii.gz", scan(number))
        nifti(root / f"{start}_T1_brain_mask.nii.gz", np.ones(SHAPE, np.uint8) - labels(number + 1) // 2)
        nifti(root / f"{start}_lesion.nii.gz", labels(number))
        cases[start] = ((f"{start}_T1.nii.gz",), (f"{start}_lesion.nii.gz",))
    return Expected(cases, ("t1",), ambiguous="masks of the field of view, not read: 'brainmask'")


def bids_with_masks_of_brains(root: Path) -> Expected:
    cases, groups = {}, {}
    for number in (1, 2, 3):
        start = f"sub-0{number}/anat/sub-0{number}"
        nifti(root / f"{start}_T1w.nii.gz", scan(number))
        nifti(root / f"derivatives/fmriprep/{start}_desc-brain_mask.nii.gz", np.ones(SHAPE, np.uint8))
        nifti(root / f"derivatives/manual/{start}_label-lesion_mask.nii.gz", labels(number))
        cases[f"sub-0{number}"] = (
            (f"{start}_T1w.nii.gz",), (f"derivatives/manual/{start}_label-lesion_mask.nii.gz",)
        )  # fmt: skip
    return Expected(cases, ("t1w",), groups=groups, ambiguous="not read")


def masks_inside_masks(root: Path) -> Expected:
    """A liver and its tumor, each in a file: classes, not two raters."""
    cases = {}
    for number in (1, 2, 3):
        start = f"p{number}/p{number}"
        nifti(root / f"{start}_ct.nii.gz", scan(number))
        liver = np.zeros(SHAPE, np.uint8)
        liver[1:5, 1:5, 1:3] = 1
        tumor = liver.copy()
        tumor[3:] = 0
        nifti(root / f"{start}_liver_seg.nii.gz", liver)
        nifti(root / f"{start}_tumor_seg.nii.gz", tumor)
        cases[f"p{number}"] = (
            (f"{start}_ct.nii.gz",), (f"{start}_liver_seg.nii.gz", f"{start}_tumor_seg.nii.gz")
        )  # fmt: skip
    return Expected(cases, ("ct",), ("liver", "tumor"), ambiguous="lies inside")


def labels_of_a_missing_subject(root: Path) -> Expected:
    """The gray matter challenge's, where a clone lacks the large image of one subject: no other's image is its."""
    cases = {}
    for number in (9418, 9584, 9605):
        sub = f"sub-{number}/anat/sub-{number}_run-1_T2starw"
        nifti(root / f"derivatives/labels/{sub}_gmseg-manual.nii.gz", labels(number))
        if number != 9605:
            nifti(root / f"{sub}.nii.gz", scan(number))
            cases[f"sub-{number}_run-1_T2starw"] = (
                (f"{sub}.nii.gz",), (f"derivatives/labels/{sub}_gmseg-manual.nii.gz",)
            )  # fmt: skip
    return Expected(cases, ambiguous="labels that no image was found for")


LAYOUTS: tuple[Callable[[Path], Expected], ...] = (
    verse,
    msseg,
    myops,
    bonbid,
    neurite_oasis,
    ph2,
    stripped_skulls,
    lesions_beside_brains,
    bids_with_masks_of_brains,
    masks_inside_masks,
    labels_of_a_missing_subject,
)


def pannuke(root: Path) -> None:
    folder = root / "fold1"
    folder.mkdir()
    np.save(folder / "images.npy", np.random.default_rng(0).uniform(0, 255, (4, WIDE, HIGH, 3)))
    np.save(folder / "masks.npy", np.zeros((4, WIDE, HIGH, 6)))
    np.save(folder / "types.npy", np.array(["Breast", "Colon", "Liver", "Skin"]))


def monuseg(root: Path) -> str:
    for name in ("TCGA-18-5592-01Z-00-DX1", "TCGA-38-6178-01Z-00-DX1"):
        flat(root / "Tissue Images" / f"{name}.tif", photo(1))
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{name}.xml").write_text(
            '<Annotations MicronsPerPixel="0.252"><Annotation Id="1"><Regions><Region Id="1"><Vertices>'
            '<Vertex X="1" Y="2" Z="0"/></Vertices></Region></Regions></Annotation></Annotations>'
        )
    return "Annotations/TCGA-.*xml .* holds outlines in Aperio ImageScope's XML"


def coco(root: Path) -> str:
    for number in (1, 2):
        flat(root / "train2017" / f"00000000000{number}.jpg", photo(number))
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train2017.json").write_text(
        '{"images": [{"id": 1, "file_name": "000000000001.jpg"}], "categories": [{"id": 1, "name": "cell"}],'
        ' "annotations": [{"image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}]}'
    )
    return "instances_train2017.json .*COCO's JSON"


def label_me(root: Path) -> str:
    for number in (1, 2):
        flat(root / f"img{number}.jpg", photo(number))
        (root / f"img{number}.json").write_text(
            '{"version": "5.0.1", "shapes": [{"label": "polyp", "points": [[1, 1], [5, 1], [5, 5]]}], "imagePath": ""}'
        )
    return "LabelMe's JSON"


def chaos_mr(root: Path) -> str:
    for number in (1, 2):
        folder = root / "Train_Sets" / "MR" / str(number) / "T1DUAL"
        for phase in ("InPhase", "OutPhase"):
            write_ct(folder / "DICOM_anon" / phase, scan(number).astype(np.int16), number)
        for k in range(SHAPE[2]):
            flat(folder / "Ground" / f"IMG-0004-0000{k}.png", labels(number, SHAPE[:2], 63))
    return "Ground/.*a PNG for each slice"


def chaos_ct(root: Path) -> str:
    for number in (1, 2):
        folder = root / "Train_Sets" / "CT" / str(number)
        write_ct(folder / "DICOM_anon", scan(number).astype(np.int16), number)
        for k in range(SHAPE[2]):
            flat(folder / "Ground" / f"liver_GT_00{k}.png", labels(number, SHAPE[:2], 1) > 0)
    return "Ground/.*a PNG for each slice"


# Each returns what is said of it.
REFUSED: tuple[Callable[[Path], str], ...] = (monuseg, coco, label_me, chaos_mr, chaos_ct)
