"""States are saved so often that it costs at most 2 % of the time and loses at most a minute."""

from itertools import pairwise

import pytest

from benchmark.training.state_timer import StateTimer


@pytest.mark.parametrize(
    ("step", "save", "interval"),
    [(0.1, 0.01, 10), (0.1, 0.5, 25), (7, 0.01, 14), (7, 1, 50), (0.1, 3, 57), (25, 2, 50)],
)
def test_the_interval_follows_the_measured_duration(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    step: float,
    save: float,
    interval: float,
) -> None:
    clock = 100.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    timer = StateTimer()
    timer.start()
    begun, spent = [], 0.0
    while clock < 1000:
        clock += step
        if timer.is_due():
            begun.append(clock)
            with timer.saving():
                clock += save
                spent += save
    lost = max(after - before + save for before, after in pairwise(begun))
    assert lost <= 60.001
    assert begun[3] - begun[2] == pytest.approx(interval, abs=step + save)
    warned = "Saving the state took" in capsys.readouterr().err
    assert warned == (save > 1.2)
    assert warned or spent <= 0.021 * (clock - 100)


def test_a_state_is_due_before_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 100.0
    monkeypatch.setattr("time.monotonic", lambda: clock)
    timer = StateTimer()
    assert not timer.is_due(30)
    assert timer.is_due(61)
