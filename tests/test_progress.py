"""What a fit says of where it is, to a log, a terminal and a file."""

from __future__ import annotations

import io
import logging
import logging.handlers
import sys

import numpy as np
import pytest
from models import QUICK

from maetab import MAEAnomalyDetector, MAEEncoder, MAEImputer, load
from maetab.cli import main
from maetab.progress import Line, Progress, lines, logger, reported

X = np.random.default_rng(0).normal(size=(60, 3)) + np.arange(60)[:, None] / 20


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def plain(monkeypatch):
    """Python as a plain user has it: no log is set up."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)


def clock_of(*times: float):
    left = iter(times)
    return lambda: next(left)


@pytest.mark.parametrize(
    ("estimator", "phases"),
    [
        (
            MAEImputer(guess=QUICK, n_estimators=2),
            ["network", "calibration"],
        ),
        (MAEEncoder(guess=QUICK), ["network", "components"]),
        (MAEAnomalyDetector(guess=QUICK), ["calibration", "calibration of the scores"]),
    ],
)
def test_a_plain_user_reads_on_stderr_what_fit_is_doing(estimator, phases, plain, capfd):
    estimator.set_params(verbose=1, width=8, random_state=0, max_time=1000)
    if not isinstance(estimator, MAEAnomalyDetector):
        estimator.set_params(max_iter=2)
    estimator.fit(X)
    out, err = capfd.readouterr()
    said, places = err.splitlines(), []
    for phase in ["reading the table", "first guess", *phases]:
        places.append(next(i for i, text in enumerate(said) if f": {phase}" in text))
    assert places == sorted(places) and out == ""
    assert all(text.startswith("maetab: ") and text.endswith(" min left") for text in said)


def test_nothing_is_said_without_verbose(plain, capfd):
    MAEImputer(guess=QUICK, max_iter=1, width=8, random_state=0).fit(X)
    assert capfd.readouterr() == ("", "")


def test_a_log_that_listens_gets_the_messages_and_stderr_does_not(capfd, caplog):
    with caplog.at_level(logging.INFO, logger="maetab"):
        MAEImputer(guess=QUICK, max_iter=1, width=8, random_state=0, verbose=1).fit(X)
    assert any("held-out loss" in record.getMessage() for record in caplog.records)
    assert capfd.readouterr() == ("", "")


def test_the_logger_is_left_as_it_was_also_when_fit_is_broken_off(plain, monkeypatch):
    logger = logging.getLogger("maetab")
    before = logger.level, logger.propagate, list(logger.handlers)
    with pytest.raises(ValueError):
        MAEImputer(guess=QUICK, verbose=1).fit(np.zeros((0, 2)))
    assert (logger.level, logger.propagate, list(logger.handlers)) == before


def test_time_left_is_told_by_the_share_done_and_by_the_limit(caplog):
    told = []
    for limit in (float("inf"), 5.0):
        progress = Progress(lambda limit=limit: limit, clock_of(0, 0, 0, 30, 30, 40, 40, 42, 42))
        with caplog.at_level(logging.DEBUG, logger="maetab"):
            progress("network 1 of 2", 0.0)
            progress("network 1 of 2", 0.25)  # a quarter in 30 s leaves 90 s
            progress("network 2 of 2", 0.5)
            progress.record({"epoch": 3, "validation_loss": 0.25})
        told.append([record.getMessage() for record in caplog.records])
        caplog.clear()
    assert told[0][0] == "maetab: network 1 of 2"
    assert told[0][1].endswith("about 90 s left") and told[0][2].endswith("about 40 s left")
    assert told[0][3] == "maetab: network 2 of 2, epoch 3: held-out loss 0.2500, about 42 s left"
    assert all(text.endswith("about 5 s left") for text in told[1])


def test_no_time_is_left_when_the_limit_has_passed(caplog):
    progress = Progress(lambda: -3.0, clock_of(0, 0, 0))
    with caplog.at_level(logging.INFO, logger="maetab"):
        progress("calibration")
    assert [record.getMessage() for record in caplog.records] == [
        "maetab: calibration, about 0 s left"
    ]


def test_steps_in_between_are_told_every_ten_seconds_to_logs_and_often_to_terminals(caplog):
    moments = np.arange(0, 30, 0.1).tolist()
    now = [0.0]
    progress = Progress(lambda: float("inf"), lambda: now[0])
    with caplog.at_level(logging.DEBUG, logger="maetab"):
        for i, now[0] in enumerate(moments):
            progress("network", i / len(moments))
    levels = [record.levelno for record in caplog.records]
    assert levels.count(logging.INFO) == 3
    assert 60 < levels.count(logging.DEBUG) < 110


def message(text: str, level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord("maetab", level, "", 0, text, None, None)


def test_on_a_terminal_one_line_moves_and_is_cleared(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with lines():
        logging.getLogger("maetab").debug("one")
        logging.getLogger("maetab").info("two")
    assert terminal.getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[K"


def test_in_a_file_lines_are_as_rare_as_asked_for(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    line = Line(10.0, clock_of(0, 1, 11, 11, 15, 22, 22))
    for i in range(4):
        line.handle(message(f"line {i}"))
    line.handle(message("never", logging.DEBUG))
    assert file.getvalue() == "line 1\nline 3\n"


def test_the_command_line_shows_a_line_on_terminals_and_keeps_stdout_clean(
    tmp_path, monkeypatch, capsys
):
    table = tmp_path / "in.csv"
    table.write_text("a,b\n" + "".join(f"{i},{'' if i % 5 == 0 else 2 * i}\n" for i in range(60)))
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    model = tmp_path / "model.maetab"
    assert main(["impute", str(table), "-o", "-", "--save", str(model)]) == 0
    shown = terminal.getvalue().split("\r\x1b[K")
    for phase in ("first guess", "network", "calibration", "filling the cells"):
        assert any(phase in text for text in shown), phase
    assert "cells filled" in shown[-1 if shown[-1] else -2]
    assert capsys.readouterr().out.splitlines()[0] == "a,b"
    assert load(model).verbose == 0


@pytest.mark.slow
def test_the_command_line_says_nothing_more_where_it_is_quick_and_stderr_a_file(tmp_path, capsys):
    table = tmp_path / "in.csv"
    table.write_text("a,b\n" + "".join(f"{i},{'' if i % 5 == 0 else 2 * i}\n" for i in range(60)))
    assert main(["impute", str(table), "-o", str(tmp_path / "out.csv")]) == 0
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(["impute", str(table), "-v", "-o", str(tmp_path / "again.csv")]) == 0
    assert "network, epoch" in capsys.readouterr().err


class Broken:
    """A stream whose reader is gone."""

    def isatty(self):
        return False

    def write(self, text):
        raise BrokenPipeError

    def flush(self):
        raise BrokenPipeError


def test_time_left_is_told_only_where_there_is_something_to_tell_it_from(caplog):
    """After two seconds and a fiftieth of the work, whatever there is less of."""
    now = [0.0]
    progress = Progress(lambda: float("inf"), lambda: now[0])
    told = {}
    with caplog.at_level(logging.DEBUG, logger="maetab"):
        for now[0], share in ((0.0, 0.0), (1.9, 0.1), (2.5, 0.1), (12.0, 0.01), (24.0, 0.1)):
            progress("network", share)
            told[now[0]] = caplog.records[-1].getMessage().partition(", about ")[2]
    assert told == {0.0: "", 1.9: "", 2.5: "22 s left", 12.0: "", 24.0: "4 min left"}


def test_a_log_that_listens_gets_the_messages_without_verbose_too(plain, capfd):
    handler = logging.handlers.BufferingHandler(1000)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        MAEImputer(guess=QUICK, max_iter=1, width=8, random_state=0).fit(X)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    said = [record.getMessage() for record in handler.buffer]
    assert said[0] == "maetab: reading the table" and any("held-out loss" in text for text in said)
    assert capfd.readouterr() == ("", "")


def test_a_level_without_a_handler_leaves_the_lines_on_stderr(plain, monkeypatch, capfd):
    monkeypatch.setattr(logger, "propagate", False)  # pytest listens at the root
    logger.setLevel(logging.INFO)
    try:
        MAEImputer(guess=QUICK, max_iter=0, random_state=0, verbose=1).fit(X)
    finally:
        logger.setLevel(logging.NOTSET)
    assert "maetab: first guess" in capfd.readouterr().err


@pytest.mark.parametrize("stream", [None, Broken()])
def test_a_fit_goes_on_where_nothing_can_be_written_to_stderr(monkeypatch, stream):
    X = np.random.default_rng(0).normal(size=(30, 3))
    plain = MAEImputer(guess=QUICK, max_iter=0, random_state=0).fit(X)
    monkeypatch.setattr(sys, "stderr", stream)
    told = MAEImputer(guess=QUICK, max_iter=0, random_state=0, verbose=1).fit(X)
    X[0, 0] = np.nan
    np.testing.assert_array_equal(told.transform(X), plain.transform(X))


def test_verbose_fits_leave_the_logger_alone_while_they_run(capsys):
    before = (logger.level, logger.propagate, list(logger.handlers))
    with reported(1, lambda: 3.0) as progress:
        assert (logger.level, logger.propagate, list(logger.handlers)) == before
        progress("first guess")
    assert "first guess, about" not in capsys.readouterr().out
