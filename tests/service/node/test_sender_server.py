"""How a node that is stopped ends its associations: what is being received may end, and nobody holds it up."""

import socket
import struct
import threading
import time
from contextlib import ExitStack

import pydicom
import pytest
from node_peers import config, happens, sender
from node_peers import store as send_one
from small_series import small_series

from medseg.service.node import sender_server
from medseg.service.node.receive import Receiver, listening

# A command that a message's data would follow, of which no byte comes.
HALF = struct.pack(">BBI", 4, 0, 12) + struct.pack(">IB", 8, 1) + b"\x01" + bytes(6)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    source, _ = small_series(tmp_path_factory.mktemp("series"))
    return source.files[0]


@pytest.fixture
def loaded(tmp_path):
    return config(tmp_path, callers=["CT1"])


OTHERS: set[threading.Thread] = set()


@pytest.fixture(autouse=True)
def others():
    """Threads that earlier tests of this process have left, such as those of a pool."""
    OTHERS.clear()
    OTHERS.update(threading.enumerate())


def seconds_to_end(node: ExitStack) -> float:
    """How long the end of a server took, which has left no thread that a process would wait for."""
    began = time.monotonic()
    node.close()
    taken = time.monotonic() - began
    waited_for = [thread for thread in threading.enumerate() if not thread.daemon and thread not in OTHERS]
    assert happens(lambda: not any(thread.is_alive() for thread in waited_for), 1), waited_for
    return taken


def test_a_sender_that_holds_its_association_is_aborted(loaded, incoming, store, image):
    with ExitStack() as node:
        node.enter_context(listening(loaded, Receiver(incoming, loaded.callers)))
        with sender(loaded.port) as link:
            assert send_one(link, image) == 0x0000
            assert seconds_to_end(node) < 2.5
            assert happens(lambda: link.is_aborted, 2)
    assert len(store.rows("select * from objects")) == 1


def test_an_object_half_received_is_waited_for_within_bounds_and_not_taken(loaded, incoming, store, monkeypatch):
    monkeypatch.setattr(sender_server, "FINISH_SECONDS", 0.5)
    with ExitStack() as node:
        node.enter_context(listening(loaded, Receiver(incoming, loaded.callers)))
        with sender(loaded.port) as link:
            link.dul.socket.socket.sendall(HALF)
            time.sleep(0.2)
            assert 0.5 <= seconds_to_end(node) < 3
    assert not store.rows("select * from objects")
    assert not list(incoming.parts.iterdir())


def test_an_object_that_comes_whole_in_time_is_kept_and_answered(loaded, incoming, store, image):
    arrived, may_end = threading.Event(), threading.Event()
    receiver = Receiver(incoming, loaded.callers)
    keep = incoming.keep

    def slowly(arrival):
        arrived.set()
        may_end.wait(10)
        return keep(arrival)

    incoming.keep = slowly
    answers = []
    with ExitStack() as node:
        node.enter_context(listening(loaded, receiver))
        with sender(loaded.port) as link:
            sending = threading.Thread(target=lambda: answers.append(send_one(link, image)))
            sending.start()
            assert arrived.wait(10)
            threading.Timer(0.5, may_end.set).start()
            assert seconds_to_end(node) < sender_server.FINISH_SECONDS + 1
            sending.join(10)
    assert answers == [0x0000]
    [row] = store.rows("select instance from objects")
    assert row["instance"] == pydicom.dcmread(image).SOPInstanceUID


def test_a_connection_that_asks_for_nothing_holds_up_no_end(loaded, incoming):
    with ExitStack() as node:
        node.enter_context(listening(loaded, Receiver(incoming, loaded.callers)))
        with socket.create_connection(("127.0.0.1", loaded.port)) as stranger:
            time.sleep(0.2)
            assert seconds_to_end(node) < 2.5
            stranger.settimeout(5)
            assert stranger.recv(1) == b""


def test_a_handshake_that_does_not_come_holds_up_no_end(tmp_path, incoming, certificate):
    loaded = config(
        tmp_path, callers=["CT1"], tls=dict(zip(("certificate", "key"), map(str, certificate), strict=True))
    )
    with ExitStack() as node:
        node.enter_context(listening(loaded, Receiver(incoming, loaded.callers)))
        with socket.create_connection(("127.0.0.1", loaded.port)):
            time.sleep(0.2)
            assert seconds_to_end(node) < 2.5
