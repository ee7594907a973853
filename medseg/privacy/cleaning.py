"""Who is who in one run of de-identification: pseudonyms, new UIDs and dates, and what was found out of place."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydicom.dataset import Dataset
from pydicom.uid import UID

from medseg.io.dicom_results.identity import uid_of_digest
from medseg.privacy.identifiers import identifying_words
from medseg.privacy.phases import Phases

# UIDs that the standard gives out, those of its next edition too; nobody else's number looks like them.
STANDARD_UID = re.compile(r"1\.2\.840\.10008(?:\.\d{1,3}){1,9}")
MOST_DAYS = 3650  # that dates are shifted back


@dataclass(frozen=True)
class Kept:
    """What is kept beyond the basic profile, each an option of PS3.15."""

    uids: bool = False  # 113110
    dates: bool = False  # 113107, shifted by as many days for all of a patient
    descriptors: bool = False  # 113105, without what identifies


@dataclass
class Cleaning:
    """Who is who in one run, and what was found where it should not be."""

    key: bytes  # secret: the same key maps the same identifiers alike, and without it nobody can tell which was which
    kept: Kept = Kept()
    # Attributes outside the profile's table that held an identifier, and how often; they were emptied.
    leaks: dict[str, int] = field(default_factory=dict)
    phases: Phases = field(default_factory=Phases)
    _words: dict[str, set[str]] = field(default_factory=dict)  # by study, and by patient
    _patients: dict[str, str] = field(default_factory=dict)

    def learn(self, dataset: Dataset) -> None:
        """Remember whom an object names, for others of the study and patient that may do so elsewhere."""
        self.phases.learn(dataset)
        study = str(dataset.get("StudyInstanceUID") or "")
        words = identifying_words(dataset)
        if study:
            self._words.setdefault(study, set()).update(words)
            if dataset.get("PatientID"):
                self._patients.setdefault(study, str(dataset.PatientID))
        self._words.setdefault(self.patient_of(dataset), set()).update(words)

    def found_outside(self, name: str) -> None:
        """Count an attribute outside the profile's table that held an identifier."""
        self.leaks[name] = self.leaks.get(name, 0) + 1

    def words(self, dataset: Dataset) -> set[str]:
        """What names people and places in an object, and in those learned of that are of its study or patient."""
        study = str(dataset.get("StudyInstanceUID") or "")
        words = identifying_words(dataset) | self._words.get(study, set())
        return words | self._words.get(self.patient_of(dataset), set())

    def patient_of(self, dataset: Dataset) -> str:
        """Pseudonym of an object's patient; where the object does not say who it is, its study's others do."""
        study = str(dataset.get("StudyInstanceUID") or "")
        who = dataset.get("PatientID") or self._patients.get(study) or dataset.get("PatientName") or study
        return self.patient(str(who))

    def uid(self, uid: str) -> str:
        """Return the UID that stands for another; UIDs of the standard itself stay."""
        if not uid or self.kept.uids or STANDARD_UID.fullmatch(uid) or UID(uid).name != uid:
            return uid
        return str(uid_of_digest(self._hash("uid", uid)))

    def patient(self, identifier: str) -> str:
        """Pseudonym of a patient: the same for all objects with the same identifier, whatever its case and spaces."""
        return "P-" + self._hash("patient", " ".join(identifier.casefold().split())).hex()[:12]

    def scheme(self, designator: str) -> str:
        """Return the name that stands for a private coding scheme's, by DICOM's rule for such names."""
        return "99" + self._hash("scheme", designator).hex()[:10].upper()

    def shifted(self, moment: str, patient: str) -> str | None:
        """Return a DICOM date, or date and time, moved back by the patient's own number of days; None for no date."""
        digits = moment.strip().replace(".", "", 2) if moment[4:5] == "." else moment.strip()
        try:
            date = datetime.strptime(digits[:8], "%Y%m%d")
            days = 1 + int.from_bytes(self._hash("days", patient)[:4], "big") % MOST_DAYS
            return f"{date - timedelta(days):%Y%m%d}".rjust(8, "0") + digits[8:]
        except (ValueError, OverflowError):
            return None

    def _hash(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.key, f"{kind}\0{text.strip()}".encode(), hashlib.sha256)
