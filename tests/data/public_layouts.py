"""Tiny sets in the layouts of public datasets, with their files named exactly as published.

Each maker writes three or four cases into a folder and returns what must be read of them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

SHAPE = (8, 7, 6)
WIDE, HIGH = 16, 12


@dataclass(frozen=True)
class Expected:
    """What must be read: files of labeled cases by case id, as image paths and label paths from the folder."""

    cases: dict[str, tuple[tuple[str, ...], tuple[str, ...]]]
    channels: tuple[str, ...] = ("image",)
    classes: tuple[str, ...] = ("class-1",)
    groups: dict[str, str] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    unlabeled: tuple[str, ...] = ()
    ambiguous: str = ""  # in what is said to be unclear
    said: str = ""  # in what is said to be read
    references: str = "classes"
    dimensions: int = 3


def labels(number: int, shape: tuple[int, ...] = SHAPE, value: int = 1) -> Any:
    """A block that lies elsewhere in each case."""
    found = np.zeros(shape, np.uint8)
    found[tuple(slice(1 + (number + axis) % 2, 4) for axis in range(len(shape)))] = value
    return found


def scan(number: int, shape: tuple[int, ...] = SHAPE) -> Any:
    return np.random.default_rng(number).normal(100, 10, shape).astype(np.float32) + 50 * labels(number, shape)


def nifti(path: Path, array: Any) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.diag([1.0, 1.0, 2.0, 1.0])), path)
    return ""


def itk(path: Path, array: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(array.T), str(path))


def flat(path: Path, array: Any) -> None:
    """Write a 2D image given as (columns, rows) or (columns, rows, colors)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(np.swapaxes(array, 0, 1))).save(path)


def photo(number: int) -> Any:
    return np.random.default_rng(number).integers(0, 255, (WIDE, HIGH, 3)).astype(np.uint8)


def drawn(number: int) -> Any:
    return labels(number, (WIDE, HIGH), 255)


def field_of_view() -> Any:
    inside = np.zeros((WIDE, HIGH), np.uint8)
    inside[1:-1, 1:-1] = 255
    return inside


def write_ct(folder: Path, array: Any, number: int, *, suffix: str = ".dcm") -> None:
    """Write slices of (X, Y, Z) as a series of CT whose first voxel lies at the origin, as `nifti` has it."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    series, study = (generate_uid(entropy_srcs=[str(what)]) for what in (folder, number))
    for k in range(array.shape[2]):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = CTImageStorage, ExplicitVRLittleEndian
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(folder), str(k)])
        header = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
        header.SOPClassUID, header.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        header.SeriesInstanceUID, header.StudyInstanceUID, header.Modality = series, study, "CT"
        header.FrameOfReferenceUID, header.PatientID = study, f"p{number}"
        header.ImagePositionPatient, header.ImageOrientationPatient = [0, 0, 2.0 * k], [-1, 0, 0, 0, -1, 0]
        header.PixelSpacing, header.SliceThickness, header.InstanceNumber = [1, 1], 2, k + 1
        header.Rows, header.Columns, header.BitsAllocated, header.BitsStored = array.shape[1], array.shape[0], 16, 16
        header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 15, 1, 1
        header.PhotometricInterpretation, header.RescaleSlope, header.RescaleIntercept = "MONOCHROME2", 1, 0
        header.PixelData = np.ascontiguousarray(array[:, :, k].T).astype("<i2").tobytes()
        header.save_as(folder / f"image_{k}{suffix}", enforce_file_format=True)


def drive(root: Path) -> Expected:
    cases = {}
    for part, numbers in (("test", (1, 2)), ("training", (21, 22))):
        for number in numbers:
            names = (f"{part}/images/{number:02}_{part}.tif", f"{part}/1st_manual/{number:02}_manual1.gif")
            flat(root / names[0], photo(number))
            flat(root / names[1], drawn(number))
            flat(root / part / "mask" / f"{number:02}_{part}_mask.gif", field_of_view())
            if part == "test":
                flat(root / part / "2nd_manual" / f"{number:02}_manual2.gif", drawn(number))
            cases[f"{number:02}"] = ((names[0],), (names[1],))
    return Expected(
        cases,
        ("red", "green", "blue"),
        splits={"01": "test", "21": "train"},
        ambiguous="raters",
        dimensions=2,
    )


def chase(root: Path) -> Expected:
    cases = {}
    for name in ("01L", "01R", "02L"):
        flat(root / f"Image_{name}.jpg", photo(1))
        flat(root / f"Image_{name}_1stHO.png", drawn(1) > 0)
        flat(root / f"Image_{name}_2ndHO.png", drawn(1) > 0)
        cases[name] = ((f"Image_{name}.jpg",), (f"Image_{name}_1stHO.png",))
    return Expected(cases, ("red", "green", "blue"), ambiguous="labels of 2 raters", dimensions=2)


def stare(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        flat(root / f"im000{number}.ppm", photo(number))
        flat(root / f"im000{number}.ah.ppm", np.dstack([drawn(number)] * 3))
        cases[f"000{number}"] = ((f"im000{number}.ppm",), (f"im000{number}.ah.ppm",))
    return Expected(cases, ("red", "green", "blue"), ("class-255",), dimensions=2)


def isic(root: Path) -> Expected:
    cases = {}
    for number in (0, 3, 10):
        names = (
            f"ISIC2018_Task1-2_Training_Input/ISIC_{number:07}.jpg",
            f"ISIC2018_Task1_Training_GroundTruth/ISIC_{number:07}_segmentation.png",
        )
        flat(root / names[0], photo(number))
        flat(root / names[1], drawn(number))
        flat(root / "ISIC2018_Task1-2_Training_Input" / f"ISIC_{number:07}_superpixels.png", photo(number + 1))
        cases[f"ISIC_{number:07}"] = ((names[0],), (names[1],))
    return Expected(cases, ("red", "green", "blue"), ("class-255",), said="superpixels", dimensions=2)


def busi(root: Path) -> Expected:
    cases = {}
    for kind, numbers in (("benign", (1, 4)), ("malignant", (1, 2)), ("normal", (1,))):
        for number in numbers:
            name = f"{kind}/{kind} ({number})"
            flat(root / f"{name}.png", photo(number))
            flat(root / f"{name}_mask.png", drawn(number) * (kind != "normal"))
            cases[f"{kind}_{number}"] = ((f"{name}.png",), (f"{name}_mask.png",))
    second = np.zeros((WIDE, HIGH), np.uint8)
    second[9:12, 5:9] = 255
    flat(root / "benign" / "benign (4)_mask_1.png", second)
    cases["benign_4"] = (("benign/benign (4).png",), tuple(f"benign/benign (4)_mask{n}.png" for n in ("", "_1")))
    return Expected(
        cases, ("red", "green", "blue"), ("mask",), ambiguous="1 of 5 images have several masks", dimensions=2
    )


def channel_folders(root: Path) -> Expected:
    cases = {}
    for number in range(3):
        names = tuple(f"{folder}/p{number}.nii.gz" for folder in ("T1", "T2", "labels"))
        for k, name in enumerate(names):
            nifti(root / name, labels(number) if k == 2 else scan(number + 10 * k))
        cases[f"p{number}"] = (names[:2], names[2:])
    return Expected(cases, ("t1", "t2"))


def acdc(root: Path) -> Expected:
    cases, groups = {}, {}
    for part, numbers in (("training", (1, 2)), ("testing", (101,))):
        for number in numbers:
            name = f"patient{number:03}"
            folder = root / part / name
            nifti(folder / f"{name}_4d.nii.gz", np.stack([scan(k) for k in range(3)], -1))
            (folder / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\n")
            for frame in (1, 12):
                both = [f"{part}/{name}/{name}_frame{frame:02}{end}.nii.gz" for end in ("", "_gt")]
                nifti(root / both[0], scan(number + frame))
                truth = labels(number + frame)
                truth[6], truth[7] = 2, 3
                nifti(root / both[1], truth)
                cases[f"{name}_frame{frame:02}"] = ((both[0],), (both[1],))
                groups[f"{name}_frame{frame:02}"] = name
    return Expected(
        cases,
        classes=("class-1", "class-2", "class-3"),
        groups=groups,
        splits={"patient001_frame01": "train", "patient101_frame12": "test"},
        said="_4d.nii.gz (2)",
    )


def mnms(root: Path) -> Expected:
    cases, groups = {}, {}
    for number, name in enumerate(("A0S9V9", "A1D0Q7", "A2C0I1")):
        files = [f"Training/Labeled/{name}/{name}_sa{end}.nii.gz" for end in ("", "_gt")]
        nifti(root / files[0], np.stack([scan(number + k) for k in range(6)], -1))
        truth = np.zeros((*SHAPE, 6), np.uint8)
        for frame in (0, 3):
            truth[..., frame] = labels(number + frame)
            truth[6, ..., frame], truth[7, ..., frame] = 2, 3
            cases[f"{name}_sa_frame{frame + 1:02}"] = ((files[0],), (files[1],))
            groups[f"{name}_sa_frame{frame + 1:02}"] = f"{name}_sa"
        nifti(root / files[1], truth)
    return Expected(
        cases, classes=("class-1", "class-2", "class-3"), groups=groups, said="the frames that its label has"
    )


def left_atrium_hdf5(root: Path) -> Expected:
    import h5py

    cases = {}
    for number, name in enumerate(("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU", "1D7CUD1955YZPGK8XHJX")):
        path = root / "2018LA_Seg_Training Set" / name / "mri_norm2.h5"
        path.parent.mkdir(parents=True)
        with h5py.File(path, "w") as file:
            file["image"], file["label"] = scan(number), labels(number)
        both = f"2018LA_Seg_Training Set/{name}/mri_norm2.h5"
        cases[name] = ((both,), (both,))
    return Expected(cases, said="array 'image'")


def left_atrium(root: Path) -> Expected:
    cases = {}
    for number, name in enumerate(("06SR5RBREL16DQ6M8LWS", "0RZDK210BSMWAA6467LU", "1D7CUD1955YZPGK8XHJX")):
        folder = f"Training Set/{name}"
        itk(root / folder / "lgemri.nrrd", scan(number))
        itk(root / folder / "laendo.nrrd", labels(number, value=255))
        cases[name] = ((f"{folder}/lgemri.nrrd",), (f"{folder}/laendo.nrrd",))
    return Expected(cases, ("lgemri",), classes=("class-255",))


def ircadb(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        folder = root / f"3Dircadb1.{number}"
        write_ct(folder / "PATIENT_DICOM", scan(number).astype(np.int16), number, suffix="")
        organs = {"liver": labels(number), "bone": 1 - labels(number), "livertumor": np.zeros(SHAPE, np.uint8)}
        organs["livertumor"][2, 2, 2] = 1
        organs["bone"][:, :, 1:] = 0
        for organ, mask in organs.items():
            if number < 3 or organ != "livertumor":
                write_ct(folder / "MASKS_DICOM" / organ, mask.astype(np.int16) * 255, number, suffix="")
        write_ct(
            folder / "LABELLED_DICOM", labels(number, value=101).astype(np.int16) + organs["bone"], number, suffix=""
        )
        masks = [o for o in sorted(organs) if number < 3 or o != "livertumor"]
        name = folder.name
        cases[name] = ((f"{name}/PATIENT_DICOM",), tuple(f"{name}/MASKS_DICOM/{organ}" for organ in masks))
    return Expected(
        cases,
        classes=("bone", "liver", "livertumor"),
        ambiguous="1 of 3 cases have no mask or structure for 'livertumor'",
    )


def isbi_em(root: Path) -> Expected:
    for part in ("train", "test"):
        stack = np.random.default_rng(0).integers(0, 255, (5, HIGH, WIDE)).astype(np.uint8)
        tifffile.imwrite(root / f"{part}-volume.tif", stack)
    tifffile.imwrite(root / "train-labels.tif", np.where(stack > 90, 255, 0).astype(np.uint8))
    return Expected(
        {"train-volume": (("train-volume.tif",), ("train-labels.tif",))},
        classes=("class-255",),
        unlabeled=("test-volume",),
        splits={"train-volume": "train", "test-volume": "test"},
    )


def dsb2018(root: Path) -> Expected:
    cases = {}
    for number in range(3):
        name = f"{number:02}ae65c11c553e141ce609d87aa8357c11d2c3c3ef4b2f9a5b"
        flat(root / "stage1_train" / name / "images" / f"{name}.png", photo(number))
        masks = []
        for cell in range(3):
            mask = np.zeros((WIDE, HIGH), np.uint8)
            mask[5 * cell : 5 * cell + 3, 2:9] = 255
            file = f"stage1_train/{name}/masks/{number}{cell}b61bd778542213e18da756d15b6bc5.png"
            flat(root / file, mask)
            masks.append(file)
        cases[name] = ((f"stage1_train/{name}/images/{name}.png",), tuple(masks))
    return Expected(cases, ("red", "green", "blue"), ("object",), references="instances", dimensions=2)


def open_ms(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        folder = f"coregistered/patient{number:02}"
        names = [f"{study}_{contrast}" for study in ("study1", "study2") for contrast in ("FLAIR", "T1W")]
        for k, name in enumerate(names):
            nifti(root / folder / f"{name}.nii.gz", scan(number + k))
        own = f"patient{number:02}_gt" if number == 2 else "gt"
        nifti(root / folder / f"{own}.nii.gz", labels(number))
        nifti(root / folder / "brain_mask.nii.gz", np.ones(SHAPE, np.uint8))
        cases[f"patient{number:02}"] = (
            tuple(f"{folder}/{name}.nii.gz" for name in names), (f"{folder}/{own}.nii.gz",)
        )  # fmt: skip
    return Expected(cases, ("study1_flair", "study1_t1w", "study2_flair", "study2_t1w"), ambiguous="field of view")


def gray_matter(root: Path) -> Expected:
    cases = {}
    for site in (1, 2):
        for subject in (1, 2):
            name = f"site{site}-sc{subject:02}"
            nifti(root / f"{name}-image.nii.gz", scan(site + subject))
            (root / f"{name}-levels.txt").write_text("0,3\n")
            for rater in range(1, 5):
                nifti(root / f"{name}-mask-r{rater}.nii.gz", labels(site + subject))
            cases[name] = ((f"{name}-image.nii.gz",), (f"{name}-mask-r1.nii.gz",))
    nifti(root / "site1-sc11-image.nii.gz", scan(9))
    return Expected(cases, unlabeled=("site1-sc11",), ambiguous="labels of 4 raters")


def lung_lobes(root: Path) -> Expected:
    cases = {}
    for end in ("109002525524522225658609808059", "112740418331256326754121315800", "112767175295249119452142211437"):
        uid = f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{end}"
        itk(root / "scans" / f"{uid}.mhd", scan(1))
        itk(root / "annotations" / f"{uid}_LobeSegmentation.nrrd", labels(1, value=4))
        cases[uid] = ((f"scans/{uid}.mhd",), (f"annotations/{uid}_LobeSegmentation.nrrd",))
    return Expected(cases, classes=("class-4",))


def ivadomed(root: Path) -> Expected:
    cases, groups = {}, {}
    (root / "participants.tsv").write_text("participant_id\tage\n")
    for number, name in enumerate(("sub-unf01", "sub-unf02", "sub-cardiff03")):
        for contrast in ("T1w", "T2w", "T2star"):
            nifti(root / name / "anat" / f"{name}_{contrast}.nii.gz", scan(number))
        for contrast in ("T2w", "T2star"):
            image = f"{name}/anat/{name}_{contrast}.nii.gz"
            label = f"derivatives/labels/{name}/anat/{name}_{contrast}_seg-manual.nii.gz"
            nifti(root / label, labels(number))
            cases[f"{name}_{contrast}"] = ((image,), (label,))
            groups[f"{name}_{contrast}"] = name
    return Expected(cases, groups=groups, said="T1w.nii.gz (2)")


def brats(root: Path) -> Expected:
    cases = {}
    contrasts = ("flair", "t1", "t1ce", "t2")
    for grade in ("HGG", "LGG"):
        for number in (1, 2):
            name = f"BraTS19_CBICA_A{grade[0]}{number}_1"
            for k, contrast in enumerate(contrasts):
                nifti(root / grade / name / f"{name}_{contrast}.nii.gz", scan(number + k))
            nifti(root / grade / name / f"{name}_seg.nii.gz", labels(number, value=4))
            base = f"{grade}/{name}/{name}"
            cases[name] = (tuple(f"{base}_{c}.nii.gz" for c in contrasts), (f"{base}_seg.nii.gz",))
    return Expected(cases, contrasts, classes=("class-4",))


def brats_2023(root: Path) -> Expected:
    cases = {}
    contrasts = ("t1c", "t1n", "t2f", "t2w")
    for number in (0, 2, 3):
        name = f"BraTS-GLI-{number:05}-000"
        for k, contrast in enumerate(contrasts):
            nifti(root / name / f"{name}-{contrast}.nii.gz", scan(number + k))
        nifti(root / name / f"{name}-seg.nii.gz", labels(number))
        cases[name] = (tuple(f"{name}/{name}-{c}.nii.gz" for c in contrasts), (f"{name}/{name}-seg.nii.gz",))
    return Expected(cases, contrasts)


def totalsegmentator(root: Path) -> Expected:
    cases = {}
    organs = ("aorta", "kidney_left", "liver")
    for number in (0, 1, 2):
        name = f"s{number:04}"
        nifti(root / name / "ct.nii.gz", scan(number))
        for k, organ in enumerate(organs):
            mask = np.zeros(SHAPE, np.uint8)
            mask[2 * k : 2 * k + 2, 1:4] = 1
            nifti(root / name / "segmentations" / f"{organ}.nii.gz", mask)
        cases[name] = ((f"{name}/ct.nii.gz",), tuple(f"{name}/segmentations/{organ}.nii.gz" for organ in organs))
    return Expected(cases, ("ct",), organs)


def btcv(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        names = (f"averaged-training-images/img{number:04}.nii.gz", f"averaged-training-labels/label{number:04}.nii.gz")
        nifti(root / names[0], scan(number))
        nifti(root / names[1], labels(number, value=6))
        cases[f"{number:04}"] = ((names[0],), (names[1],))
    return Expected(cases, classes=("class-6",))


def btcv_raw(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        names = (f"Training/img/img{number:04}.nii.gz", f"Training/label/label{number:04}.nii.gz")
        nifti(root / names[0], scan(number))
        nifti(root / names[1], labels(number, value=6))
        cases[f"{number:04}"] = ((names[0],), (names[1],))
    nifti(root / "Testing" / "img" / "img0061.nii.gz", scan(9))
    return Expected(cases, classes=("class-6",), unlabeled=("0061",), splits={"0001": "train", "0061": "test"})


def lits(root: Path) -> Expected:
    cases = {}
    for number in range(3):
        nifti(root / "Training Batch 1" / f"volume-{number}.nii", scan(number))
        nifti(root / "Training Batch 1" / f"segmentation-{number}.nii", labels(number))
        base = "Training Batch 1"
        cases[str(number)] = ((f"{base}/volume-{number}.nii",), (f"{base}/segmentation-{number}.nii",))
    return Expected(cases)


def kits(root: Path) -> Expected:
    cases = {}
    for number in range(3):
        name = f"case_{number:05}"
        nifti(root / name / "imaging.nii.gz", scan(number))
        nifti(root / name / "segmentation.nii.gz", labels(number))
        cases[name] = ((f"{name}/imaging.nii.gz",), (f"{name}/segmentation.nii.gz",))
    return Expected(cases)


def promise12(root: Path) -> Expected:
    cases = {}
    for number in range(3):
        itk(root / f"Case{number:02}.mhd", scan(number))
        itk(root / f"Case{number:02}_segmentation.mhd", labels(number))
        cases[f"Case{number:02}"] = ((f"Case{number:02}.mhd",), (f"Case{number:02}_segmentation.mhd",))
    return Expected(cases)


def glas(root: Path) -> Expected:
    cases = {}
    for part in ("train", "testA"):
        for number in (1, 2):
            flat(root / f"{part}_{number}.bmp", photo(number))
            flat(root / f"{part}_{number}_anno.bmp", labels(number, (WIDE, HIGH)))
            name = f"train_{number}" if part == "train" else f"testA_{number}"
            cases[name if part != "train" else str(number)] = (
                (f"{part}_{number}.bmp",), (f"{part}_{number}_anno.bmp",)
            )  # fmt: skip
    splits = {"1": "train", "2": "train", "testA_1": "test", "testA_2": "test"}
    return Expected(cases, ("red", "green", "blue"), splits=splits, dimensions=2)


def hrf(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        flat(root / "images" / f"{number:02}_dr.JPG", photo(number))
        flat(root / "manual1" / f"{number:02}_dr.tif", drawn(number))
        flat(root / "mask" / f"{number:02}_dr_mask.tif", field_of_view())
        cases[f"{number:02}_dr"] = ((f"images/{number:02}_dr.JPG",), (f"manual1/{number:02}_dr.tif",))
    return Expected(cases, ("red", "green", "blue"), ("class-255",), ambiguous="field of view", dimensions=2)


def montgomery(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        name = f"MCUCXR_{number:04}_0.png"
        flat(root / "CXR_png" / name, photo(number)[..., 0])
        for side, columns in (("left", slice(1, 6)), ("right", slice(9, 14))):
            mask = np.zeros((WIDE, HIGH), np.uint8)
            mask[columns, 2:9] = 255
            flat(root / "ManualMask" / f"{side}Mask" / name, mask)
        files = tuple(f"ManualMask/{side}Mask/{name}" for side in ("left", "right"))
        cases[f"MCUCXR_{number:04}_0"] = ((f"CXR_png/{name}",), files)
    return Expected(cases, classes=("leftMask", "rightMask"), dimensions=2)


def clinic_db(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        flat(root / "Original" / f"{number}.tif", photo(number))
        flat(root / "Ground Truth" / f"{number}.tif", drawn(number))
        cases[str(number)] = ((f"Original/{number}.tif",), (f"Ground Truth/{number}.tif",))
    return Expected(cases, ("red", "green", "blue"), ("class-255",), dimensions=2)


def folders_of_parts(root: Path) -> Expected:
    cases, splits = {}, {}
    number = 0
    for part, split in (("train", "train"), ("val", "validation"), ("test", "test")):
        for _ in range(2):
            number += 1
            files = (f"{part}/images/c{number}.png", f"{part}/masks/c{number}.png")
            flat(root / files[0], photo(number)[..., 0])
            flat(root / files[1], labels(number, (WIDE, HIGH)))
            cases[f"c{number}"] = ((files[0],), (files[1],))
            splits[f"c{number}"] = split
    return Expected(cases, splits=splits, dimensions=2)


def beside(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        nifti(root / f"x{number}.nii.gz", scan(number))
        nifti(root / f"x{number}_seg.nii.gz", labels(number))
        cases[f"x{number}"] = ((f"x{number}.nii.gz",), (f"x{number}_seg.nii.gz",))
    return Expected(cases)


def folder_a_patient(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        nifti(root / f"pat_{number}" / "T1.nii.gz", scan(number))
        nifti(root / f"pat_{number}" / "mask.nii.gz", labels(number))
        cases[f"pat_{number}"] = ((f"pat_{number}/T1.nii.gz",), (f"pat_{number}/mask.nii.gz",))
    return Expected(cases, ("t1",))


def folders_with_words_for_labels(root: Path) -> Expected:
    cases = {}
    for name in ("adult_aseg", "child_head", "manual_seg_07"):
        nifti(root / name / "image.nii.gz", scan(1))
        nifti(root / name / "labels.nii.gz", labels(1))
        cases[name] = ((f"{name}/image.nii.gz",), (f"{name}/labels.nii.gz",))
    return Expected(cases)


def pancreas_ct(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        folder = f"Pancreas-CT/PANCREAS_{number:04}"
        write_ct(root / folder, scan(number).astype(np.int16), number)
        nifti(root / "TCIA_pancreas_labels" / f"label{number:04}.nii.gz", labels(number))
        cases[f"PANCREAS_{number:04}"] = ((folder,), (f"TCIA_pancreas_labels/label{number:04}.nii.gz",))
    return Expected(cases)


def synapse_slices(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        path = root / "train_npz" / f"case0005_slice{number:03}.npz"
        path.parent.mkdir(exist_ok=True)
        np.savez(path, image=scan(number, (WIDE, HIGH)), label=labels(number, (WIDE, HIGH)))
        cases[f"case0005_slice{number:03}"] = ((f"train_npz/{path.name}",), (f"train_npz/{path.name}",))
    return Expected(cases, said="array 'label'", dimensions=2)


def camvid(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        color = np.zeros((WIDE, HIGH, 3), np.uint8)
        color[2:6], color[9:12] = (255, 0, 0), (0, 0, 255)
        flat(root / "images" / f"f{number}.png", photo(number))
        flat(root / "color_labels" / f"f{number}_L.png", color)
        cases[f"f{number}"] = ((f"images/f{number}.png",), (f"color_labels/f{number}_L.png",))
    return Expected(
        cases, ("red", "green", "blue"), ("color #0000ff", "color #ff0000"), ambiguous="colors", dimensions=2
    )


def isles(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        sub = f"sub-strokecase{number:04}"
        folder = f"{sub}/ses-0001"
        channels = tuple(f"rawdata/{folder}/dwi/{sub}_ses-0001_{name}.nii.gz" for name in ("adc", "dwi"))
        label = f"derivatives/{folder}/{sub}_ses-0001_msk.nii.gz"
        for k, file in enumerate(channels):
            nifti(root / file, scan(number + 10 * k))
        nifti(root / label, labels(number))
        cases[f"{sub}_ses-0001"] = (channels, (label,))
    return Expected(cases, ("adc", "dwi"))


def white_matter(root: Path) -> Expected:
    cases = {}
    for site in ("Singapore", "Utrecht"):
        for number in (1, 2):
            folder = f"{site}/{number}"
            for kind in ("orig", "pre"):
                for k, name in enumerate(("FLAIR", "T1")):
                    nifti(root / folder / kind / f"{name}.nii.gz", scan(number + 10 * k))
            nifti(root / folder / "wmh.nii.gz", labels(number))
            channels = tuple(f"{folder}/orig/{name}.nii.gz" for name in ("FLAIR", "T1"))
            cases[f"{site}_{number}"] = (channels, (f"{folder}/wmh.nii.gz",))
    return Expected(cases, ("flair", "t1"), ambiguous="images given twice")


def diagnoses(root: Path) -> Expected:
    cases = {}
    for kind in ("benign", "malignant"):
        for number in (1, 2, 3):
            names = f"{kind}/{kind} ({number}).png", f"{kind}/{kind} ({number})_mask.png"
            flat(root / names[0], photo(number)[..., 0])
            flat(root / names[1], drawn(number))
            cases[f"{kind}_{number}"] = ((names[0],), (names[1],))
    return Expected(cases, classes=("class-255",), dimensions=2)


def in_german(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        names = f"Bilder/Fall{number}.nii.gz", f"Masken/Fall{number}.nii.gz"
        nifti(root / names[0], scan(number))
        nifti(root / names[1], labels(number))
        cases[f"Fall{number}"] = ((names[0],), (names[1],))
    return Expected(cases)


def folders_without_words(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        names = f"MR/p{number}.nii.gz", f"Prostata/p{number}.nii.gz"
        nifti(root / names[0], scan(number))
        nifti(root / names[1], labels(number))
        cases[f"p{number}"] = ((names[0],), (names[1],))
    return Expected(cases)


def amos(root: Path) -> Expected:
    cases = {}
    for part, numbers in (("Tr", (1, 2, 3)), ("Va", (4, 5)), ("Ts", (6,))):
        for number in numbers:
            names = tuple(f"{role}{part}/amos_{number:04}.nii.gz" for role in ("images", "labels"))
            nifti(root / names[0], scan(number))
            nifti(root / names[1], labels(number))
            cases[f"amos_{number:04}"] = ((names[0],), (names[1],))
    splits = {"amos_0001": "train", "amos_0004": "validation", "amos_0006": "test"}
    return Expected(cases, splits=splits)


def parts_in_names_of_folders(root: Path) -> Expected:
    cases = {}
    for part, numbers in (("train", (1, 2)), ("val", (3, 4))):
        for number in numbers:
            names = f"{part}_images/{number}.png", f"{part}_masks/{number}.png"
            flat(root / names[0], photo(number)[..., 0])
            flat(root / names[1], drawn(number))
            cases[f"{number}"] = ((names[0],), (names[1],))
    return Expected(cases, classes=("class-255",), splits={"1": "train", "3": "validation"}, dimensions=2)


def luna(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3, 4):
        name = f"1.3.6.1.4.1.14519.5.2.1.6279.6001.10522529923731793{number}"
        files = (f"subset{number % 2}/{name}.mhd", f"seg-lungs-LUNA16/{name}.mhd")
        itk(root / files[0], scan(number))
        itk(root / files[1], labels(number))
        cases[f"subset{number % 2}_{name}"] = ((files[0],), (files[1],))
    return Expected(cases)


def sliver(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        files = (f"scan/liver-orig00{number}.mhd", f"label/liver-seg00{number}.mhd")
        itk(root / files[0], scan(number))
        itk(root / files[1], labels(number))
        cases[f"liver_00{number}"] = ((files[0],), (files[1],))
    return Expected(cases)


def slides_in_numbered_folders(root: Path) -> Expected:
    cases = {}
    for slide in (1, 2, 3):
        for tile in (1, 2, 3):
            files = tuple(f"{folder}_0{slide}/0{slide}_{tile}.png" for folder in ("Slide", "GT"))
            flat(root / files[0], photo(5 * slide + tile))
            flat(root / files[1], drawn(slide + tile))
            cases[f"Slide_0{slide}_0{slide}_{tile}"] = ((files[0],), (files[1],))
    groups = {name: name[:8] for name in cases}
    return Expected(cases, ("red", "green", "blue"), ("class-255",), groups=groups, dimensions=2)


def cell_tracking(root: Path) -> Expected:
    cases = {}
    for movie in ("01", "02"):
        for time in range(3):
            files = (f"{movie}/t00{time}.tif", f"{movie}_GT/SEG/man_seg00{time}.tif")
            flat(root / files[0], photo(time)[..., 0])
            flat(root / files[1], (drawn(time) > 0).astype(np.uint8))
            flat(root / f"{movie}_GT" / "TRA" / f"man_track00{time}.tif", (drawn(time) > 0).astype(np.uint8))
            cases[f"{movie}_t00{time}"] = ((files[0],), (files[1],))
    groups = {name: name[:2] for name in cases}
    return Expected(cases, groups=groups, ambiguous="no image was found for", dimensions=2)


def head_and_neck(root: Path) -> Expected:
    cases = {}
    organs = ("A_Carotid_L", "A_Carotid_R", "Bone_Mandible")
    for number in (1, 2, 3):
        start = f"case_0{number}/case_0{number}"
        images = (f"{start}_IMG_CT.nrrd", f"{start}_IMG_MR_T1.nrrd")
        for name in images:
            itk(root / name, scan(number))
        masks = tuple(f"{start}_OAR_{organ}.seg.nrrd" for organ in organs)
        for place, name in enumerate(masks):
            mask = np.zeros(SHAPE, np.uint8)
            mask[2 * place : 2 * place + 2, 1:3, 1:3] = 1
            itk(root / name, mask)
        cases[f"case_0{number}"] = (images, masks)
    return Expected(cases, ("ct", "mr_t1"), tuple(f"oar_{organ.lower()}" for organ in organs))


def phases_in_folders(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        name = f"DUKE_00{number}"
        phases = tuple(f"images/{name}/{name}_000{phase}.nii.gz" for phase in range(3))
        for phase in phases:
            nifti(root / phase, scan(number))
        mask = f"segmentations/{name}.nii.gz"
        nifti(root / mask, labels(number))
        cases[name] = (phases, (mask,))
    return Expected(cases, ("0000", "0001", "0002"))


def pi_cai(root: Path) -> Expected:
    cases = {}
    for number in (1, 2, 3):
        patient, name = f"1000{number}", f"1000{number}_100000{number}"
        images = tuple(f"images/{patient}/{name}_{kind}.mha" for kind in ("adc", "hbv", "t2w"))
        for image in images:
            itk(root / image, scan(number))
        itk(root / "labels" / f"{name}.mha", labels(number))
        cases[name] = (images, (f"labels/{name}.mha",))
    return Expected(cases, ("adc", "hbv", "t2w"))


LAYOUTS: tuple[Callable[[Path], Expected], ...] = (
    drive,
    chase,
    stare,
    isic,
    acdc,
    left_atrium_hdf5,
    left_atrium,
    ircadb,
    isbi_em,
    dsb2018,
    open_ms,
    gray_matter,
    lung_lobes,
    ivadomed,
    brats,
    brats_2023,
    totalsegmentator,
    btcv,
    btcv_raw,
    lits,
    kits,
    promise12,
    glas,
    hrf,
    montgomery,
    clinic_db,
    folders_of_parts,
    beside,
    folder_a_patient,
    folders_with_words_for_labels,
    pancreas_ct,
    synapse_slices,
    camvid,
    isles,
    white_matter,
    diagnoses,
    in_german,
    folders_without_words,
    amos,
    busi,
    channel_folders,
    mnms,
    parts_in_names_of_folders,
    luna,
    sliver,
    slides_in_numbered_folders,
    cell_tracking,
    head_and_neck,
    phases_in_folders,
    pi_cai,
)
