import multiprocessing
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

import medseg
from medseg.cluster import connection as connection_module
from medseg.cluster import driver
from medseg.cluster.connection import OnCluster, connected
from medseg.cluster.messages import Failed, WrongToken
from medseg.errors import Interrupted, MissingDependency, ResourceLimit, UsageError

SILENT, GONE = object(), object()


@pytest.fixture
def driver_that_answers(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that puts a driver in the place of Ray's, which gives one answer after another."""

    def put(*answers: object) -> SimpleNamespace:
        ours, theirs = multiprocessing.Pipe()
        left = list(answers)

        def send(_message: object) -> None:
            answer = left.pop(0)
            if answer is GONE:
                theirs.close()
            elif answer is not SILENT:
                theirs.send(answer)

        process = SimpleNamespace(wait=lambda: 1, kill=lambda: left.append("killed"))
        child = SimpleNamespace(connection=ours, send=send, process=process, left=left)

        @contextmanager
        def child_process(_module: str) -> Iterator[SimpleNamespace]:
            yield child

        monkeypatch.setattr(connection_module, "ChildProcess", child_process)
        monkeypatch.setattr(connection_module, "require_ray", lambda: None)
        for name in ("SECONDS_TO_CONNECT", "SECONDS_TO_END"):
            monkeypatch.setattr(connection_module, name, 0.5)
        return child

    return put


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (SILENT, r"--ray host:1: no Ray cluster answers there \(nothing was heard for 0\.5 s\)\. Look on that machine"),
        (GONE, r"no Ray cluster answers there \("),
        (
            Failed("Connection refused"),
            r"no Ray cluster answers there \(Connection refused\)\. Look .*--head --port 1`",
        ),
        (WrongToken(), r"has another token than this process\. Set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN"),
    ],
)
def test_where_no_cluster_is_one_sentence_says_so_in_time_and_no_driver_stays(answer, words, driver_that_answers):
    child = driver_that_answers(answer)
    began = time.monotonic()
    with pytest.raises(UsageError, match=words), connected(OnCluster("host:1")):
        pass
    assert time.monotonic() - began < 5
    assert child.left == ["killed"]


def test_a_request_to_stop_is_heard_while_a_cluster_does_not_answer(driver_that_answers):
    child = driver_that_answers(None, SILENT)
    with pytest.raises(Interrupted, match="SIGTERM"), connected(OnCluster("host:1")) as cluster:
        cluster.stops = ["SIGTERM"]
        cluster.places()
    assert cluster.is_lost  # nothing more is asked
    assert child.left == ["killed"]


def test_a_cluster_that_is_lost_says_so_once_and_then_at_once(driver_that_answers):
    driver_that_answers(None, GONE)
    with connected(OnCluster("host:1")) as cluster:
        with pytest.raises(ResourceLimit, match=r"--ray host:1: the connection to the Ray cluster was lost \(") as lost:
            cluster.places()
        assert lost.value.exit_code == 4
        with pytest.raises(ResourceLimit, match="lost before"):
            cluster.places()
        cluster.end()  # of no more interest


def test_without_ray_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_module, "find_spec", lambda name: None)
    with pytest.raises(
        MissingDependency, match=r"`ray`: Ray is not installed\. pip install 'medseg\[ray\]'"
    ) as missing:
        medseg.predict(tmp_path, "hippocampus", tmp_path / "out", ray="auto")
    assert missing.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_cpus_of_workers_are_for_a_cluster(tmp_path):
    with pytest.raises(UsageError, match=r"Add `ray` auto, or omit it"):
        medseg.predict(tmp_path, "hippocampus", tmp_path / "out", worker_cpus=2)


def test_an_address_where_nothing_listens_is_refused_before_ray_tries_for_minutes():
    with pytest.raises(ConnectionRefusedError):
        driver._check_listening("127.0.0.1:1")
    with pytest.raises((OSError, OverflowError)):
        driver._check_listening("127.0.0.1:99999")
    for other in ("auto", "local"):
        driver._check_listening(other)  # for Ray to say


def test_auto_is_the_address_in_the_environment_and_refused_there_as_quickly(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(ConnectionRefusedError):
        driver._check_listening("auto")


@pytest.mark.parametrize(
    ("address", "words"),
    [
        *[
            (
                wrong,
                "it is no address of a Ray cluster. Write auto, local, or the address that `ray start --head` printed",
            )
            for wrong in (
                "",
                "foo",
                "127.0.0.1",
                ":6379",
                "host:abc",
                "host:70000",
                "host:0",
                "http://host:8265",
                "[::1]",
            )
        ],
        ("ray://host:10001", "a Ray client cannot run a batch. Run medseg on a machine of the cluster"),
    ],
)
def test_what_is_no_address_is_said_to_be_none_before_any_process_starts(address, words, monkeypatch):
    monkeypatch.setattr(connection_module, "require_ray", lambda: None)
    monkeypatch.setattr(connection_module, "ChildProcess", lambda *_: pytest.fail("it started a process"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(UsageError, match=re.escape(words)), connected(OnCluster(address)):
        pass
    monkeypatch.setenv("RAY_ADDRESS", address)
    if address:
        with (
            pytest.raises(UsageError, match=f"--ray auto, RAY_ADDRESS {re.escape(address)}"),
            connected(OnCluster("auto")),
        ):
            pass


def test_what_ray_says_of_a_token_is_known_by_its_words():
    cause = RuntimeError("InvalidAuthToken: Authentication token is missing or incorrect")
    error = ConnectionError("Failed to connect")
    assert not driver._is_of_token(error)
    error.__cause__ = cause
    assert driver._is_of_token(error)
