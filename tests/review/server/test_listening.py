"""Where the server listens."""

from __future__ import annotations

import pytest

from medseg.errors import UsageError
from medseg.review.server.listening import allowed_hosts, listen, with_port


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_this_machines_is_said_to_be_one(host: str) -> None:
    with pytest.raises(UsageError, match="this address cannot be used") as error:
        listen(host, 0)
    assert error.value.fix == "Give an address that this machine has, or 0.0.0.0 for all of them."


def test_a_port_that_is_taken_is_said_to_be_so() -> None:
    with listen("127.0.0.1", 0) as taken, pytest.raises(UsageError) as error:
        listen("127.0.0.1", taken.getsockname()[1])
    assert error.value.fix == "Choose another port, or 0 for any that is free."


def test_a_name_is_allowed_as_browsers_send_it() -> None:
    assert allowed_hosts("127.0.0.1", 80, ("Pacs.Example",)) >= {"pacs.example", "pacs.example:80"}
    assert "pacs.example:8443" in allowed_hosts("127.0.0.1", 80, ("pacs.example:8443",))
    assert "[::1]:80" in allowed_hosts("::1", 80, ())


@pytest.mark.parametrize(
    ("name", "shown"),
    [("pacs.example", "pacs.example:80"), ("pacs.example:8443", "pacs.example:8443"), ("::1", "[::1]:80")],
)
def test_an_address_has_one_port(name: str, shown: str) -> None:
    assert with_port(name, 80) == shown
