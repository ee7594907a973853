"""A real archive, Orthanc with its DICOMweb plugin, on loopback."""

import base64
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peer_tools import tool

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "me", "secret"


@dataclass(frozen=True)
class Orthanc:
    """A running archive: its DIMSE address, the root of its DICOMweb service, as `medseg push` takes them, its site."""

    dicom: str
    web: str
    http: str

    def ask(self, path: str) -> Any:
        """Answer of Orthanc's own REST interface."""
        request = urllib.request.Request(self.http + path)
        request.add_header("Authorization", self.login)
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    @property
    def login(self) -> str:
        """What the HTTP header Authorization must hold."""
        return "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_orthanc(folder: Path, **more: object) -> Iterator[Orthanc]:
    """Start an archive that keeps its files in a folder; skips the test where it is not installed."""
    program = tool("Orthanc")
    if not PLUGIN.is_file():
        pytest.skip("Orthanc's DICOMweb plugin is not installed (apt-get install orthanc-dicomweb)")
    http, dicom = free_port(), free_port()
    settings = {
        "Name": "medseg-test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": http,
        "DicomPort": dicom,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomAlwaysAllowStore": True,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "UnknownSopClassAccepted": True,
        "OverwriteInstances": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        **more,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        for _ in range(150):
            try:
                with (
                    socket.create_connection(("127.0.0.1", dicom), 1),
                    socket.create_connection(("127.0.0.1", http), 1),
                ):
                    break
            except OSError:
                assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
                time.sleep(0.2)
        root = f"http://127.0.0.1:{http}"
        yield Orthanc(f"dicom://127.0.0.1:{dicom}/ORTHANC", f"{root}/dicom-web", root)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(30)
