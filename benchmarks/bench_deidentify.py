"""What de-identification leaves: markers planted in one place of each object, and a search of what each tool writes.

    python benchmarks/peer_environments.py dicom-anonymizer deid dicognito
    python benchmarks/bench_deidentify.py --out docs/benchmarks/deidentify.md

Each object is a CT image of one study whose header names the patient, the staff and the hospital where the standard
puts them; one of these names or numbers stands in one further place. A place counts as left where the bytes of the
object written, or an element of it read as a number, hold more of the markers than the object without such a place.
"""

from __future__ import annotations

import argparse
import re
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import markdown
import numpy as np
import peer_environments
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, JPEGLSLossless, RLELossless

from medseg.privacy.deidentify import deidentify_folder

ROOT = "1.2.276.0.7230010.3."
SHAPE = (16, 16)
WHO = {
    "PatientName": "Quimby^Fritzsche", "PatientID": "MRN0047115", "PatientBirthDate": "19620317",
    "ReferringPhysicianName": "Hartwell^Ada", "OperatorsName": "Oleander^Tom", "AccessionNumber": "ACC0055512",
    "InstitutionName": "Evergreen Hospital Zwiesel", "StationName": "EVERGREENCT1", "StudyDate": "20240203",
}  # fmt: skip
WORDS = ("quimby", "fritzsche", "hartwell", "oleander", "evergreen", "zwiesel", "0047115", "0055512", "19620317")
NUMBERS = (47115, 55512, 19620317)


def item(**elements):
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def code(meaning="Liver", scheme="SCT", value="10200004"):
    return item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)


def private(kind, value):
    return lambda d: d.private_block(0x0029, "MAKER", create=True).add_new(0x10, kind, value)


def element(tag, kind, value):
    return lambda d: d.add_new(tag, kind, value)


def keyword(name, value):
    return lambda d: setattr(d, name, value)


def meta(name, value):
    return lambda d: (setattr(d.file_meta, "PrivateInformationCreatorUID", "1.2.3"), setattr(d.file_meta, name, value))


def preamble(dataset):
    dataset.preamble = b"QUIMBY MRN0047115".ljust(128, b"\0")


def unused_bits(dataset):
    dataset.BitsStored, dataset.HighBit = 12, 11
    letters = np.frombuffer(b"Quimby MRN0047115 Hartwell".ljust(128), np.uint8)
    halves = np.stack([letters >> 4, letters & 15], axis=1).ravel().astype("<u2")
    dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") | halves << 12).tobytes()


def after_last_pixel(dataset):
    dataset.PixelData = dataset.PixelData + b"Quimby Fritzsche"


def compressed(syntax, place):
    """Compress the pixels and put a text into the stream: behind a marker of JPEG, or after its end."""

    def edit(dataset):
        text = b"Quimby MRN0047115"
        dataset.compress(syntax, generate_instance_uid=False)
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        inside = {"comment": b"\xff\xfe", "application": b"\xff\xe1"}.get(place)
        frame = frame + text if inside is None else (
            frame[:2] + inside + struct.pack(">H", len(text) + 2) + text + frame[2:]
        )  # fmt: skip
        dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True

    return edit


PLACES = {
    "names in sequences": {
        "former name": keyword("OriginalAttributesSequence", [
            item(ModifiedAttributesSequence=[item(PatientName="Quimby^Fritzsche", PatientID="MRN0047115")])]),
        "request": keyword("RequestAttributesSequence", [item(RequestedProcedureDescription="for Hartwell")]),
        "meaning of a code": keyword("AnatomicRegionSequence", [code("Liver of Mr Quimby")]),
        "purpose": keyword("SourceImageSequence", [item(PurposeOfReferenceCodeSequence=[code("told by Hartwell")])]),
    },
    "a hospital's own codes": {
        "scheme": keyword("AnatomicRegionSequence", [code("Liver", "99EVERGREEN", "L1")]),
        "value": keyword("AnatomicRegionSequence", [code("Liver", "99LOCAL", "ZWIESEL-7")]),
        "templates": keyword("AnatomicRegionSequence", [
            item(MappingResource="99EVERGREEN", MappingResourceName="codes of Zwiesel")]),
    },
    "short text": {
        name: keyword(name, value) for name, value in {
            "ConvolutionKernel": "B30f Evergreen", "ManufacturerModelName": "Model of Zwiesel",
            "FilterType": "HARTWELL", "SoftwareVersions": "v1 OLEANDER",
            "ScanOptions": "EVERGREEN_OPT", "BodyPartExamined": "ZWIESEL",
            "ContrastBolusIngredient": "QUIMBY", "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL", "QUIMBY"],
        }.items()
    },
    "free text": {
        "ImageComments": keyword("ImageComments", "Hartwell wants it by Monday"),
        "DerivationDescription": keyword("DerivationDescription", "made for Quimby"),
        "WindowCenterWidthExplanation": keyword("WindowCenterWidthExplanation", "as Hartwell likes it"),
        "ProtocolName": keyword("ProtocolName", "Quimby special"),
    },
    "numbers": {
        "InstanceNumber": keyword("InstanceNumber", 47115), "AcquisitionNumber": keyword("AcquisitionNumber", 55512),
        "KVP": keyword("KVP", "47115"), "SliceLocation": keyword("SliceLocation", "19620317"),
        "a table speed": keyword("TableSpeed", 47115.0),
        "an unsigned long": keyword("SelectorULValue", 19620317), "a double": keyword("SelectorFDValue", 55512.0),
        "two shorts": keyword("SelectorUSValue", [1, 47115]),
    },
    "private and unknown elements": {
        "text": private("LO", "Quimby Fritzsche"), "sequence": private("SQ", [item(PatientName="Quimby^Fritzsche")]),
        "integer": private("IS", 47115), "unknown element": element(0x00091001, "UN", b"Quimby"),
    },
    "identifiers (UIDs)": {
        "frame of reference": keyword("FrameOfReferenceUID", ROOT + "19620317.47115"),
        "behind the standard's root": keyword("FrameOfReferenceUID", "1.2.840.10008.19620317.47115"),
    },
    "binary elements": {
        "overlay": element(0x60003000, "OW", b"QUIMBY-OVERLAY!!"),
        "overlay's label": element(0x60001500, "LO", "Quimby"),
        "curve's label": element(0x50002500, "LO", "Quimby"), "ICC profile": element(0x00282000, "OB", b"of Quimby "),
        "trailing padding": element(0xFFFCFFFC, "OB", b"QUIMBY"),
    },
    "around the data set": {
        "preamble": preamble, "sender's title": meta("SourceApplicationEntityTitle", "EVERGREEN"),
        "private information": meta("PrivateInformation", b"QUIMBY"),
    },
    "the pixel data": {
        "bits above BitsStored": unused_bits, "after the last pixel": after_last_pixel,
        **{f"{place} of JPEG-LS": compressed(JPEGLSLossless, place) for place in ("comment", "application", "end")},
        "end of RLE": compressed(RLELossless, "end"),
    },
}  # fmt: skip


def image(number):
    """One CT image; its number stands in its pixels, by which it is found again."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"{ROOT}8.{number + 1}"
    for name, value in WHO.items():
        setattr(dataset, name, value)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = (ROOT + end for end in "123")
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = "CT", "Maker", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing, dataset.SliceThickness, dataset.InstanceNumber = [1, 1], 1, number + 1
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *SHAPE, 1
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PhotometricInterpretation, dataset.RescaleSlope, dataset.RescaleIntercept = "MONOCHROME2", 1, 0
    dataset.PixelData = np.full(SHAPE, number, "<u2").tobytes()
    return dataset


def write_objects(folder):
    """The object without a further place, and one for each place; returns the places by number."""
    places = [(kind, name, edit) for kind, group in PLACES.items() for name, edit in group.items()]
    folder.mkdir(parents=True)
    image(0).save_as(folder / "image0.dcm", enforce_file_format=True)
    for number, (_, _, edit) in enumerate(places, start=1):
        dataset = image(number)
        edit(dataset)
        dataset.save_as(folder / f"image{number}.dcm", enforce_file_format=True)
    return {number: place[:2] for number, place in enumerate(places, start=1)}


def markers_in(path):
    """How many markers the bytes of a file hold, and how many its elements do as numbers."""
    content = path.read_bytes()
    texts = (content.lower(), content.replace(b"\0", b"").lower())
    words = sum(max(text.count(word.encode()) for text in texts) for word in WORDS)
    dataset = pydicom.dcmread(path, force=True)
    values = [v for e in dataset.iterall() if e.VR not in ("SQ", "UI", "OB", "OW") for v in np.ravel(e.value or [])]
    words += sum(str(v).lstrip("-0").partition(".")[0] in {str(n) for n in NUMBERS} for v in values)
    if "PixelData" in dataset and not dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        pixels = np.frombuffer(dataset.PixelData[: 2 * np.prod(SHAPE)], "<u2")
        high = pixels >> 12
        packed = bytes((high[::2] << 4 | high[1::2]).astype(np.uint8)).lower()
        words += sum(packed.count(word.encode()) for word in WORDS)
    return words


def number_of(path):
    dataset = pydicom.dcmread(path, force=True)
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return int(dataset.pixel_array[0, 0])
    return int(np.frombuffer(dataset.PixelData[:2], "<u2")[0] & 0x0FFF)


def run_medseg(source, out):
    deidentify_folder([source], out, key=b"a key of the benchmark")


DEID = """
import sys, glob
from deid.dicom import replace_identifiers
replace_identifiers(glob.glob(sys.argv[1] + "/*.dcm"), save=True, overwrite=True, output_folder=sys.argv[2],
                    remove_private=True, strip_sequences=sys.argv[3] == "strip")
"""


def peer(name, *command):
    """A tool of another environment, called as its documentation shows; a command may name `{source}` and `{out}`."""

    def run(source, out):
        python = peer_environments.install(name)
        out.mkdir()
        words = [word.format(source=source, out=out, bin=python.parent) for word in command]
        subprocess.run(words, check=True, capture_output=True)

    return run


def deid(strip):
    return peer("deid", "{bin}/python", "-c", DEID.replace("{", "{{").replace("}", "}}"), "{source}", "{out}", strip)


TOOLS = {
    "medseg": run_medseg,
    "dicom-anonymizer": peer("dicom-anonymizer", "{bin}/dicom-anonymizer", "{source}", "{out}"),
    "deid": deid("keep"),
    "deid, strip_sequences": deid("strip"),
    "dicognito": peer("dicognito", "{bin}/python", "-m", "dicognito", "-o", "{out}", "{source}"),
}


def measure(run, source, out, places):
    """How many places of each kind are left, of the objects written; what is left without any; and the objects."""
    run(source, out)
    left = {number_of(path): markers_in(path) for path in sorted(out.rglob("*.dcm"))}
    base = left.pop(0)
    found = {kind: [0, 0] for kind in PLACES}
    for number, count in left.items():
        found[places[number][0]][0] += count > base
        found[places[number][0]][1] += 1
    names = [": ".join(places[number]) for number, count in sorted(left.items()) if count > base]
    return found, base, names


def versions():
    found = {}
    for name in ("dicom-anonymizer", "deid", "dicognito"):
        python = peer_environments.install(name)
        asked = f"from importlib.metadata import version; print(version({name!r}))"
        found[name] = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="deidentify-"))
    places = write_objects(work / "in")
    results = {
        name: measure(run, work / "in", work / re.sub("[^a-z]", "", name), places) for name, run in TOOLS.items()
    }
    rows = {
        kind: [f"{left} of {written}" for found, _, _ in results.values() for left, written in [found[kind]]]
        for kind in PLACES
    }
    total = [[sum(n) for n in zip(*found.values(), strict=True)] for found, _, _ in results.values()]
    cleaned = {
        name: [written, written - left, round(1 - left / written, 3)]
        for name, (left, written) in zip(results, total, strict=True)
    }
    rows["markers in the object without a further place"] = [base for _, base, _ in results.values()]
    paragraphs = [
        f"Made by `python benchmarks/bench_deidentify.py`: {len(places) + 1} CT images of one study name the patient, "
        "staff and hospital where the standard puts them; all but the first have one of these names or numbers in one "
        "further place, chosen by the authors of medseg. Counted are the places that still hold it in what a tool "
        "writes, as bytes or as a number, of the objects it writes. The others are called as their documentation shows:"
        " dicom-anonymizer and dicognito without "
        "options, deid with its default recipe and `remove_private`, once with `strip_sequences`, which takes the "
        "references between objects too. " + ", ".join(f"{n} {v}" for n, v in versions().items()) + ".",
        markdown.table(["places in objects written", "cleaned", "fraction cleaned"], cleaned),
        "What is left, by the kind of place:",
        markdown.table(list(results), rows),
        f"Left by medseg: {'; '.join(results['medseg'][2]) or 'none'}.",
        "The object that medseg does not write, and names with its reason, is the RLE stream with bytes after its end.",
        "medseg looks for what the headers of the same patient name: a name that stands nowhere in them is not found "
        "in a short text that the standard's profile does not list. What pixels show is not looked at.",
    ]
    markdown.write(options.out, "What de-identification leaves", paragraphs)
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
