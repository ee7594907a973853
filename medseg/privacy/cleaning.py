"""Who is who in one run of de-identification: pseudonyms, new UIDs, and what was found where it should not be."""

from __future__ import annotations

import hashlib
import hmac
import uuid
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medseg.privacy.identifiers import identifying_words

STANDARD_UIDS = "1.2.840.10008."


@dataclass
class Cleaning:
    """Who is who in one run, and what was found where it should not be."""

    key: bytes  # secret: the same key maps the same identifiers alike, and without it nobody can tell which was which
    # Attributes outside the profile's table that held an identifier, and how often; they were emptied.
    leaks: dict[str, int] = field(default_factory=dict)
    _words: dict[str, set[str]] = field(default_factory=dict)
    _patients: dict[str, str] = field(default_factory=dict)

    def learn(self, dataset: Dataset) -> None:
        """Remember how an object names its patient, for other objects of the study that may do so elsewhere."""
        study = str(dataset.get("StudyInstanceUID") or "")
        if not study:
            return
        self._words.setdefault(study, set()).update(identifying_words(dataset))
        if dataset.get("PatientID"):
            self._patients.setdefault(study, str(dataset.PatientID))

    def words(self, study: str) -> set[str]:
        """What names the patient in the objects of a study learned of."""
        return self._words.get(study, set())

    def patient_of(self, dataset: Dataset) -> str:
        """Pseudonym of an object's patient; where the object does not say who it is, its study's others do."""
        study = str(dataset.get("StudyInstanceUID") or "")
        who = dataset.get("PatientID") or self._patients.get(study) or dataset.get("PatientName") or study
        return self.patient(str(who))

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another; UIDs of the standard itself stay."""
        if not uid or uid.startswith(STANDARD_UIDS):
            return uid
        bits = bytearray(self._hash("uid", uid)[:16])
        bits[6] = (bits[6] & 0x0F) | 0x80
        bits[8] = (bits[8] & 0x3F) | 0x80
        return str(UID(f"2.25.{uuid.UUID(bytes=bytes(bits)).int}"))

    def patient(self, identifier: str) -> str:
        """Pseudonym of a patient: the same for all objects with the same identifier."""
        return "P-" + self._hash("patient", identifier).hex()[:12]

    def _hash(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{text.strip()}".encode(), hashlib.sha256)
