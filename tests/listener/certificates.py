"""A certificate authority of our own, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make_authority(folder: Path, name: str) -> Path:
    """Make a certificate authority; returns its certificate."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is missing")
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-addext", "keyUsage=keyCertSign,cRLSign",
             "-keyout", str(key), "-out", str(certificate))  # fmt: skip
    return certificate


def make_certificate(folder: Path, name: str, authority: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1, signed by the authority; returns it and its key."""
    key, request, certificate = (folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
    extensions = folder / f"{name}.ext"
    extensions.write_text("subjectAltName=IP:127.0.0.1\n")
    _openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        f"/CN={name}",
        "-keyout",
        str(key),
        "-out",
        str(request),
    )
    authority_key = str(authority.with_suffix(".key"))
    _openssl("x509", "-req", "-in", str(request), "-CA", str(authority), "-CAkey", authority_key,
             "-CAcreateserial", "-days", "2", "-extfile", str(extensions),
             "-out", str(certificate))  # fmt: skip
    return certificate, key


def _openssl(*words: str) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True)
