"""Codes of a hospital's own: who gave them out says where the patient was, so their scheme gets a new name."""

from __future__ import annotations

from collections.abc import Callable

from pydicom.dataset import Dataset

# Coding schemes of PS3.16, Table 8-1, and those that software known everywhere writes. Any other is somebody's own.
PUBLIC = frozenset(
    {
        "ACR", "ASTM-SIGPURPOSE", "BARI", "BI", "C4", "C5", "CADSR", "CD2", "CTV3", "CVX", "DC", "DCM", "DCMUID",
        "FMA", "GTIN", "GUDID", "HGNC", "HL7", "HPC", "I10", "I10P", "I11", "I9", "I9C", "I9P", "IBSI", "ICDO3",
        "IEEE", "ISO3166_1", "ISO3166_2", "ISO5218_1", "ISO639_1", "ISO639_2", "ISO_OID", "ITIS_TSN", "JC8", "JJ1017",
        "KT", "LB", "LN", "LOINC", "MA", "MAYO", "MAYOASRG", "MDC", "MDNS", "MESH", "MGI", "MIM", "MSH", "MVX",
        "NCBI", "NCIT", "NDC", "NDFRT", "NEU", "NICIP", "NYUMCCG", "OID", "ON", "PATHLEX", "POS", "PUBCHEM_CID",
        "RADLEX", "RFC3066", "RFC5646", "RO", "RXNORM", "SCPECG", "SCT", "SDM", "SNM3", "SRT", "STR", "UBERON",
        "UCUM", "UMLS", "UNS", "UPC", "URI", "X9", "99SDM", "99MEDSEG", "99PMP", "99QIICR", "99_OFFIS_DCMTK",
    }
)  # fmt: skip
RESOURCES = {"DCMR", "SDM"}


def is_public(designator: str) -> bool:
    """Whether everybody may use a coding scheme, so that it tells nothing of who did."""
    return designator.strip().upper() in PUBLIC


def rename_schemes(dataset: Dataset, renamed: Callable[[str], str]) -> None:
    """Give schemes that are somebody's own another name, in one dataset and not in what is nested in it.

    The codes stay distinct. What describes such a scheme, or a local set of templates, goes.
    """
    designator = str(dataset.get("CodingSchemeDesignator") or "")
    if designator and not is_public(designator):
        dataset.CodingSchemeDesignator = renamed(designator)
    if "MappingResource" in dataset and str(dataset.MappingResource) not in RESOURCES:
        for keyword in ("MappingResource", "MappingResourceName", "MappingResourceUID"):
            if keyword in dataset:
                del dataset[keyword]
    described = dataset.get("CodingSchemeIdentificationSequence") or []
    if described:
        kept = [item for item in described if is_public(str(item.get("CodingSchemeDesignator") or ""))]
        dataset.CodingSchemeIdentificationSequence = kept
