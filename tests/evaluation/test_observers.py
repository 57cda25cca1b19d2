"""Facts about readers, checked against published worked examples."""

import json

import pytest
from typer.testing import CliRunner

from tests.evaluation.test_agreement import SHROUT_FLEISS
from vertebrometer.errors import MissingFileError, SettingsError
from vertebrometer.evaluation.observers import (
    ReadingRow,
    agreement_as_markdown,
    between_readers,
    read_readings,
    within_readers,
)

# Peak flow, two readings by each of two meters: Bland & Altman, Lancet 1986;i:307-10, table 1.
LARGE = (
    [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427],
    [490, 397, 512, 401, 470, 611, 415, 431, 638, 429, 420, 633, 275, 492, 165, 372, 421],
)
MINI = (
    [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451],
    [525, 415, 508, 444, 500, 625, 460, 390, 642, 432, 420, 605, 227, 467, 268, 370, 443],
)


def peak_flow():
    return [
        ReadingRow(str(subject), reader, float(values[subject]))
        for reader, both in (("large", LARGE), ("mini", MINI))
        for values in both
        for subject in range(17)
    ]


def test_repeatability_repeats_the_published_example():
    large, mini = within_readers(peak_flow())
    # "The coefficient of repeatability": 43.2 and 56.4 l/min there, with 2 for 1.96.
    assert large.repeatability == pytest.approx(43.2 * 1.96 / 2, abs=0.1)
    assert mini.repeatability == pytest.approx(56.4 * 1.96 / 2, abs=0.1)
    assert (large.subjects, large.readings, large.left_out) == (17, 2, 0)


def test_readers_agree_as_in_the_published_example():
    rows = [
        ReadingRow(f"target {n}", f"judge {m}", float(value))
        for n, values in enumerate(SHROUT_FLEISS)
        for m, value in enumerate(values)
    ]
    found = between_readers(rows)
    assert found.icc_2_1.value == pytest.approx(0.29, abs=0.005)
    assert found.icc_3_1.value == pytest.approx(0.71, abs=0.005)
    assert len(found.pairs) == 6


def test_limits_of_agreement_are_of_the_means_of_each_reader():
    # First readings alone have a bias of -2.1 (test_agreement.py); means of both have less scatter.
    found = between_readers(peak_flow())
    limits = found.pairs["large", "mini"].limits
    assert limits.bias.value == pytest.approx(-6.0, abs=0.1)
    assert limits.sd < 38.8


def test_what_a_reader_did_not_read_is_left_out_and_counted():
    rows = [*peak_flow(), ReadingRow("18", "large", 400.0)]
    assert between_readers(rows).left_out == 1
    assert within_readers(rows)[0].left_out == 1


def test_a_single_reader_who_read_once_tells_nothing():
    rows = [ReadingRow(str(n), "only", float(n)) for n in range(5)]
    assert within_readers(rows) == []
    assert between_readers(rows) is None
    assert agreement_as_markdown([], None) == ""


def written(tmp_path, text):
    path = tmp_path / "readings.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_missing_column_is_named_with_those_there_are(tmp_path):
    path = written(tmp_path, "film,who,vc\na,x,1\n")
    with pytest.raises(SettingsError, match="no column 'subject'; its columns are film, who, vc"):
        read_readings(path)
    assert read_readings(path, subject="film", reader="who", value="vc") == [ReadingRow("a", "x", 1.0)]


def test_a_value_that_is_no_number_is_told_by_its_line(tmp_path):
    with pytest.raises(SettingsError, match="line 3"):
        read_readings(written(tmp_path, "subject,reader,value\na,x,1\na,x,much\n"))


def test_no_table_and_an_empty_table_are_refused(tmp_path):
    with pytest.raises(MissingFileError):
        read_readings(tmp_path / "none.csv")
    with pytest.raises(SettingsError, match="holds no reading"):
        read_readings(written(tmp_path, "subject,reader,value\n"))


def test_the_command_prints_tables_and_json(tmp_path):
    from vertebrometer.cli import app

    lines = [f"{row.subject},{row.reader},{row.value}" for row in peak_flow()]
    path = written(tmp_path, "subject,reader,value\n" + "\n".join(lines))
    shown = CliRunner().invoke(app, ["agreement", str(path)])
    assert shown.exit_code == 0
    assert "| large | 17 | 2 | 0 |" in shown.output
    told = json.loads(CliRunner().invoke(app, ["agreement", str(path), "--json"]).output)
    assert told["between"]["pairs"][0]["first"] == "large"
