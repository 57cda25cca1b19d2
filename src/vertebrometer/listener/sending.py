"""Bringing results to one destination: retries with growing pauses, until each has arrived."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from vertebrometer.errors import SettingsError, StoreError
from vertebrometer.listener.logs import say, warn, words_of
from vertebrometer.listener.metrics import Metrics
from vertebrometer.listener.senders import RefusedError, Sender, UnreachableError, sender_for
from vertebrometer.listener.settings import Destination, Retry
from vertebrometer.store import ClaimedDelivery, Store

IDLE_S: Final = 0.5
_LEASE_S: Final = 300.0
_DAY_S: Final = 86_400.0


def pause_s(tries: int, retry: Retry, *, chance: Callable[[], float] = random.random) -> float:
    """Return how long to wait after the n-th failure: doubled each time, a quarter of it by chance."""
    pause = min(retry.first_s * 2.0 ** min(tries - 1, 30), retry.longest_s)
    return pause * (0.75 + 0.25 * chance())


class Courier:
    """The thread that serves one destination."""

    def __init__(
        self,
        destination: Destination,
        retry: Retry,
        *,
        data: Path,
        store: Store,
        metrics: Metrics,
        node: str,
        calling_ae: str,
        sender: Sender | None = None,
    ) -> None:
        self.destination, self.retry = destination, retry
        self._store, self._metrics = store, metrics
        self._owner = f"{node}:courier:{destination.name}"
        self._sender = sender or sender_for(destination, data, calling_ae=calling_ae)
        self._stopping = threading.Event()
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name=f"to {destination.name}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, *, wait_s: float) -> None:
        """End after the film under way."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(wait_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                pause = 0.0 if self.send_once() else IDLE_S
            except StoreError as error:
                warn("store_trouble", error=error.code)
                pause = 1.0
            except Exception as error:  # noqa: BLE001 (an edge: the other films must go on)
                warn("courier_trouble", destination=self.destination.name, error=words_of(error))
                pause = self.retry.first_s
            if self._failures:
                # One silent destination is one pause, not one for each film.
                pause = max(pause, pause_s(self._failures, self.retry))
            self._stopping.wait(pause)

    def send_once(self) -> bool:
        """Send what is due of one film; False where nothing is."""
        batch = self._store.deliveries.claim(self.destination.name, self._owner, lease_s=_LEASE_S)
        if not batch:
            return False
        left = {parcel.delivery_id: parcel for parcel in batch}

        def arrived(parcel: ClaimedDelivery, how: str) -> None:
            self._insist(lambda: self._store.deliveries.delivered(parcel, self._owner, how=how))
            del left[parcel.delivery_id]
            self._metrics.sent.labels(self.destination.name, how).inc()
            say(
                "delivered", film=parcel.film_id, kind=parcel.kind, destination=self.destination.name, how=how
            )

        try:
            self._sender.send(batch, arrived)
        except UnreachableError as error:
            self._failures += 1
            self._put_off(list(left.values()), str(error))
        except (RefusedError, SettingsError, OSError) as error:
            self._put_off(
                list(left.values()), str(error) if isinstance(error, RefusedError) else words_of(error)
            )
        else:
            if self._failures:
                self._failures = 0
                say("destination_is_back", destination=self.destination.name)
                self._store.deliveries.hurry(self.destination.name)
        return True

    def _put_off(self, parcels: list[ClaimedDelivery], why: str) -> None:
        self._metrics.not_sent.labels(self.destination.name).inc()
        now = time.time()
        late = [parcel for parcel in parcels if now - parcel.made_at > self.retry.give_up_days * _DAY_S]
        for parcel in late:
            self._insist(partial(self._store.deliveries.failed, parcel, self._owner, error=why))
            warn("gave_up", film=parcel.film_id, kind=parcel.kind, destination=self.destination.name, why=why)
        rest = [parcel for parcel in parcels if parcel not in late]
        if not rest:
            return
        wait = pause_s(max(parcel.tries for parcel in rest), self.retry)
        warn(
            "not_delivered",
            film=rest[0].film_id,
            destination=self.destination.name,
            why=why,
            again_in_s=round(wait, 1),
        )
        self._insist(
            lambda: self._store.deliveries.postpone(rest, self._owner, until=time.time() + wait, error=why)
        )

    def _insist(self, act: Callable[[], None]) -> None:
        """Write down what became of an object, however long the store is locked."""
        while True:
            try:
                return act()
            except StoreError as error:
                if self._stopping.is_set():
                    raise
                warn("store_trouble", error=error.code)
                self._stopping.wait(0.5)
