"""Who vouches for labels, as files that others read say it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DocumentReference:
    """A DICOM document, by the UIDs that other objects refer to it by."""

    study_uid: str
    series_uid: str
    class_uid: str
    instance_uid: str


@dataclass(frozen=True)
class Verification:
    """A person's acceptance of labels.

    Parameters
    ----------
    observer : str
        The person's name.
    moment : datetime
        When, with its time zone.
    organization : str
        Where the person works; empty where nobody said.
    predecessor : DocumentReference, optional
        The report that the new one takes the place of.
    """

    observer: str
    moment: datetime
    organization: str = ""
    predecessor: DocumentReference | None = None

    @property
    def date_time(self) -> str:
        """The moment as DICOM's DT."""
        return self.moment.strftime("%Y%m%d%H%M%S.%f%z")
