"""Facts about names: the sacrum anchors L5, one pinned name moves all, unknown when unsure."""

from __future__ import annotations

import numpy as np
import pytest

from vertebrometer.anatomy import LEVELS, level_rank
from vertebrometer.errors import SettingsError
from vertebrometer.segmentation.naming import end_chance, name_levels, sequences


def looks(*levels, sure=0.0):
    """What bodies look like: a uniform guess, or with weight on one level."""
    out = []
    for level in levels:
        chance = np.full(len(LEVELS), (1 - sure) / len(LEVELS))
        if level is not None:
            chance[level_rank(level)] += sure
        out.append(np.log(chance))
    return out


def neighbours(count):
    return [1] * (count - 1)


def test_the_sacrum_below_the_last_body_makes_it_l5():
    # Hardly told apart by their looks, the bodies have only the sacrum to go by.
    levels = ("T12", "L1", "L2", "L3", "L4", "L5")
    faint = looks(*levels, sure=0.08)
    assert name_levels(faint, neighbours(6), sacrum_below_last=1.0).levels == levels
    assert name_levels(faint, neighbours(6), sacrum_below_last=0.0).levels == (None,) * 6


def test_without_a_sacrum_and_without_looks_nothing_is_named():
    naming = name_levels(looks(*[None] * 6), neighbours(6), sacrum_below_last=0.0)
    assert naming.levels == (None,) * 6
    assert naming.confidence < 0.3


@pytest.mark.parametrize(("sure", "named"), [(0.8, False), (0.999, True)])
def test_without_a_sacrum_only_bodies_that_surely_look_like_themselves_are_named(sure, named):
    levels = ("T8", "T9", "T10", "T11", "T12", "L1")
    naming = name_levels(looks(*levels, sure=sure), neighbours(6), sacrum_below_last=0.0)
    assert naming.levels == (levels if named else (None,) * 6)
    # Looks alone may all be one level off; with the sacrum below them they are believed.
    ends = ("T12", "L1", "L2", "L3", "L4", "L5")
    assert name_levels(looks(*ends, sure=sure), neighbours(6), sacrum_below_last=1.0).levels == ends


@pytest.mark.parametrize("bodies", [6, 10])
def test_above_a_sacrum_looks_that_are_all_one_level_off_name_nothing_wrongly(bodies):
    # Each body most likely looks like the level above its own, and next likely like its own.
    plain = sequences("plain")
    last = plain.index("L5")
    off, right = (plain[last - bodies + 1 - shift : last + 1 - shift] for shift in (1, 0))
    told = []
    for wrong, own in zip(off, right, strict=True):
        chance = np.full(len(LEVELS), 0.15 / len(LEVELS))
        chance[level_rank(wrong)] += 0.72
        chance[level_rank(own)] += 0.13
        told.append(np.log(chance))
    named = name_levels(told, neighbours(bodies), sacrum_below_last=0.99).levels
    assert named in (tuple(right), (None,) * bodies)


def test_looks_say_whether_the_spine_ends_with_the_last_body():
    lumbar = ("L1", "L2", "L3", "L4", "L5")
    ends = end_chance(looks(*lumbar, sure=0.9), neighbours(5))
    # A sixth lumbar body is rare, not impossible.
    assert 0.85 < ends < 0.99
    assert end_chance(looks(*lumbar[:-1], sure=0.9), neighbours(4)) < 0.1
    assert end_chance(looks("T10", "T11", "T12", sure=0.9), neighbours(3)) < 0.01
    # Bodies that look like nothing say nothing.
    assert end_chance(looks(*[None] * 5), neighbours(5)) < 0.1
    assert end_chance([], []) == 0.0


def test_bodies_that_disagree_stay_unknown():
    guesses = looks("T8", "T10", "T9", "T12", sure=0.5)
    naming = name_levels(guesses, neighbours(4), sacrum_below_last=0.0)
    assert naming.levels == (None,) * 4


def test_a_missed_body_keeps_its_name():
    seen = ("L1", "L2", "L4", "L5")
    naming = name_levels(looks(*seen, sure=0.15), [1, 2, 1], sacrum_below_last=1.0)
    assert naming.levels == seen


@pytest.mark.parametrize("place", range(5))
def test_one_pinned_body_names_all(place):
    levels = ("T10", "T11", "T12", "L1", "L2")
    naming = name_levels(
        looks(*[None] * 5), neighbours(5), sacrum_below_last=0.0, pinned={place: levels[place]}
    )
    assert naming.levels == levels
    assert naming.confidence == 1.0


def test_a_reader_outweighs_the_looks():
    guesses = looks("T10", "T11", "T12", sure=0.9)
    naming = name_levels(guesses, neighbours(3), sacrum_below_last=0.0, pinned={0: "T9"})
    assert naming.levels == ("T9", "T10", "T11")


def test_six_lumbar_and_thirteen_thoracic_bodies_are_legal():
    six = ("L2", "L3", "L4", "L5", "L6")
    assert name_levels(looks(*six, sure=0.95), neighbours(5), sacrum_below_last=1.0).levels == six
    # Without the sacrum in view looks alone must be very sure.
    more = ("T11", "T12", "T13", "L1", "L2")
    assert name_levels(looks(*more, sure=0.9999), neighbours(5), sacrum_below_last=0.0).levels == more


def test_variants_are_rare_where_nothing_speaks_for_them():
    naming = name_levels(looks(*[None] * 8), neighbours(8), sacrum_below_last=1.0)
    assert not {"L6", "T13"} & set(naming.levels)


def test_pins_that_contradict_each_other_are_refused():
    with pytest.raises(SettingsError, match="1=L1, 2=L3"):
        name_levels(looks(None, None), [1], sacrum_below_last=0.0, pinned={0: "L1", 1: "L3"})


def test_a_name_for_a_body_that_was_not_found_says_how_many_were():
    with pytest.raises(SettingsError, match=r"body 9 .* L1, but 2 bodies were found"):
        name_levels(looks(None, None), [1], sacrum_below_last=0.0, pinned={8: "L1"})


def test_a_name_that_no_spine_has_there_says_how_many_levels_lie_round_it():
    # A spine has six levels above C7.
    with pytest.raises(SettingsError, match=r"body 10 can't be C7: .* 9 levels above it and 2 below"):
        name_levels(looks(*[None] * 12), neighbours(12), sacrum_below_last=0.0, pinned={9: "C7"})


def test_no_bodies_no_names():
    assert name_levels([], [], sacrum_below_last=1.0).levels == ()


@pytest.mark.parametrize("variant", ["plain", "L6", "T13", "no L5"])
def test_every_variant_ends_at_the_sacrum_and_has_no_name_twice(variant):
    spine = sequences(variant)
    assert spine[-1] == "S1"
    assert len(spine) == len(set(spine))
    ranks = [level_rank(level) for level in spine]
    assert ranks == sorted(ranks)
