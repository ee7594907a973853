"""A measurement report, TID 1500, as a DICOM document: who observed, who vouches for it, and what it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import highdicom as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.coding import SOFTWARE_VERSION, long_string, person_name, serial_number, title
from medseg.io.dicom_results.identity import PROVISIONAL, derived_uid
from medseg.io.dicom_results.predecessor import as_dataset
from medseg.types import ModelIdentity
from medseg.types.verification import Verification

PROCEDURES = {
    "CT": codes.LN.CTUnspecifiedBodyRegion,
    "MR": codes.LN.MRIUnspecifiedBodyRegion,
    "PT": codes.LN.PETUnspecifiedBodyRegion,
}


def report_document(
    groups: Sequence[Any],
    evidence: Sequence[Dataset],
    series_number: int,
    first: Dataset,
    model: ModelIdentity,
    verification: Verification | None = None,
) -> hd.sr.ComprehensiveSR:
    """Build the document of groups of measurements, not yet sealed.

    - `evidence`: headers of what was measured; `first` is that of an image of the scan.
    - `verification`: of the person who vouches for it; without, it is preliminary and unverified.
    """
    report = hd.sr.MeasurementReport(
        observation_context=_observation_context(model, verification),
        procedure_reported=PROCEDURES.get(str(first.get("Modality")), codes.SCT.ImagingProcedure),
        imaging_measurements=groups or None,
        title=codes.DCM.ImagingMeasurementReport,
    )
    with lenient():
        document = hd.sr.ComprehensiveSR(
            evidence=evidence,
            content=report,
            series_instance_uid=PROVISIONAL["SeriesInstanceUID"],
            series_number=series_number,
            sop_instance_uid=PROVISIONAL["SOPInstanceUID"],
            instance_number=1,
            manufacturer="medseg",
            is_complete=True,
            is_final=verification is not None,
            is_verified=verification is not None,
            verifying_observer_name=None if verification is None else person_name(verification.observer),
            verifying_organization=None if verification is None else _organization(first, verification),
            previous_versions=_predecessors(verification),
            series_description=title(model),
            manufacturer_model_name=long_string(model.name),
            software_versions=SOFTWARE_VERSION,
            device_serial_number=serial_number(model),
        )
    document.SpecificCharacterSet = "ISO_IR 192"
    if verification is not None:
        document.VerifyingObserverSequence[0].VerificationDateTime = verification.date_time
    return document


def _organization(first: Dataset, verification: Verification) -> str:
    """Where the person works who vouches for the report, which DICOM insists on: by default where the scan was made."""
    return long_string(verification.organization or str(first.get("InstitutionName") or "") or "not stated")


def _predecessors(verification: Verification | None) -> list[Dataset] | None:
    if verification is None or verification.predecessor is None:
        return None
    return [as_dataset(verification.predecessor)]


def _observation_context(model: ModelIdentity, verification: Verification | None) -> hd.sr.ObservationContext:
    """Who observed: the model as a device, and the person who vouches for it."""
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=derived_uid("device", model.hash),
        name="medseg",
        manufacturer_name="medseg",
        model_name=f"{model.name} {model.version}",
        serial_number=serial_number(model),
    )
    person = None
    if verification is not None:
        with lenient():  # a name of one part is one
            observer = hd.sr.PersonObserverIdentifyingAttributes(name=person_name(verification.observer))
        person = hd.sr.ObserverContext(observer_type=codes.DCM.Person, observer_identifying_attributes=observer)
    return hd.sr.ObservationContext(
        observer_person_context=person,
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device, observer_identifying_attributes=device
        ),
    )
