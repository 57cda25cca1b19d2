"""Nodes that are ended, and whose logs are searched for patients, after each test."""

from __future__ import annotations

import gc

import pytest

for _module in ("pynetdicom", "highdicom", "dicomweb_client", "sqlalchemy", "alembic", "prometheus_client"):
    pytest.importorskip(_module)

from tests.listener.harness import Node, Pacs, identity_in  # noqa: E402 (after what it needs)


@pytest.fixture(autouse=True)
def collect_sockets():
    yield
    # Here, where their warnings are ignored, and not at the end of the run.
    gc.collect()


@pytest.fixture
def pacs():
    with Pacs() as running:
        yield running


@pytest.fixture
def make_node(tmp_path):
    made: list[Node] = []

    def make(**sections) -> Node:
        folder = tmp_path / f"node{len(made)}"
        folder.mkdir()
        made.append(Node(folder, **sections))
        return made[-1]

    yield make
    for node in made:
        node.kill()
        if node.log.exists():
            assert identity_in(node.log.read_text()) == []
            assert all(line["event"] != "program_error" for line in node.lines())


def pytest_collection_modifyitems(items):
    for item in items:
        if "tests/listener" in item.nodeid:
            # The senders in these tests use pynetdicom, which leaves sockets of refused associations open.
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
            item.add_marker(pytest.mark.filterwarnings("ignore:Invalid value for VR"))
