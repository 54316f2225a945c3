"""The schedule of the learning rate."""

import pytest

from benchmark.training.schedule import rate_at


def test_the_learning_rate_warms_up_and_falls_to_0() -> None:
    rates = [rate_at(share / 1000, 0.1) for share in range(1001)]
    assert rates[0] == 0
    assert max(rates) == rates[100] == 1
    assert rates[1000] == pytest.approx(0)
    assert rates[550] == pytest.approx(0.5)
    assert rate_at(1.0, 1.0) == 1.0
