"""Kills, full disks and crowds: nothing is lost, nothing is done twice.

Each has a short form for every run and a long one, marked slow, with the figures of the specification.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.listener.harness import Pacs, a_film, memory_mb, until

LONG = pytest.mark.slow


@pytest.mark.parametrize(
    ("films", "kills"), [pytest.param(12, 3, id="short"), pytest.param(200, 20, id="long", marks=LONG)]
)
def test_a_node_that_is_killed_again_and_again_loses_nothing_and_does_nothing_twice(
    make_node, pacs, films, kills
):
    chance = random.Random(6)
    node = make_node(more=pacs.destination())
    node.environment["FAKE_SECONDS"] = "0.05"
    node.start()
    sent: list[str] = []

    def send_all() -> None:
        # As a modality does: what was not answered with success is sent again.
        for number in range(films):
            film = a_film()
            while node.send(film) != [0]:
                time.sleep(0.1)
            sent.append(film.SOPInstanceUID)
            if films > 100:
                # So that films come for as long as the node is killed.
                time.sleep(0.05 * (number % 10))

    sender = threading.Thread(target=send_all)
    sender.start()
    for _ in range(kills):
        time.sleep(chance.uniform(0.1, 3.0))
        node.kill()
        node.start(lets_us_in=False)
    sender.join(600)
    until(
        lambda: node.deliveries() == {("pacs", "delivered"): 3 * films},
        seconds=60 + films,
        what=f"{node.states()} {node.deliveries()}",
    )
    assert len(sent) == films
    assert node.states() == {"measured": films}
    with node.store() as store:
        assert sorted(key for key, _ in store.films.all_reports()) == sorted(sent)
    assert len(pacs.got) == 3 * films
    assert set(pacs.got.values()) == {1}
    assert len(list((node.data / "films").glob("*/*"))) == films
    assert len(list((node.data / "results").glob("*/*.dcm"))) == 3 * films
    assert list((node.data / "parts").iterdir()) == []


@pytest.mark.parametrize("seconds", [pytest.param(60, id="long", marks=LONG)])
def test_a_destination_that_is_down_for_a_minute_loses_nothing(make_node, seconds):
    pacs = Pacs()
    node = make_node(more=pacs.destination()).start()
    end = time.monotonic() + seconds
    films = 0
    while time.monotonic() < end:
        assert node.send(a_film()) == [0]
        films += 1
        time.sleep(2)
    with pacs:
        until(lambda: node.deliveries() == {("pacs", "delivered"): 3 * films}, seconds=60)
        assert set(pacs.got.values()) == {1}


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.getuid() != 0:
        pytest.skip("a small disk can only be mounted by root")
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=30m", "none", str(folder)], check=False
    ).returncode:
        pytest.skip("a small disk cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path, *, leave_kb: int = 0) -> Path:
    """Fill a disk but for some room; returns the file to delete again."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 4096)
    if leave_kb:
        os.truncate(filler, filler.stat().st_size - leave_kb * 1024)
    return filler


def test_a_full_disk_is_said_and_got_over_without_hands(make_node, pacs, small_disk):
    node = make_node()
    node.data = small_disk / "data"
    node.write(more=pacs.destination())
    node.start()
    filler = fill(small_disk)
    refused, film = node.send(a_film()), a_film()
    assert refused in ([], [0xA700], [-1])
    filler.unlink()
    filler = fill(small_disk, leave_kb=400)
    until(lambda: node.send(film) == [0], seconds=30)
    until(lambda: any(line["event"] == "job_postponed" for line in node.lines()), seconds=30)
    assert node.echo()
    filler.unlink()
    until(lambda: node.deliveries() == {("pacs", "delivered"): 3}, seconds=40)
    assert node.states() == {"measured": 1}
    assert set(pacs.got.values()) == {1}
    assert node.metric("vertebrometer_workers_died_total") == 0


@pytest.mark.parametrize("count", [pytest.param(15, id="short"), pytest.param(100, id="long", marks=LONG)])
def test_many_associations_at_once_are_all_served(make_node, count):
    node = make_node().start()
    films = [a_film() for _ in range(count)]
    answers: list[list[int]] = []
    together = threading.Barrier(count)

    def send_one(film) -> None:
        together.wait(60)
        answers.append(node.send(film))

    threads = [threading.Thread(target=send_one, args=(film,)) for film in films]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == [[0]] * count
    until(lambda: node.states() == {"measured": count}, seconds=120)


@pytest.mark.parametrize("seconds", [pytest.param(3, id="short"), pytest.param(60, id="long", marks=LONG)])
def test_ten_films_a_second_are_taken_while_measuring_lags(make_node, seconds):
    node = make_node()
    # Slower than films come, as on a small machine.
    node.environment["FAKE_SECONDS"] = "0.4"
    node.start()
    assert node.send(a_film()) == [0]
    wanted = 10 * seconds
    numbers, answers, late = iter(range(wanted)), [], []
    turn, began = threading.Lock(), time.monotonic()

    def send_in_step() -> None:
        while True:
            with turn:
                number = next(numbers, None)
            if number is None:
                return
            film = a_film()
            time.sleep(max(0.0, began + number / 10 - time.monotonic()))
            answers.extend(node.send(film))
            late.append(time.monotonic() - began - number / 10)

    threads = [threading.Thread(target=send_in_step) for _ in range(6)]
    memory = [memory_mb(node.process.pid)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append(memory_mb(node.process.pid))
        time.sleep(0.5)
    took = time.monotonic() - began
    assert answers == [0] * wanted
    assert sum(node.states().values()) == wanted + 1
    assert node.states()["waiting"] > wanted / 4
    settled = memory[len(memory) // 3]
    print(f"{wanted} films in {took:.1f} s, slowest {max(late):.2f} s")
    print(f"memory {settled:.0f} to {memory[-1]:.0f} MB")
    assert took < seconds * 1.1 + 3
    assert memory[-1] < settled + 40
    assert node.echo()
