"""Damaged files and damaged PDUs: no crash, no hang, no file outside its folder."""

from __future__ import annotations

import random
import socket
import threading
import time
from pathlib import Path

import pytest

from tests.listener.harness import a_film, until
from tests.radiographs.makers import save
from tests.store.postgres import free_port

LONG = pytest.mark.slow
SLOWEST_S = 5.0
SYNTAXES = (
    b"1.2.840.10008.1.2",
    b"1.2.840.10008.1.2.4.70",
    b"1.2.840.10008.1.2.5",
    b"1.2.840.10008.1.2.1.99",
    b"9.9",
)
NASTY = (b"../../../../tmp/escaped", b"/etc/passwd\0", b"\xff" * 16, b"\0" * 16, b"1.2.3\\4.5.6")


def mutated(content: bytes, chance: random.Random, *, head: int) -> bytes:
    """Damage bytes in one to four ways, mostly in their first part."""
    out = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(min(len(out), head)) if chance.random() < 0.9 else chance.randrange(len(out))
        way = chance.randrange(6)
        if way == 0:
            out[at] ^= 1 << chance.randrange(8)
        elif way == 1:
            out[at : at + 4] = chance.choice((0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)).to_bytes(4, "little")
        elif way == 2:
            del out[max(1, at) :]
        elif way == 3:
            del out[at : at + chance.randint(1, 40)]
        elif way == 4:
            out[at:at] = chance.randbytes(chance.randint(1, 40))
        else:
            out[at : at + 16] = chance.choice(NASTY)
        if not out:
            out = bytearray(b"\0")
    return bytes(out)


@pytest.mark.parametrize("count", [pytest.param(60, id="short"), pytest.param(1000, id="long", marks=LONG)])
def test_damaged_files_are_measured_or_refused_and_nothing_breaks(make_node, tmp_path, count):
    chance = random.Random(6)
    films = tmp_path / "films"
    films.mkdir()
    whole = save(a_film(), tmp_path / "whole.dcm").read_bytes()
    for number in range(count):
        content = whole
        if number % 4 == 0:
            content = content.replace(b"1.2.840.10008.1.2.1", chance.choice(SYNTAXES).ljust(19, b"\0"), 1)
        (films / f"{number}.dcm").write_bytes(mutated(content, chance, head=1200))
    different = len({path.read_bytes() for path in films.iterdir()})
    node = make_node(more=f'[[watch]]\nname = "w"\nfolder = "{films}"\nevery_s = 0.3\n', workers=1)
    node.environment["FAKE_SECONDS"] = "0"
    node.start()

    def all_done() -> bool:
        states = node.states()
        looked_at = sum(line["event"] == "film_found" for line in node.lines())
        return looked_at == count and set(states) <= {"measured", "not_measured"}

    until(all_done, seconds=30 + count / 2, what=str(count))
    assert sum(node.states().values()) <= different
    assert max(line["seconds"] for line in node.lines() if line["event"] == "film_done") < SLOWEST_S
    assert node.metric("vertebrometer_workers_died_total") == 0
    assert node.echo()
    assert not Path("/tmp/escaped").exists()
    assert {path.name for path in node.folder.iterdir()} == {"data", "node.toml", "node.log"}
    assert {path.name for path in tmp_path.iterdir()} >= {"films"}


def recorded(node) -> bytes:
    """What a sender says in a whole association, taken down between it and the node."""
    port, said = free_port(), bytearray()
    listener = socket.create_server(("127.0.0.1", port))

    def pass_on() -> None:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", node.port))

        def back() -> None:
            while chunk := server.recv(65536):
                client.sendall(chunk)

        threading.Thread(target=back, daemon=True).start()
        while chunk := client.recv(65536):
            said.extend(chunk)
            server.sendall(chunk)
        server.close()

    relay = threading.Thread(target=pass_on, daemon=True)
    relay.start()
    from tests.listener.harness import SENDER, send

    assert send(port, a_film(), calling=SENDER, called="VCNODE") == [0]
    relay.join(10)
    listener.close()
    return bytes(said)


@pytest.mark.parametrize("count", [pytest.param(60, id="short"), pytest.param(1000, id="long", marks=LONG)])
def test_damaged_pdus_do_no_harm(make_node, count):
    chance = random.Random(7)
    node = make_node().start()
    whole = recorded(node)
    slowest = 0.0
    for number in range(count):
        content = mutated(whole, chance, head=1500)
        with socket.create_connection(("127.0.0.1", node.port), timeout=2 * SLOWEST_S) as connection:
            began = time.monotonic()
            try:
                connection.sendall(content)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except TimeoutError:
                pytest.fail(f"connection {number} hung")
            except OSError:
                # The node closed first, which is its right.
                pass
            slowest = max(slowest, time.monotonic() - began)
        if number % 100 == 99:
            assert node.echo()
    assert slowest < SLOWEST_S
    assert node.echo()
    assert node.process.poll() is None
    threads = Path(f"/proc/{node.process.pid}/task")
    until(lambda: len(list(threads.iterdir())) < 40, seconds=10, what="for threads to end")
    film = a_film()
    assert node.send(film) == [0]
    until(lambda: "waiting" not in node.states() and "running" not in node.states(), seconds=60)
    assert {path.name for path in node.folder.iterdir()} == {"data", "node.toml", "node.log"}
    assert {path.name for path in node.data.iterdir()} <= {
        "films", "parts", "results", "n1.lock", "store.db", "store.db-wal", "store.db-shm",
    }  # fmt: skip
