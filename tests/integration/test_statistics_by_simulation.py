"""Error rates and power of the tests are what they are said to be, seen over simulated experiments."""

import numpy as np
import pytest

from tests.outcomes import as_outcomes, outcomes, relabelled_alike
from worldagen.evaluation.exact import relabelled
from worldagen.evaluation.power import smallest_detectable_difference, smallest_difference
from worldagen.evaluation.statistics import Comparison, PairedDifference, compare, compare_over, paired_difference


def test_relabelling_is_what_drawing_labels_gives() -> None:
    rng, seeds = np.random.default_rng(0), 3
    runs = rng.random((30, seeds + 1)) < np.linspace(0.1, 0.9, 30)[:, None]
    runs[:14, :seeds] = True
    change, sums = runs[:, :seeds].sum(1) - seeds * runs[:, seeds], []
    for _ in range(20_000):
        control = runs[np.arange(30), rng.integers(seeds + 1, size=30)]
        sums.append((runs.sum(1) - (seeds + 1) * control).sum())
    assert relabelled_alike(change, runs[:, seeds], seeds) == pytest.approx(
        np.mean(np.abs(sums) >= abs(change.sum())), abs=0.01
    )


def test_relabelling_of_episodes_that_count_differently() -> None:
    """Ten episodes of one run each that count twice, thirty of three runs that count once."""
    rng = np.random.default_rng(1)
    seeds, weight = np.repeat([1, 3], [10, 30]), np.repeat([2, 1], [10, 30])
    runs = rng.random((40, 4)) < 0.6
    solved = np.array([own[: n + 1].sum() for own, n in zip(runs, seeds, strict=True)])

    def total(control: np.ndarray) -> np.ndarray:
        return (weight * (solved - (seeds + 1) * control)).sum()

    drawn = [total(runs[np.arange(40), [rng.integers(n + 1) for n in seeds]]) for _ in range(5_000)]
    control = runs[:, 0].astype(int)
    found = relabelled(solved - (seeds + 1) * control, control, seeds, weight)
    assert found == pytest.approx(np.mean(np.abs(drawn) >= abs(total(control))), abs=0.02)


@pytest.mark.parametrize("solved", [0.5, 0.97])
def test_many_budgets_as_good_as_the_control_are_rarely_found_otherwise(solved: float) -> None:
    """Over two settings and 27 budgets that scatter by themselves: one control is compared with all of them."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        settings = [
            Comparison("calvin_d", [as_outcomes(rng.random(12) < solved) for _ in range(27)], as_outcomes(control))
            for control in rng.random((2, 12)) < solved
        ]
        difference = compare_over(settings)
        found.append(difference.p < 0.05)
        assert difference.p < 0.05 or difference.low <= 0 <= difference.high
    assert np.mean(found) < 0.09


@pytest.mark.parametrize("agreement", [0.0, 1.0])
@pytest.mark.parametrize("solved", [0.5, 0.97])
def test_seeds_as_good_as_the_control_are_rarely_found_otherwise(agreement: float, solved: float) -> None:
    """Whether they scatter by themselves or all alike: in no more than 5 % of experiments of 60 episodes, 5 seeds."""
    rng, found = np.random.default_rng(0), []
    for _ in range(400):
        arms, alike = rng.random((60, 5)) < solved, rng.random(60) < solved
        arms = np.where(rng.random((60, 1)) < agreement, alike[:, None], arms)
        control = rng.random(60) < solved
        found.append(compare([as_outcomes(arm) for arm in arms.T], as_outcomes(control)).p < 0.05)
    assert np.mean(found) < 0.065


def test_what_an_average_over_settings_could_find_by_simulation() -> None:
    """Settings that change one by one, each to and fro in a tenth of 100 states; the effect comes on top of that."""
    rng, settings, pairs = np.random.default_rng(0), 4, 100

    def together(effect: float) -> PairedDifference:
        control = rng.random((settings, pairs)) < 0.5
        flipped = rng.random((settings, pairs)) < 0.1
        arm = np.where(flipped, ~control, control) | (rng.random((settings, pairs)) < 2 * effect)
        pairs_of = zip(arm, control, strict=True)
        return compare_over([Comparison("calvin_d", [as_outcomes(a)], as_outcomes(c)) for a, c in pairs_of])

    size = smallest_difference([together(0.0)])
    assert size is not None
    assert np.mean([together(size).p < 0.05 for _ in range(300)]) == pytest.approx(0.8, abs=0.12)


def test_smallest_detectable_difference_by_simulation() -> None:
    pairs, churn = 60, 0.2
    size = smallest_detectable_difference(pairs, churn=churn)
    assert size is not None
    shares = [size + churn / 2, churn / 2, 1 - size - churn]
    draws = np.random.default_rng(0).multinomial(pairs, shares, 1000)
    control = outcomes("f" * pairs)
    p_of: dict[tuple[int, int], bool] = {}
    for gained, lost, _ in draws:
        if (gained, lost) not in p_of:
            before = outcomes("f" * gained + "s" * lost + "f" * (pairs - gained - lost))
            after = outcomes("s" * gained + "f" * (pairs - gained))
            p_of[gained, lost] = paired_difference(after, before).distinguishable
    power = np.mean([p_of[gained, lost] for gained, lost, _ in draws])
    assert power == pytest.approx(0.8, abs=0.04)
    assert paired_difference(control, control).p == 1.0
