"""A third person settles what two readers see differently, and learns neither's name."""

from __future__ import annotations

import numpy as np
import pytest
import requests
from review_server import serving
from reviewed_results import edited, make_results

from medseg.errors import UsageError
from medseg.review.adjudication import open_adjudication
from medseg.review.opening import open_store
from medseg.review.reader_agreement import agreement
from medseg.review.revisions import ADJUDICATED

VOXELS = {"Ada": (0, 3, 3), "Bob": (7, 3, 3)}


@pytest.fixture
def out(tmp_path):
    """Ada and Bob read four cases: two differently, one alike, and one that Bob rejects."""
    out = make_results(tmp_path, 4)
    with open_store(out, create=True) as store:
        for who in ("Ada", "Bob"):
            for number, case in enumerate(store.cases()):
                if (who, number) == ("Bob", 3):
                    store.verdict(case, kind="reject", revision=0, who=who, reader=who, reason="bad scan")
                    continue
                labels = edited(store.model_labels(case), VOXELS["Ada" if number == 2 else who], 1)
                if who == "Bob" and number == 1:
                    labels = edited(labels, (5, 5, 5), 1)  # the only voxel of a lesion
                saved = store.save_labels(case, labels, who=who, expected=0, origin="test", reader=who)
                store.verdict(case, kind="accept", revision=saved.number, who=who, reader=who)
    return out


@pytest.fixture
def client(out):
    with serving(out, reviewer="Cem", adjudicate=("Ada", "Bob")) as client:
        yield client


def array(client, case, query=""):
    return np.asanyarray(client.labels(case, query).dataobj)


def test_the_worklist_is_what_they_see_differently_the_worst_first(client):
    cases = [row["case_id"] for row in client.get("worklist").json()["cases"]]
    assert cases == ["scan_3", "scan_1", "scan_0"]
    assert client.get("case/scan_2").status_code == 404


def test_both_readings_are_there_without_a_name(client, out):
    answer = client.get("case/scan_1")
    found = answer.json()
    assert not {"Ada", "Bob"} & set(answer.text.replace('"', " ").split())
    assert found["readings"] == [{"name": "A", "verdict": "corrected"}, {"name": "B", "verdict": "corrected"}]
    assert (found["dispute"]["class"], found["dispute"]["dice"]) == ("lesion", 0)
    assert found["events"] == []
    both = [array(client, "scan_1", f"?of={name}") for name in "AB"]
    with open_store(out) as store:
        drawn = [store.labels("scan_1", reader=who).array for who in ("Ada", "Bob")]
    # Axes are turned for the page; how much of each class there is tells the readings apart.
    assert sorted(int((one == 300).sum()) for one in both) == sorted(int((one == 300).sum()) for one in drawn) == [0, 1]


def test_the_start_is_what_both_have_in_common(client):
    a, b, start = (array(client, "scan_1", query) for query in ("?of=A", "?of=B", ""))
    assert np.array_equal(start, np.where(a == b, a, 0))
    assert np.array_equal(array(client, "scan_1", "?of=model"), start)


def test_a_case_one_reader_rejected_starts_from_the_others_labels(client):
    found = client.get("case/scan_3").json()
    verdicts = {one["name"]: one["verdict"] for one in found["readings"]}
    assert sorted(verdicts.values()) == ["corrected", "rejected"]
    left = next(name for name, verdict in verdicts.items() if verdict == "corrected")
    gone = next(name for name, verdict in verdicts.items() if verdict == "rejected")
    assert np.array_equal(array(client, "scan_3"), array(client, "scan_3", f"?of={left}"))
    assert not array(client, "scan_3", f"?of={gone}").any()


def test_accepting_the_start_records_it_as_a_revision(client, out):
    start = array(client, "scan_1")
    assert client.judge("scan_1", kind="accept", revision=0).json()["state"] == "accepted"
    assert np.array_equal(array(client, "scan_1"), start)
    with open_store(out) as store:
        case = store.case("scan_1", "Cem")
        assert (case.verdict.revision, case.newest.origin) == (case.revision, ADJUDICATED)
        assert store.case("scan_1", "Ada").verdict.revision == 1
    assert client.draw("scan_0", (0, 0, 0), 1).status_code == 200
    assert (
        client.judge("scan_0", kind="accept", revision=client.get("case/scan_0").json()["revision"]).status_code == 200
    )


def test_whoever_settled_is_no_independent_reader(client, out, tmp_path):
    client.judge("scan_1", kind="accept", revision=0)
    found = agreement(out, tmp_path / "to", n_bootstrap=100)
    assert found.summary["not_independent"] == {"Cem": ["scan_1"]}


def test_readings_are_given_only_where_they_are_settled(out):
    with serving(out, reviewer="Cem", blind=True) as client:
        assert client.get("case/scan_1/labels?of=A").status_code == 422
        assert client.get("case/scan_1").json()["readings"] == []


def test_who_may_settle_what(out):
    with open_store(out) as store:
        for readers, reviewer, said in (
            (("Ada", "Bob"), "Ada", "Ada is one of the two"),
            (("Ada",), "Cem", "between two readers"),
            (("Ada", "Ann"), "Cem", "--adjudicate Ann: nobody of that name"),
        ):
            with pytest.raises(UsageError, match=said):
                open_adjudication(store, readers, reviewer=reviewer)


def test_a_reader_whom_a_proxy_names_settles_nothing_of_their_own(out):
    with serving(out, reviewer="Cem", adjudicate=("Ada", "Bob"), trust_header="X-User") as client:
        address = f"{client.at}/api/worklist"
        for who, code in (("Ada", 403), ("Cem", 200)):
            answer = requests.get(address, headers={"X-User": who}, timeout=30)
            assert answer.status_code == code
            assert ("Let a third person settle" in answer.text) == (code == 403)
