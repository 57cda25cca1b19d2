"""Settings of a node, and the small rules that follow from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from vertebrometer.errors import SettingsError
from vertebrometer.listener import read_node_settings
from vertebrometer.listener.sending import pause_s
from vertebrometer.listener.settings import Archive, Retry
from vertebrometer.listener.sources import matches

ROOT = Path(__file__).parents[2]
MINIMUM = '[store]\ndata = "/var/lib/vertebrometer"\n'
DICOM = MINIMUM + "[dicom]\n"


def settings(tmp_path, text):
    path = tmp_path / "node.toml"
    path.write_text(text)
    return read_node_settings(path)


def test_the_shipped_example_is_sound():
    node = read_node_settings(ROOT / "deploy" / "node.toml")
    assert node.dicom is not None
    assert node.destinations


def test_a_store_is_all_that_must_be_given(tmp_path):
    node = settings(tmp_path, MINIMUM)
    assert node.store.database == "sqlite:////var/lib/vertebrometer/store.db"
    assert node.dicom is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "missing"),
        (MINIMUM + 'colour = "red"', "unknown key 'colour'"),
        (DICOM, "allow_ae"),
        (DICOM + "allow_ae = []", "names nobody"),
        (DICOM + 'allow_ae = ["A_TITLE_THAT_IS_TOO_LONG"]', "1 to 16"),
        (DICOM + 'allow_ae = ["*"]\nallow_addresses = ["10.0.0.300"]', "addresses or networks"),
        (DICOM + 'allow_ae = ["*"]\nport = 70000', "between 0 and 65535"),
        (MINIMUM + '[[destinations]]\nname = "x"', "host, port and ae_title"),
        (MINIMUM + '[[destinations]]\nname = "x"\nkind = "fax"', "one of"),
        (MINIMUM + '[[destinations]]\nname = "../x"\nkind = "folder"\nfolder = "/x"', "letters, digits"),
        (
            MINIMUM + '[[destinations]]\nname = "x"\nkind = "stow"\nurl = "u"\nresults = ["png"]',
            "cannot take 'png'",
        ),
        (MINIMUM + 2 * '[[destinations]]\nname = "x"\nkind = "stow"\nurl = "u"\n', "same name"),
        (MINIMUM + '[[archives]]\nname = "x"\nurl = "u"\nview = "("', "regular expression"),
        (MINIMUM + "[measure]\nworkers = 100", "workers 0 to 64"),
        (MINIMUM + "[retry]\nfirst_s = 0", "first_s above 0"),
    ],
)
def test_mistakes_are_named(tmp_path, text, words):
    with pytest.raises(SettingsError, match=words):
        settings(tmp_path, text)


def test_pauses_double_up_to_a_limit():
    retry = Retry(first_s=5, longest_s=60)
    assert [pause_s(n, retry, chance=lambda: 1.0) for n in (1, 2, 3, 4, 5, 50)] == [5, 10, 20, 40, 60, 60]
    assert pause_s(1, retry, chance=lambda: 0.0) == 3.75


@pytest.mark.parametrize(
    ("rules", "found", "taken"),
    [
        ({}, {}, True),
        ({}, {"class": "1.2.840.10008.5.1.4.1.1.2"}, False),
        ({"view": "^(LL|RL)$"}, {"view": "LL"}, True),
        ({"view": "^(LL|RL)$"}, {"view": "AP"}, False),
        ({"view": "^(LL|RL)$"}, {}, False),
        ({"description": "spine|lws"}, {"study_description": "LWS in 2 Ebenen"}, True),
        ({"description": "spine|lws", "body_part": "spine"}, {"series_description": "LWS"}, False),
    ],
)
def test_rules_of_an_archive_choose_films(rules, found, taken):
    names = ("class", "body_part", "view", "series_description", "study_description")
    assert matches(Archive(name="a", url="u", **rules), {**dict.fromkeys(names, ""), **found}) is taken


def test_what_needs_a_restart_is_told_apart(tmp_path):
    old = settings(tmp_path, DICOM + 'allow_ae = ["A"]')
    assert old.needs_restart_for(settings(tmp_path, DICOM + 'allow_ae = ["B"]')) == []
    assert old.needs_restart_for(settings(tmp_path, DICOM + 'allow_ae = ["A"]\nport = 104')) == ["dicom.port"]
    assert old.needs_restart_for(settings(tmp_path, MINIMUM)) == ["dicom"]
