import pytest
from audit_dependencies import LIST, accepted, complaints, found, was_asked

LISTED = "# id package looked at why\nCVE-1 pydicom 2026-11-29 The function with the hole is never called by medseg.\n"
REPORT = {
    "dependencies": [
        {"name": "pydicom", "version": "3.0.2", "vulns": [{"id": "GHSA-x", "aliases": ["CVE-1"], "fix_versions": []}]},
        {
            "name": "torch",
            "version": "2.9.0",
            "vulns": [{"id": "PYSEC-2", "aliases": ["CVE-2"], "fix_versions": ["2.10"]}],
        },
        {"name": "medseg", "skip_reason": "not on PyPI"},
    ]
}


def test_what_is_not_accepted_is_named_with_its_fix():
    assert complaints(found(REPORT), accepted(LISTED)) == ["torch 2.9.0 has PYSEC-2 (fixed in 2.10)."]


def test_what_is_accepted_for_one_package_is_not_for_another():
    listed = {"CVE-1": "torch", "CVE-2": "torch"}
    assert complaints(found(REPORT), listed) == [
        "CVE-1 of torch is not found any more: delete its line.",
        "pydicom 3.0.2 has GHSA-x (not fixed yet).",
    ]


def test_every_acceptance_has_a_date_and_a_reason():
    assert accepted(LIST.read_text(encoding="utf-8"))
    with pytest.raises(ValueError, match="needs an id, a package, a date and a reason"):
        accepted("CVE-1 pydicom\n")


def test_a_report_for_which_nobody_could_be_asked_is_no_good_news():
    skipped = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.9.0)"}
    assert was_asked(REPORT)
    assert not was_asked({"dependencies": [skipped]})
