"""TLS with client certificates."""

from __future__ import annotations

import ssl

import pytest

from tests.listener.certificates import make_authority, make_certificate
from tests.listener.harness import a_film, until


@pytest.fixture
def tls_node(make_node, tmp_path):
    authority, stranger = make_authority(tmp_path, "house"), make_authority(tmp_path, "street")
    server, server_key = make_certificate(tmp_path, "server", authority)
    node = make_node(
        dicom=f'[dicom.tls]\ncertificate = "{server}"\nkey = "{server_key}"\nclient_ca = "{authority}"\n'
    ).start(lets_us_in=False)
    return node, authority, stranger, tmp_path


def client(authority, pair=None) -> tuple[ssl.SSLContext, str]:
    context = ssl.create_default_context(cafile=str(authority))
    if pair:
        context.load_cert_chain(*pair)
    return context, "127.0.0.1"


def test_a_client_with_our_certificate_may_send(tls_node):
    node, authority, _, folder = tls_node
    pair = make_certificate(folder, "modality", authority)
    assert node.send(a_film(), tls=client(authority, pair)) == [0]


def test_a_wrong_or_missing_certificate_is_refused_and_audited(tls_node):
    node, authority, stranger, folder = tls_node
    foreign = make_certificate(folder, "foreign", stranger)
    for tls in (client(authority), client(authority, foreign), None):
        assert node.send(a_film(), tls=tls) == []
    until(lambda: len(node.audit("association_refused")) == 3)
    assert {detail["why"] for detail in node.audit("association_refused")} == {"certificate"}
    assert node.states() == {}
    pair = make_certificate(folder, "modality", authority)
    assert node.send(a_film(), tls=client(authority, pair)) == [0]
