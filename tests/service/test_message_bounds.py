"""One message of DIMSE is bounded in time and its command in size, whoever sends it, and pauses between are not."""

import contextlib
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_ECHO_RQ
from pynetdicom.dimse_primitives import C_ECHO
from pynetdicom.dsutils import encode
from pynetdicom.sop_class import Verification

from medseg.service import bounds, pdu_bounds
from medseg.service.node.shared_bounds import SharedBounds
from medseg.service.pdu_bounds import PduBounds

COMMAND, DATA = b"\x01", b"\x00"


@contextmanager
def associated(held: PduBounds) -> Iterator[Association]:
    """Somebody who associates with a server of ours."""
    ours, theirs = AE("OURS"), AE("THEIRS")
    for entity in (ours, theirs):
        entity.add_supported_context(Verification)
        entity.add_requested_context(Verification)
    server = ours.start_server(("127.0.0.1", 0), block=False, evt_handlers=held.handlers)
    link = theirs.associate("127.0.0.1", server.server_address[1])
    assert link.is_established
    try:
        yield link
    finally:
        link.abort()
        server.shutdown()


def part(content: bytes, kind: bytes) -> bytes:
    """A part of a message that is not the last one."""
    value = struct.pack(">IB", len(content) + 2, 1) + kind + content
    return struct.pack(">BBI", 4, 0, len(value)) + value


def sent(link: Association, content: bytes, pause: float = 0.0, most: int = 400) -> int:
    """Send the same again and again until the other side closes; return how often."""
    plain = link.dul.socket.socket
    with contextlib.suppress(OSError):
        for number in range(most):
            plain.sendall(content)
            time.sleep(pause)
            if not link.is_established:
                return number
        return most
    return number


@pytest.mark.parametrize("kind", [PduBounds, lambda: SharedBounds(Path())])
@pytest.mark.parametrize("content", [part(b"", DATA), part(b"ab", DATA), part(b"ab", COMMAND), b"\x04\0\0\0\0\0"])
def test_a_message_that_drips_is_ended(monkeypatch, kind, content):
    monkeypatch.setattr(bounds, "MESSAGE_SECONDS", 0.3)
    held = kind()
    with associated(held) as link:
        assert sent(link, content, pause=0.02) < 400
    assert held.refused == "a message took longer than 0 s"


def test_a_command_without_end_is_ended(monkeypatch):
    monkeypatch.setattr(pdu_bounds, "LARGEST_COMMAND", 1 << 17)
    held = PduBounds()
    with associated(held) as link:
        assert sent(link, part(bytes(1 << 14), COMMAND), pause=0.005) < 400
    assert held.refused == "it sent a command of more than 128 KiB"


def test_data_is_not_taken_for_a_command(monkeypatch):
    monkeypatch.setattr(pdu_bounds, "LARGEST_COMMAND", 1 << 17)
    held = PduBounds()
    with associated(held) as link:
        assert sent(link, part(bytes(1 << 14), DATA), most=20) == 20
    assert held.refused == ""


@pytest.mark.parametrize("held", [PduBounds(), PduBounds(1 << 20), SharedBounds(Path())])
def test_a_pause_between_messages_is_of_none(monkeypatch, held):
    monkeypatch.setattr(bounds, "MESSAGE_SECONDS", 0.2)
    with associated(held) as link:
        for _ in range(3):
            time.sleep(0.3)
            assert link.send_c_echo().Status == 0
    assert held.refused == ""


def test_messages_whose_answers_nobody_waits_for_are_too_many(monkeypatch):
    monkeypatch.setattr(pdu_bounds, "MOST_WAITING", 3)
    held = PduBounds(folder=Path())
    busy = threading.Event()
    held.handlers.append((evt.EVT_C_ECHO, lambda _: 0x0000 if busy.wait(5) else 0x0110))
    echo = C_ECHO_RQ()
    request = C_ECHO()
    request.MessageID, request.AffectedSOPClassUID = 1, Verification
    echo.primitive_to_message(request)
    command = encode(echo.command_set, True, True)
    try:
        with associated(held) as link:
            assert sent(link, part(command, bytes([1 | 2])), pause=0.02, most=50) < 50
    finally:
        busy.set()
    assert held.refused == "it did not wait for answers to what it sent"
