"""Kinds of DICOM series that readers get wrong, each written from the phantom, so that any reader can be judged.

The right answer is known for each: every voxel at its place, or a refusal where the series does not hold what it
takes to know. `judge` says which of these, or neither, a reader gave.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
from dicom_phantom import Array, Grid, encode, grid, mixed_spacing, uid, write_enhanced, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGLSLossless
from scipy import ndimage

# A tenth of a voxel along the steepest direction of the phantom, and half a gray level.
SLACK = 2.5
PHASE = 300.0
# Share of voxels that may lie outside what was scanned where a reader resamples: these are not judged.
LEAST_JUDGED = 0.5
FEW = 14 * 11 * 5


@dataclass(frozen=True)
class Kind:
    """One kind of series, and what a reader should make of it: ``"right"`` or ``"rejected"``.

    Where slices are missing, resampling with a warning is no wrong answer either. `volumes` says what is added to the
    phantom's value in each volume it holds; with fewer than `voxels` in one of them, slices were lost.
    """

    about: str
    write: Callable[[Path], object]
    answer: str = "right"
    volumes: tuple[float, ...] = (0.0,)
    voxels: int = 14 * 11 * 9


@dataclass(frozen=True)
class Volume:
    """What a reader gave: voxels (X, Y, Z) and an affine to RAS+ mm."""

    array: npt.NDArray[Any]
    affine: npt.NDArray[np.float64]


def judge(kind: Kind, volumes: Sequence[Volume], slack: float = SLACK) -> str:
    """What a reader gave, against the truth: ``"right"``, or what is not.

    ``"wrong"`` (voxels with values of other places, or values that are not in the file), ``"mixed"`` (voxels of several
    volumes in one), ``"incomplete"`` (slices or volumes lost).
    """
    seen: set[float] = set()
    for volume in volumes:
        array = volume.array.reshape(*volume.array.shape[:3])
        places = np.moveaxis(np.indices(array.shape), 0, -1)
        truth = encode(places @ volume.affine[:3, :3].T + volume.affine[:3, 3])
        off = array - truth
        scanned = np.any([np.abs(off - extra) <= slack for extra in kind.volumes], axis=0)
        # Resampling fills what was never scanned with one value, and blends it with its neighbors; neither is judged.
        filled = ndimage.binary_dilation(~scanned & (array == array.min()), np.ones((3, 3, 3)))
        good = {extra for extra in kind.volumes if (filled | (np.abs(off - extra) <= slack)).all()}
        if not good or scanned.mean() < LEAST_JUDGED:
            return "mixed" if scanned.all() and len(kind.volumes) > 1 else "wrong"
        if int(scanned.sum()) >= kind.voxels:
            seen |= good
    return "right" if seen >= set(kind.volumes) else "incomplete"


# --- how the kinds are written


def _set(**attributes: Any) -> Callable[[Dataset, int], None]:
    """Set attributes to values, or to what functions give for the number of the slice."""

    def edit(ds: Dataset, k: int) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value(k) if callable(value) else value)

    return edit


def _series(where: Grid | None = None, **options: Any) -> Callable[[Path], object]:
    return lambda folder: write_series(folder, grid() if where is None else where, **options)


def renamed(number: int, offset: int = 0, **attributes: Any) -> Callable[[Dataset, int], None]:
    """Make further images of the same series."""

    def edit(ds: Dataset, k: int) -> None:
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid("further", number, k)
        ds.InstanceNumber = offset + k + 1
        _set(**attributes)(ds, k)

    return edit


def _merge(folder: Path, number: int, where: Grid, **options: Any) -> None:
    """Write further images beside those there are."""
    part = folder.parent / f"{folder.name}-part{number}"
    for path in write_series(part, where, **options):
        path.rename(folder / f"{number}-{path.name}")
    part.rmdir()


def _phases(same_numbers: bool = False, shift: float = 0.0, **telling: Sequence[Any]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for number in (0, 1):
            where = grid(step=4 if shift else 2.5)
            where.positions[:] += [0, 0, shift * number]
            told = {keyword: values[number] for keyword, values in telling.items()}
            offset = 0 if same_numbers else 9 * number
            _merge(
                folder,
                number,
                where,
                values=lambda w, n=number: encode(w) + PHASE * n,  # type: ignore[misc]
                edit=renamed(number, offset, **told),
            )

    return write


def _beside(where: Grid, **attributes: Any) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        write_series(folder, grid())
        _merge(folder, 1, where, edit=renamed(1, 90, **attributes))

    return write


def _twice(folder: Path) -> None:
    for path in write_series(folder, grid())[2:6]:
        (folder / f"copy-{path.name}").write_bytes(path.read_bytes())


def _one_again(folder: Path) -> None:
    write_series(folder, grid())
    where = grid()
    where = where.without(*[k for k in range(9) if k != 4])
    _merge(folder, 1, where, values=lambda w: encode(w) + PHASE, edit=renamed(1, 90))


def off_the_line() -> Grid:
    where = grid()
    where.positions[5:, 0] += 4
    return where


def _pixels(change: Callable[[Array], Array]) -> Callable[[Dataset, int], None]:
    def edit(ds: Dataset, k: int) -> None:
        dtype = "<i2" if ds.PixelRepresentation else "<u2"
        stored = np.frombuffer(ds.PixelData, dtype).reshape(ds.Rows, ds.Columns)
        ds.PixelData = change(stored).astype(dtype).tobytes()

    return edit


def padded(value: int, written: int | None = None) -> Callable[[Dataset, int], None]:
    """Fill the first row with a value, and write that it, or another, is padding."""
    told = value if written is None else written

    def edit(ds: Dataset, k: int) -> None:
        _pixels(lambda stored: np.where(np.arange(len(stored))[:, None] == 0, value, stored))(ds, k)
        ds.add_new(0x00280120, "SS" if told < 0 else "US", told)

    return edit


def _encoded(syntax: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for path in write_series(folder, grid()):
            ds = pydicom.dcmread(path)
            if syntax == JPEGLSLossless:
                ds.compress(syntax, generate_instance_uid=False)
                ds.save_as(path)
                continue
            little, implicit = syntax != ExplicitVRBigEndian, syntax == ImplicitVRLittleEndian
            if not little:
                ds.PixelData = np.frombuffer(ds.PixelData, "<i2").byteswap().tobytes()
            ds.file_meta.TransferSyntaxUID = syntax
            pydicom.dcmwrite(path, ds, implicit_vr=implicit, little_endian=little, force_encoding=True)

    return write


def _truncated(folder: Path) -> None:
    path = write_series(folder, grid())[4]
    path.write_bytes(path.read_bytes()[:-60])


def _last_empty(folder: Path) -> None:
    for k, path in enumerate(write_series(folder, grid())):
        path.rename(folder / f"{k:04}.dcm")
    (folder / "0008.dcm").write_bytes(b"")


def _without_preamble(folder: Path) -> None:
    for path in write_series(folder, grid()):
        path.write_bytes(path.read_bytes()[132:])


def _without(keyword: str) -> Callable[[Dataset, int], None]:
    return lambda ds, k: delattr(ds, keyword)


def _enhanced(**options: Any) -> Callable[[Path], object]:
    return lambda folder: write_enhanced(folder / "object.dcm", grid(), **options)


def _scaled_frames(ds: Dataset) -> None:
    pixels = np.frombuffer(ds.PixelData, "<u2").reshape(9, ds.Rows, ds.Columns).astype(float)
    for k, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
        slope = 0.5 + 0.1 * k
        groups.PixelValueTransformationSequence[0].RescaleSlope = slope
        pixels[k] = np.rint(pixels[k] / slope)
    ds.PixelData = pixels.astype("<u2").tobytes()


def _pet(ds: Dataset, k: int) -> None:
    drug = Dataset()
    drug.RadiopharmaceuticalStartTime = "091500"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 70000 * 2 ** (3600 / 6586.2), 6586.2
    ds.RadiopharmaceuticalInformationSequence = DicomSequence([drug])
    ds.Units, ds.DecayCorrection, ds.CorrectedImage, ds.PatientWeight = "BQML", "START", ["ATTN", "DECY"], 70


def _two_studies(folder: Path) -> None:
    write_series(folder, grid().without(5, 6, 7, 8))
    other = {"PatientID": "MRN-4712", "StudyInstanceUID": uid("other study")}
    _merge(folder, 1, grid().without(0, 1, 2, 3, 4), values=lambda w: encode(w) + PHASE, edit=renamed(1, 5, **other))


def _half_scaled(ds: Dataset, k: int) -> None:
    if k % 2:
        del ds.RescaleSlope, ds.RescaleIntercept


def _shifted_bits(ds: Dataset, k: int) -> None:
    ds.HighBit = 15
    _pixels(lambda stored: stored << 3)(ds, k)


def _shuffled() -> list[int]:
    return [int(n) + 1 for n in np.random.default_rng(0).permutation(9)]


KINDS: dict[str, Kind] = {
    "axial": Kind("Axial, in order", _series()),
    "reversed": Kind("Slices from head to foot", _series(grid(reverse=True))),
    "coronal": Kind("Coronal", _series(grid("coronal"))),
    "sagittal": Kind("Sagittal", _series(grid("sagittal"))),
    "oblique": Kind("Oblique, turned about two axes", _series(grid("oblique"))),
    "instance-numbers": Kind("Instance numbers not in spatial order", _series(numbers=_shuffled())),
    "one-slice": Kind("A single slice", _series(grid(slices=1)), voxels=14 * 11),
    "missing-slice": Kind("One slice missing", _series(grid().without(4)), "rejected", voxels=FEW),
    "missing-slices": Kind(
        "Three slices missing, in two places", _series(grid().without(2, 3, 6)), "rejected", voxels=FEW
    ),
    "mixed-spacing": Kind("4 mm steps, then 7 mm", _series(mixed_spacing()), "rejected"),
    "tilt": Kind(
        "Gantry tilted by 18.5 degrees", _series(grid(tilt=18.5), edit=_set(GantryDetectorTilt=18.5)), voxels=FEW
    ),
    "tilt-mixed-spacing": Kind(
        "Tilted gantry, 4 mm steps, then 7 mm",
        _series(mixed_spacing(tilt=18.5), edit=_set(GantryDetectorTilt=18.5)),
        "rejected",
    ),
    "off-the-line": Kind("Table moved sideways half-way", _series(off_the_line()), "rejected"),
    "copies": Kind("Four files present twice", _twice),
    "same-place": Kind("Two different images at one place", _one_again, "rejected"),
    "phases-acquisition": Kind(
        "Two phases under one UID, distinguished by acquisition number",
        _phases(AcquisitionNumber=(1, 2)),
        volumes=(0, PHASE),
    ),
    "phases-temporal": Kind(
        "Two phases under one UID, distinguished by temporal position",
        _phases(TemporalPositionIdentifier=(1, 2), same_numbers=True),
        volumes=(0, PHASE),
    ),
    "echoes": Kind("Two echoes under one UID", _phases(EchoNumbers=(1, 2), EchoTime=(10, 90)), volumes=(0, PHASE)),
    "phases-numbers": Kind(
        "Two phases under one UID, distinguished by the run of instance numbers alone", _phases(), volumes=(0, PHASE)
    ),
    "phases-nothing": Kind(
        "Two phases under one UID that nothing distinguishes",
        _phases(same_numbers=True),
        "rejected",
        volumes=(0, PHASE),
    ),
    "phases-interleaved": Kind(
        "Two phases half a step apart", _phases(TemporalPositionIdentifier=(1, 2), shift=2.0), volumes=(0, PHASE)
    ),
    **{
        f"half-step-{name}": Kind(
            f"Two acquisitions half a step apart, distinguished by {name}",
            _phases(**{keyword: values}, shift=2.0),
            volumes=(0, PHASE),
        )
        for name, keyword, values in (
            ("kernel", "ConvolutionKernel", ("B30f", "B70f")),
            ("tube voltage", "KVP", (80, 140)),
            ("contrast", "ContrastBolusAgent", ("", "IOHEXOL")),
            ("b-value", "DiffusionBValue", (0.0, 1000.0)),
            ("inversion time", "InversionTime", (50, 800)),
            ("image type", "ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])),
            ("series number", "SeriesNumber", (3, 4)),
            ("description", "SeriesDescription", ("arterial", "venous")),
            ("repetition time", "RepetitionTime", (500, 3000)),
            ("date", "SeriesDate", ("20240101", "20250101")),
        )
    },
    "half-step-pixels": Kind(
        "Two acquisitions half a step apart, that no header distinguishes",
        _phases(ImageComments=("", ""), shift=2.0),
        "rejected",
        volumes=(0, PHASE),
    ),
    "frame-of-every-second": Kind(
        "Every second slice in another frame of reference",
        _series(edit=_set(FrameOfReferenceUID=lambda k: uid("frame", k % 2))),
        "rejected",
    ),
    "half-step-patient": Kind(
        "Two patients half a step apart under one series UID",
        _phases(PatientID=("1", "2"), shift=2.0),
        "rejected",
        volumes=(0, PHASE),
    ),
    "new-uids": Kind(
        "UIDs of series, study and frame of reference new in every file",
        _series(
            edit=_set(
                SeriesInstanceUID=lambda k: uid("series", k),
                StudyInstanceUID=lambda k: uid("study", k),
                FrameOfReferenceUID=lambda k: uid("frame", k),
            )
        ),
    ),
    "turning": Kind(
        "Directions that turn by 0.0003 rad from slice to slice",
        _series(edit=_set(ImageOrientationPatient=lambda k: [1, 0, 0, 0, np.cos(3e-4 * k), np.sin(3e-4 * k)])),
    ),
    "rounded": Kind(
        "Slices 0.625 mm apart, positions rounded to 0.1 mm",
        _series(
            grid(slices=40, step=0.625),
            edit=lambda ds, k: setattr(
                ds, "ImagePositionPatient", [round(float(v), 1) for v in ds.ImagePositionPatient]
            ),
        ),
    ),
    "broken-beside": Kind("The last file empty", _last_empty, "rejected"),
    "mosaic": Kind(
        "Slices tiled into one image (MOSAIC)",
        _series(grid(slices=1), edit=_set(ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])),
        "rejected",
        volumes=(np.inf,),
    ),
    "two-patients": Kind(
        "Parts of two patients under one series UID, one above the other",
        _two_studies,
        "rejected",
        volumes=(0, PHASE),
        voxels=14 * 11 * 4,
    ),
    "slopes-in-part": Kind("Slope and intercept in some slices only", _series(edit=_half_scaled), "rejected"),
    "high-bit": Kind(
        "13 bits stored at the top of 16", _series(signed=False, bits=13, intercept=0, edit=_shifted_bits), "rejected"
    ),
    "localizer": Kind(
        "Localizer inside the series",
        _beside(grid("coronal", slices=1), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]),
    ),
    "two-orientations": Kind("Two stacks of different orientation under one UID", _beside(grid("sagittal"))),
    "two-sizes": Kind("Two sizes of slice under one UID", _beside(grid(columns=16, rows=16))),
    "slopes": Kind("Slope of each slice its own", _series(slopes=[0.5 + 0.25 * k for k in range(9)], intercept=0)),
    "monochrome1": Kind("MONOCHROME1", _series(edit=_set(PhotometricInterpretation="MONOCHROME1"))),
    "signed-13": Kind("13 bits stored, signed", _series(bits=13, intercept=2500)),
    "overlay-bits": Kind(
        "Overlay in the unused high bits",
        _series(signed=False, bits=13, intercept=0, edit=_pixels(lambda stored: stored | 0xE000)),
    ),
    "padding": Kind(
        "Unsigned pixels, padding of -2000 written as 63536",
        _series(signed=False, edit=padded(63536)),
        voxels=14 * 10 * 9,
    ),
    "pet": Kind("PET in Bq/ml, chosen so that SUV equals it", _series(modality="PT", intercept=0, edit=_pet)),
    "enhanced-ct": Kind("Enhanced multi-frame CT", _enhanced(modality="CT")),
    "enhanced-shuffled": Kind(
        "Enhanced multi-frame MR, frames in any order", _enhanced(frames=[(n - 1, 1) for n in _shuffled()])
    ),
    "enhanced-times": Kind(
        "Enhanced multi-frame MR, two times interleaved",
        _enhanced(frames=[(k, t) for k in range(9) for t in (1, 2)]),
        volumes=(0, 100),
    ),
    "enhanced-slopes": Kind("Enhanced multi-frame MR, slope of each frame its own", _enhanced(edit=_scaled_frames)),
    "enhanced-missing": Kind(
        "Enhanced multi-frame MR, one frame missing", _enhanced(frames=[(k, 1) for k in range(9) if k != 4]), "rejected"
    ),
    "implicit": Kind("Implicit VR", _encoded(ImplicitVRLittleEndian)),
    "big-endian": Kind("Big endian", _encoded(ExplicitVRBigEndian)),
    "deflated": Kind("Deflated", _encoded(DeflatedExplicitVRLittleEndian)),
    "jpeg-ls": Kind("JPEG-LS, lossless", _encoded(JPEGLSLossless)),
    "no-preamble": Kind("Files without the preamble", _without_preamble),
    "truncated": Kind("One file cut short", _truncated, "rejected"),
    "no-position": Kind("No image positions", _series(edit=_without("ImagePositionPatient")), "rejected"),
    "no-spacing": Kind("No pixel spacing", _series(edit=_without("PixelSpacing")), "rejected"),
}
