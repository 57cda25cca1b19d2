"""Errors arrive whole from the process in which they happened."""

import inspect
import pickle

import pytest

from vertebrometer import errors
from vertebrometer.errors import UnknownNameError, VertebrometerError

ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, VertebrometerError) and kind is not UnknownNameError
]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_travels_between_processes(kind):
    there = pickle.loads(pickle.dumps(kind("film-01.dcm has no pixels")))
    assert type(there) is kind
    assert str(there) == "film-01.dcm has no pixels"


def test_an_unknown_name_travels_with_what_is_known():
    error = UnknownNameError(kind="weights", name="spines", known=["points", "coarse"])
    there = pickle.loads(pickle.dumps(error))
    assert (str(there), there.known) == (str(error), ("coarse", "points"))
