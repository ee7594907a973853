"""Clicks answered by an nnInteractive server: an imitation of it, by its own client where that is installed."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from nninteractive_server import LICENSE, Bright, Client, serving_nninteractive
from small_nifti import OBLIQUE

from medseg.errors import InputError, MissingDependency, UsageError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Present
from medseg.review.server.assist import ByServer
from medseg.types import Geometry, Scan
from medseg.types.axis_order import nearest_ras

SHAPE, MODULE = (24, 22, 20), "nnInteractive.inference.remote"
HAS_CLIENT = find_spec("nnInteractive") is not None


WITH_CLIENT = pytest.mark.skipif(not HAS_CLIENT, reason="needs nninteractive-client")


@pytest.fixture(params=["imitated client", pytest.param("its client", marks=WITH_CLIENT)])
def served(request, monkeypatch):
    server = Bright()
    if request.param == "its client":
        with serving_nninteractive(server) as address:
            yield server, address
        return
    for name in ("nnInteractive", "nnInteractive.inference", MODULE):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules[MODULE].nnInteractiveRemoteInferenceSession = lambda _address: Client(server)
    yield server, "http://localhost:1527"


def balls():
    """A scan with two bright balls on an oblique grid, and both on the grid nearest RAS."""
    geometry = Geometry(OBLIQUE, SHAPE)
    order = nearest_ras(geometry)
    grid = np.indices(order.select(SHAPE))
    first, second = (((grid - np.reshape(c, (3, 1, 1, 1))) ** 2).sum(axis=0) <= 9 for c in ((7, 7, 7), (15, 14, 12)))
    return Scan(order.undo(100.0 * (first | second))[None].astype(np.float32), geometry, "MR"), first, second


def test_the_server_is_told_what_is_drawn_and_marked_and_its_answer_counts_around_the_marks(served):
    server, address = served
    by = ByServer(address)
    assert LICENSE in by.name
    assert by.trail()["clicks_license"] == LICENSE
    assert server.leases == 0, "what was asked for at the start is given back"
    scan, first, second = balls()
    session = by.open(scan, nearest_ras(scan.geometry).geometry(scan.geometry))
    assert server.leases == 1
    assert np.array_equal(server.image[0] > 50, first | second)
    present = np.zeros(first.shape, bool)
    present[2, 2, 2] = True
    marks = [Interaction(np.array([[12, 2, 2], [13, 2, 2]]), is_outside=True), Interaction(np.array([[7, 7, 7]]))]
    answer = session.answer(Present((0, 0, 0), present), marks)
    assert np.array_equal(answer.is_class, first | present), "the other ball has no mark"
    names = [told[0] for told in server.told]
    assert names == ["image", "reset", "mask", "scribble", "point"]
    assert server.told[2:] == [("mask", 1, False), ("scribble", 2, False, False), ("point", [7, 7, 7], True, True)]
    assert set(server.told[0][2]) == {"spacing"}, "nothing of the scan but its voxels and their size"
    by.give_back(session)
    assert server.leases == 0


def test_a_server_that_is_full_or_gone_is_said_in_a_sentence(served):
    server, address = served
    by = ByServer(address)
    server.leases = 1
    scan, *_ = balls()
    with pytest.raises(InputError, match="did not answer as it should"):
        by.open(scan, scan.geometry)


@pytest.mark.parametrize(
    ("address", "says"),
    [("localhost:1527", "is no address"), ("http://10.0.0.7:1527", "in the clear"), ("ftp://host", "is no address")],
)
def test_scans_are_sent_nowhere_in_the_clear(address, says):
    with pytest.raises(UsageError, match=says):
        ByServer(address)


@pytest.mark.skipif(HAS_CLIENT, reason="its client is installed")
def test_without_the_client_it_is_said_how_to_install_it():
    with pytest.raises(MissingDependency, match="client of nnInteractive") as caught:
        ByServer("https://localhost:1527")
    assert "medseg[assist]" in caught.value.fix
