"""Arrivals: fixed beforehand, ascending, of one mean rate whatever the shape."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.arrivals import SHAPES, Shape, arrivals


@given(name=st.sampled_from(SHAPES), rate=st.floats(0.5, 500), duration=st.floats(0.1, 20),
       seed=st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_arrivals_ascend_within_the_duration(name, rate, duration, seed):
    times = list(arrivals(Shape(name=name, seed=seed), rate, duration))
    assert times == sorted(times)
    assert all(0.0 <= at < duration for at in times)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_has_the_same_mean_rate(name):
    count = len(list(arrivals(Shape(name=name, period_s=10, duty=0.2), 100.0, 200.0)))
    assert count == pytest.approx(20_000, rel=0.05)


def test_a_burst_comes_only_in_its_share_of_the_period():
    times = list(arrivals(Shape(name="burst", period_s=5.0, duty=0.2), 50.0, 60.0))
    assert all(at % 5.0 < 1.0 + 1e-9 for at in times)


def test_the_same_seed_arrives_alike():
    shape = Shape(name="poisson", seed=4)
    assert list(arrivals(shape, 40, 5)) == list(arrivals(shape, 40, 5))
