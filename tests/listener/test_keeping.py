"""Retention: what is deleted, and when."""

from __future__ import annotations

import os
import time

import pytest

from tests.listener.harness import a_film
from tests.radiographs.makers import save
from vertebrometer.errors import UnreadableFileError
from vertebrometer.listener.inbox import Inbox, NotTheFilmItSaysError
from vertebrometer.listener.keeping import tidy
from vertebrometer.listener.settings import Retention
from vertebrometer.store import Finished, JobState, Store


@pytest.fixture
def inbox(tmp_path):
    store = Store.open(f"sqlite:///{tmp_path / 'data' / 'store.db'}")
    yield Inbox(tmp_path / "data", store), store, tmp_path / "data"
    store.close()


def taken(box, film, **kwargs):
    part = box.new_part()
    save(film, part)
    return box.take(part, source="dicom:X@127.0.0.1", **kwargs)


def test_films_are_deleted_when_their_time_is_over_and_not_before(inbox):
    box, store, data = inbox
    taken(box, a_film())
    job = store.jobs.claim("w", lease_s=60)
    assert tidy(store, data, Retention(measured_days=1e-9, failed_days=1e-9)) == 0
    store.jobs.finish(job, "w", Finished(state=JobState.NOT_MEASURED, report="{}", reason="wrong_view"))
    assert tidy(store, data, Retention(measured_days=0, failed_days=0)) == 0
    assert tidy(store, data, Retention(measured_days=1)) == 0
    assert (data / job.stored).exists()
    time.sleep(0.01)
    assert tidy(store, data, Retention(measured_days=1e-9)) == 1
    assert not (data / job.stored).exists()
    assert [entry.detail for entry in store.audit.entries(event="film_purged")] == [{"why": "retention"}]


def test_what_senders_that_broke_off_left_is_deleted_after_an_hour(inbox):
    box, store, data = inbox
    old, fresh = box.new_part(), box.new_part()
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    tidy(store, data, Retention())
    assert (old.exists(), fresh.exists()) == (False, True)


def test_a_purged_film_that_comes_again_is_not_kept(inbox):
    box, store, data = inbox
    film = a_film()
    taken(box, film)
    job = store.jobs.claim("w", lease_s=60)
    store.jobs.finish(job, "w", Finished(state=JobState.MEASURED, report="{}"))
    time.sleep(0.01)
    tidy(store, data, Retention(measured_days=1e-9))
    assert not taken(box, film).is_new
    assert list((data / "films").glob("*/*")) == []


def test_overlays_of_other_nodes_are_told_from_phantoms(inbox):
    box, *_ = inbox
    overlay = a_film(Manufacturer="vertebrometer", SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    assert taken(box, overlay).film_id is None
    assert taken(box, a_film(Manufacturer="vertebrometer")).is_new


def test_an_object_must_be_the_one_that_was_announced(inbox):
    box, _, data = inbox
    with pytest.raises(NotTheFilmItSaysError):
        taken(box, a_film(), announced_uid="1.2.3")
    part = box.new_part()
    part.write_bytes(b"nonsense")
    with pytest.raises(UnreadableFileError):
        box.take(part, source="x", announced_uid="1.2.3")
    assert list((data / "films").glob("*/*")) == []
    assert list((data / "parts").iterdir()) == []
