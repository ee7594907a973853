"""The page docs/how-to/node.md as it stands there, with Orthanc of Debian's package as sender and archive."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pydicom
import pytest
import yaml
from node_peers import happens, send
from page_commands import page_block
from peers.orthanc import PASSWORD, USER, free_port, running_orthanc
from service.node.test_node import another, served

from medseg.cli.app import run
from medseg.service.node.load import load_node
from medseg.service.node.status import status

pytestmark = pytest.mark.peers
PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "node.md"


def block(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]


@pytest.fixture
def site(tmp_path):
    """Orthanc and the configuration of a node that it sends to, as the page has them but for ports and waiting."""
    settings, archive = yaml.safe_load(block("yaml")), json.loads(block("json"))
    settings |= {"port": free_port(), "http": f"127.0.0.1:{free_port()}", "quiet_seconds": 2}
    archive["DicomModalities"]["medseg"][2] = settings["port"]
    for key in ("StorageDirectory", "IndexDirectory", "DicomPort", "HttpPort", "Name"):
        del archive[key]
    (tmp_path / "orthanc").mkdir()
    with running_orthanc(tmp_path / "orthanc", **archive) as orthanc:
        settings["destinations"]["archive"] = orthanc.dicom
        config = tmp_path / "node.yaml"
        config.write_text(json.dumps(settings))
        yield orthanc, config


def send_to_node(orthanc, series: str) -> dict:
    """Ask the archive to send a series to the node, as the page does, with the login of this archive."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed (apt-get install curl)")
    (command,) = page_block("docs/how-to/node.md", "curl http://127.0.0.1:8043/modalities/medseg/store -d SERIES")
    words = command.with_names({"http://127.0.0.1:8043": orthanc.http, "SERIES": series}).words
    login = ["--fail", "--silent", "--user", f"{USER}:{PASSWORD}"]
    return json.loads(subprocess.run([*words, *login], capture_output=True, check=True).stdout)


def results(orthanc) -> list[dict]:
    return [one for one in orthanc.ask("/series?expand") if one["MainDicomTags"]["Modality"] in ("SEG", "SR")]


def test_orthanc_sends_a_series_and_gets_its_results_back_once(site, crop, tmp_path):
    orthanc, config = site
    folder = another(crop, tmp_path / "series")
    assert run(["serve", "check", str(config), str(folder)]) == 0
    assert run(["push", str(folder), "--to", orthanc.dicom, "--quiet"]) == 0
    (series,) = orthanc.ask("/series")
    with served(config) as node:
        node.is_listening()
        assert send_to_node(orthanc, series)["FailedInstancesCount"] == 0
        assert happens(lambda: len(results(orthanc)) == 2, 120), config.with_suffix(".log").read_text()

        def committed() -> bool:
            return status(load_node(config)).deliveries["archive"]["committed"] == 2

        assert happens(committed, 60)
        # Sent back by the archive, as a rule of it may do: kept and ignored.
        for result in results(orthanc):
            send_to_node(orthanc, result["ID"])
        assert run(["serve", "status", "--config", str(config)]) == 0
    assert len(results(orthanc)) == 2
    assert {len(one["Instances"]) for one in results(orthanc)} == {1}


def test_results_go_to_dicomweb(site, crop, tmp_path, monkeypatch):
    orthanc, config = site
    monkeypatch.setenv("MEDSEG_PACS_PASSWORD", PASSWORD)
    settings = json.loads(config.read_text())
    settings |= {"destinations": {"archive": orthanc.web}, "users": {"archive": USER}, "commitment": False}
    config.write_text(json.dumps(settings))
    with served(config) as node:
        node.is_listening()
        assert set(send(node.port, sorted(another(crop, tmp_path / "series").iterdir()))) == {0x0000}
        assert happens(lambda: len(results(orthanc)) == 2, 120), config.with_suffix(".log").read_text()
        assert happens(lambda: status(load_node(config)).deliveries["archive"]["sent"] == 2, 30)


def test_two_senders_and_a_kill_give_one_result_a_series(site, crop, tmp_path):
    orthanc, config = site
    folders = [another(crop, tmp_path / f"{n}") for n in range(2)]
    with served(config) as node:
        node.is_listening()
        for folder in folders:
            assert set(send(node.port, sorted(folder.iterdir()))) == {0x0000}
        assert happens(lambda: any((config.parent / "node-data" / "work").iterdir()), 60)
        node.kill()
    with served(config) as node:
        node.is_listening()
        assert happens(lambda: len(results(orthanc)) == 4, 180)
    studies = {str(pydicom.dcmread(next(folder.iterdir())).StudyInstanceUID) for folder in folders}
    found = orthanc.ask("/studies?expand")
    assert {one["MainDicomTags"]["StudyInstanceUID"] for one in found} == studies
