"""Several nodes on one PostgreSQL store and one folder."""

from __future__ import annotations

import threading

import pytest

from tests.listener.harness import a_film, until
from tests.store.postgres import running_postgres

pytestmark = pytest.mark.pacs


def test_two_nodes_share_the_work_and_do_nothing_twice(make_node, pacs, tmp_path_factory):
    with running_postgres(tmp_path_factory.mktemp("postgres")) as url:
        nodes = [make_node(), make_node()]
        nodes[1].data = nodes[0].data
        for number, node in enumerate(nodes, start=1):
            node.write(more=pacs.destination(), name=f"n{number}", url=url)
            node.start()
        films = [a_film() for _ in range(8)]
        answers: list[list[int]] = []
        senders = [
            threading.Thread(target=lambda node=node: answers.append(node.send(*films))) for node in nodes
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(60)
        assert answers == [[0] * 8, [0] * 8]
        until(lambda: nodes[0].deliveries() == {("pacs", "delivered"): 24}, seconds=60)
        assert nodes[0].states() == {"measured": 8}
        assert set(pacs.got.values()) == {1}
        assert len(list((nodes[0].data / "films").glob("*/*"))) == 8
        nodes[0].kill()
        assert nodes[1].send(a_film()) == [0]
        until(lambda: nodes[1].deliveries() == {("pacs", "delivered"): 27}, seconds=60)
        assert nodes[1].stop() == 0
