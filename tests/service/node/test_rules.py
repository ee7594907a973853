"""The first rule that fits, why others do not, and mistakes that are found before anything listens."""

from pathlib import Path

import pydicom
import pytest
from node_peers import config

from medseg.errors import ConfigError
from medseg.service.node.config import Rule
from medseg.service.node.node import check_node
from medseg.service.node.rules import first_fit, fits

HEADER = pydicom.Dataset()
HEADER.Modality, HEADER.SeriesDescription, HEADER.ImageType = "MR", "Sag T1 MPRAGE [HR]", ["ORIGINAL", "PRIMARY", "M"]
HEADER.SliceThickness, HEADER.PatientID, HEADER.SeriesNumber = "1.0", "4711", 3


def rule(**when: object) -> Rule:
    return Rule(when=when, model="hippocampus")


@pytest.mark.parametrize(
    ("when", "fit"),
    [
        ({}, True),
        ({"Modality": "MR"}, True),
        ({"Modality": "CT"}, False),
        ({"Modality": "CT\\MR"}, True),
        ({"SeriesDescription": "*T1*"}, True),
        ({"SeriesDescription": "*t1*mprage*"}, True),
        ({"SeriesDescription": "T1*"}, False),
        ({"SeriesDescription": "*[HR]"}, True),
        ({"SeriesDescription": "*T1*", "Modality": "CT"}, False),
        ({"ImageType": "PRIMARY"}, True),
        ({"ImageType": "DERIVED"}, False),
        ({"SliceThickness": 1}, True),
        ({"SliceThickness": 2}, False),
        ({"SeriesNumber": 3}, True),
        ({"BodyPartExamined": "HEAD"}, False),
        ({"BodyPartExamined": "?*"}, False),
        ({"SeriesNumber": "?*"}, True),
        ({"SeriesNumber": "4\\3"}, True),
        ({"EchoTime": "?*"}, False),
    ],
)
def test_patterns(when, fit):
    assert first_fit([rule(**when)], HEADER) == (0 if fit else None)


def test_the_first_that_fits_wins_and_the_others_say_why():
    tried = fits([rule(Modality="CT"), rule(BodyPartExamined="HEAD"), rule(Modality="MR"), rule()], HEADER)
    assert [(one.number, one.fits) for one in tried] == [(1, False), (2, False), (3, True)]
    assert "Modality is 'MR', and must match 'CT'" in tried[0].reason
    assert "BodyPartExamined is not stated" in tried[1].reason
    assert "Modality matches 'MR'" in tried[2].reason


def test_what_is_of_the_patient_is_not_repeated():
    (tried,) = fits([rule(PatientID="0815")], HEADER)
    assert "4711" not in tried.reason


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    found = config(tmp_path, rules=[{"model": "models/mine"}], tls={"certificate": "a.pem", "key": "/b.pem"})
    assert found.folder == tmp_path / "node-data"
    assert found.rules[0].model == str(tmp_path / "models" / "mine")
    assert (found.tls.certificate, found.tls.key) == (tmp_path / "a.pem", Path("/b.pem"))
    assert config(tmp_path, rules=[{"model": "models:/x@y"}]).rules[0].model == "models:/x@y"


MODEL = {"model": "hippocampus"}


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"nonsense": 1}, "unknown key 'nonsense'"),
        ({"rules": [{**MODEL, "whn": {}}]}, "unknown key 'rules.0.whn'"),
        ({"rules": [{**MODEL, "when": {"Modalty": "MR"}}]}, "rule 1: 'Modalty' is not a DICOM keyword. Did you mean"),
        ({"rules": [{**MODEL, "when": {"Modality": " "}}]}, "rule 1: Modality has no pattern"),
        ({"rules": [{**MODEL, "when": {"BurnedInAnnotation": False}}]}, "BurnedInAnnotation: YAML reads a bare YES"),
        ({"rules": [{**MODEL, "when": {"Modality": "MRI"}}]}, "rule 1: there is no Modality 'MRI', so that nothing"),
        ({"rules": [{**MODEL, "when": {"Modality": "CT\\PET"}}]}, "DICOM writes PT."),
        ({"rules": [{**MODEL, "when": {"EchoTime": "3*"}}]}, "rule 1: EchoTime is a number, and '3*' is none"),
        ({"rules": [{**MODEL, "when": {"ReferencedSeriesSequence": "*"}}]}, "holds nothing that a pattern can match"),
        ({"rules": [{**MODEL, "when": {"PixelData": "?*"}}]}, "holds nothing that a pattern can match"),
        ({"rules": [{**MODEL, "send_to": ["archiv"]}], "destinations": {"archive": "dicom://a:1/B"}}, "'archive'?"),
        ({"rules": [{**MODEL, "formats": ["dicom"]}]}, "must be nifti, nrrd"),
        (
            {"rules": [{**MODEL, "formats": ["nifti"], "send_to": ["a"]}], "destinations": {"a": "dicom://a:1/B"}},
            "hold no DICOM object to send",
        ),
        ({"rules": [MODEL, {**MODEL, "when": {"Modality": "MR"}}]}, "rule 2 is never reached, because rule 1"),
        ({"rules": [{**MODEL, "when": {"Modality": "*"}}, MODEL]}, "rule 2 is never reached, because rule 1"),
        (
            {"rules": [{**MODEL, "when": {"Modality": "?*"}}, {**MODEL, "when": {"Modality": "MR"}}]},
            "rule 2 is never reached, because rule 1",
        ),
        ({"rules": []}, "rules"),
        ({"rules": [{**MODEL, "when": {"PatientAge": 50}}]}, "no PatientAge can match '50'. Write it as in 050Y"),
        ({"rules": [{**MODEL, "when": {"StudyInstanceUID": "1.2\\1.2.x"}}]}, "StudyInstanceUID can match '1.2.x'"),
        ({"host": "0.0.0.0"}, "callers must say who may send"),
        ({"http": "0.0.0.0:80"}, "the queue page has no login"),
        ({"http": "127.0.0.1:4711", "port": 4711}, "port and http are both 4711"),
        ({"http": "8042"}, "is not an address and a port"),
        ({"aet": "A" * 17}, "is not an application entity title"),
        ({"callers": ["a\\b"]}, "is not an application entity title"),
        ({"tls": {"certificate": "a.pem"}}, "belong together"),
        ({"default": "segment"}, "must be ignore"),
        ({"users": {"nobody": "me"}}, "users.nobody: there is no destination"),
        ({"reports": {"CT1": "104"}}, "reports.CT1: '104' is not HOST:PORT"),
        ({"quiet_seconds": 0}, "must be more than 0"),
    ],
)
def test_mistakes_are_found_when_the_file_is_read(tmp_path: Path, keys, message):
    with pytest.raises(ConfigError) as error:
        config(tmp_path, **keys)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"rules": [{"model": "hippocampu"}]}, "Did you mean 'hippocampus'?"),
        ({"destinations": {"archive": "dicm://x"}}, "destinations.archive dicm://x: this is not the address"),
        ({"keep_days": 3}, "no destination can be asked"),
        ({"tls": {"certificate": "a.pem", "key": "b.pem"}}, "a.pem: there is no such file"),
        ({"tls": {"certificate": "node.yaml", "key": "b.pem"}}, "b.pem: there is no such file"),
        ({"tls": {"authority": "b.pem"}}, "tls.authority: "),
        ({"tls": {"certificate": "node.yaml", "key": "node.yaml"}}, "a certificate cannot be read"),
    ],
)
def test_mistakes_that_need_models_and_files_are_found_at_the_start(tmp_path: Path, keys, message):
    with pytest.raises(ConfigError if "rules" in keys or "keep_days" in keys else Exception) as error:
        check_node(config(tmp_path, **keys), tmp_path / "node.yaml")
    assert message in str(error.value)


def test_patterns_of_ages_and_uids_that_can_match_are_taken(tmp_path: Path) -> None:
    for when in ({"PatientAge": "05?Y"}, {"PatientAge": "*"}, {"StudyInstanceUID": "1.2.*"}, {"PatientAge": "?*"}):
        assert config(tmp_path, rules=[{**MODEL, "when": when}]).rules[0].when == when
