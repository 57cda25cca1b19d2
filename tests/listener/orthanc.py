"""Debian's Orthanc as the PACS of a house, on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.listener.harness import until
from tests.store.postgres import free_port

PLUGINS = Path("/usr/share/orthanc/plugins")
FORWARD = """
function OnStoredInstance(id, tags, meta, origin)
  if tags['Modality'] == 'CR' and origin['RequestOrigin'] ~= 'Lua' then SendToModality(id, 'vc') end
end
"""


class Orthanc:
    """One running Orthanc."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.http, self.dicom = folder, free_port(), free_port()

    @property
    def web(self) -> str:
        """Root of its DICOMweb service."""
        return f"http://127.0.0.1:{self.http}/dicom-web"

    def destination(self, *, kind: str = "dicom") -> str:
        """Its lines in a node's settings."""
        if kind == "stow":
            return f'[[destinations]]\nname = "orthanc"\nkind = "stow"\nurl = "{self.web}"\n'
        return (
            f'[[destinations]]\nname = "orthanc"\nkind = "dicom"\nhost = "127.0.0.1"\nport = {self.dicom}\n'
            'ae_title = "ORTHANC"\n'
        )

    def get(self, path: str):
        """Ask its REST interface."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            return json.loads(answer.read())


@contextmanager
def running_orthanc(folder: Path, *, node_port: int, forwards: bool) -> Iterator[Orthanc]:
    program = shutil.which("Orthanc")
    if program is None or not (PLUGINS / "libOrthancDicomWeb.so").exists():
        pytest.skip("Orthanc is missing: scripts/install-pacs-tools.sh")
    orthanc = Orthanc(folder)
    (folder / "forward.lua").write_text(FORWARD)
    settings = {
        "Name": "VC-TEST",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(PLUGINS / "libOrthancDicomWeb.so"), str(PLUGINS / "libOrthancGdcm.so")],
        "RemoteAccessAllowed": False,
        "HttpPort": orthanc.http,
        "DicomAet": "ORTHANC",
        "DicomPort": orthanc.dicom,
        "AuthenticationEnabled": False,
        "OverwriteInstances": False,
        "StableAge": 2,
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "DicomModalities": {
            "vc": ["VCNODE", "127.0.0.1", node_port],
            "self": ["MOVESCU", "127.0.0.1", node_port],
        },
        "LuaScripts": [str(folder / "forward.lua")] if forwards else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Host": "127.0.0.1", "Ssl": False},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder
        )
    try:
        until(lambda: orthanc.get("/system"), seconds=30, what="for Orthanc")
        yield orthanc
    finally:
        process.terminate()
        process.wait(30)
