import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import permutation_test, spearmanr, ttest_1samp
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from tests.outcomes import as_outcomes, outcomes, relabelled_alike
from worldagen.evaluation.correlation import rank_correlation
from worldagen.evaluation.exact import sign_flip
from worldagen.evaluation.power import can_tell, smallest_detectable_difference, smallest_difference
from worldagen.evaluation.statistics import (
    Comparison,
    PairedDifference,
    compare,
    compare_over,
    holm,
    paired_difference,
    paired_interval,
    rate,
)


def changed(gained: int, lost: int, same: int, seeds: int = 1, each: int | None = None) -> PairedDifference:
    """So many episodes gained, lost and left alone, of the changed ones by `each` of the seeds (None: by all)."""
    each = seeds if each is None else each
    arms = [
        ("s" if seed < each else "f") * gained + ("f" if seed < each else "s") * lost + "s" * same
        for seed in range(seeds)
    ]
    return compare([outcomes(arm) for arm in arms], outcomes("f" * gained + "s" * (lost + same)))


def test_wilson_interval_against_published_values() -> None:
    # Newcombe 1998, Statistics in Medicine 17:857-872, table I, method 3
    for successes, episodes, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)]:
        found = rate(outcomes("s" * successes + "f" * (episodes - successes)))
        assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)
        assert found.value == successes / episodes


def test_crashed_episode_counts_as_failure() -> None:
    assert rate(outcomes("ssfc")).value == 0.5


def test_rate_of_nothing_is_nan() -> None:
    assert math.isnan(rate(()).value)


@pytest.mark.parametrize("gained,lost,pairs", [(7, 3, 40), (0, 1, 44), (12, 2, 50), (0, 0, 12), (6, 0, 30)])
def test_paired_interval_against_the_likelihood(gained: int, lost: int, pairs: int) -> None:
    """At both ends the score statistic, with the constrained estimate found numerically, equals 1.96."""
    for end in paired_interval(gained, lost, pairs):

        def unlikelihood(share: float, end: float = end) -> float:
            cells = [gained, lost, pairs - gained - lost], [share + end, share, 1 - 2 * share - end]
            return -float(xlogy(*cells).sum())

        bounds = (max(0.0, -end) + 1e-12, (1 - end) / 2 - 1e-12)
        share = minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
        score = (gained - lost - pairs * end) / math.sqrt(pairs * (2 * share + end * (1 - end)))
        assert abs(score) == pytest.approx(1.95996, abs=1e-3)


def test_paired_interval_agrees_with_a_bootstrap_when_there_are_many_pairs() -> None:
    gained, lost, pairs = 200, 140, 2000
    draws = np.random.default_rng(0).multinomial(
        pairs, [gained / pairs, lost / pairs, 1 - (gained + lost) / pairs], 20_000
    )
    bootstrap = np.percentile((draws[:, 0] - draws[:, 1]) / pairs, [2.5, 97.5])
    assert paired_interval(gained, lost, pairs) == pytest.approx(bootstrap, abs=1.5e-3)


def test_no_change_still_has_a_width() -> None:
    low, high = paired_interval(0, 0, 12)
    assert low == pytest.approx(-high) and 0.2 < high < 0.3


@pytest.mark.parametrize("gained,lost", [(5, 0), (0, 5)])
def test_every_episode_changed(gained: int, lost: int) -> None:
    low, high = paired_interval(gained, lost, 5)
    assert -1 <= low < high <= 1 and (high == 1.0 or low == -1.0)


def test_mcnemar_is_the_exact_sign_test() -> None:
    found = paired_difference(outcomes("sssssssfff"), outcomes("fffffffsff"))
    assert (found.gained, found.lost) == (7, 1)
    assert found.value == pytest.approx(0.6)
    assert found.p == pytest.approx(2 * (1 + 8) / 2**8)
    assert not found.distinguishable


def test_clear_difference_is_distinguishable_and_none_is_not() -> None:
    better, control = outcomes("s" * 20 + "f" * 10), outcomes("s" * 8 + "f" * 22)
    assert paired_difference(better, control).distinguishable
    same = paired_difference(control, control)
    assert same.p == 1.0 and not same.distinguishable and same.low < 0 < same.high


def test_pairs_are_matched_by_episode_not_by_position() -> None:
    arm, control = outcomes("ssffff"), outcomes("ssffff")
    assert paired_difference(arm[::-1], control).gained == 0


def test_other_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match="different episodes"):
        paired_difference(outcomes("ssf"), outcomes("ssff"))
    with pytest.raises(ValueError, match="different episodes"):
        paired_difference(outcomes("ssf", task="open_drawer"), outcomes("ssf"))
    with pytest.raises(ValueError, match="twice"):
        paired_difference(outcomes("ss") + outcomes("s"), outcomes("ss"))
    with pytest.raises(ValueError, match="at least one"):
        paired_difference((), ())


def test_holm_over_arms() -> None:
    control = outcomes("f" * 30)
    arms = [outcomes("s" * n + "f" * (30 - n)) for n in (8, 7, 6, 0)]
    found = holm([paired_difference(arm, control) for arm in arms])
    raw = [2 / 2**8, 2 / 2**7, 2 / 2**6, 1.0]
    assert [each.p for each in found] == pytest.approx(raw)
    assert [each.p_corrected for each in found] == pytest.approx([4 * raw[0], 3 * raw[1], 2 * raw[2], 1.0])
    assert [each.distinguishable for each in found] == [True, True, False, False]
    assert paired_difference(arms[2], control).distinguishable, "on its own, the third would have been"
    assert holm([]) == []


def test_holm_is_that_of_statsmodels() -> None:
    counts = [(9, 1), (3, 3), (8, 0), (1, 6), (12, 2), (2, 2), (0, 8)]
    found = [changed(*pair, 30) for pair in counts]
    expected = multipletests([each.p for each in found], method="holm")[1]
    assert [each.p_corrected for each in holm(found)] == pytest.approx(list(expected))


def test_seeds_are_averaged_before_they_are_compared() -> None:
    control = outcomes("ssff")
    found = compare([outcomes("sfsf"), outcomes("sssf"), outcomes("sfff")], control)
    assert (found.seeds, found.episodes, found.gained, found.lost) == (3, 4, 1, 1)
    assert found.value == pytest.approx((0 - 2 / 3 + 2 / 3 + 0) / 4)
    assert rate(outcomes("ss"), outcomes("sf")).value == 0.75


def test_seeds_of_the_same_episodes_do_not_narrow_the_interval_of_a_rate() -> None:
    one, three = rate(outcomes("ssff")), rate(outcomes("ssff"), outcomes("sfsf"), outcomes("ffss"))
    assert (three.low, three.high) == pytest.approx((one.low, one.high))
    assert (three.successes, three.episodes) == (6, 12)


@pytest.mark.parametrize("gained,lost,unchanged", [(7, 1, 20), (9, 2, 0), (3, 3, 10), (0, 0, 5), (40, 90, 2000)])
def test_both_exact_tests_of_one_seed_are_mcnemars(gained: int, lost: int, unchanged: int) -> None:
    change = np.repeat([1, -1, 0], [gained, lost, unchanged])
    expected = float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue) if gained + lost else 1.0
    assert sign_flip(change) == pytest.approx(expected) == relabelled_alike(change, change < 0, seeds=1)


def test_sign_flips_are_those_of_scipy() -> None:
    change = np.array([3, -1, 2, 2, 0, 1, 3, -2, 1, 1, 0, 2])
    expected = permutation_test((change[change != 0],), np.sum, permutation_type="samples", vectorized=True)
    assert sign_flip(change) == pytest.approx(expected.pvalue)


def test_what_adds_up_to_nothing_is_nothing() -> None:
    """Thirds do not add up to zero in floating point: an arm without effect would be one that loses."""
    control = as_outcomes(np.array([True, False, False]))
    thirds = [[True, True, False], [True, False, False], [False, False, False]]
    same = compare([as_outcomes(np.array(each)) for each in thirds], control)
    assert same.value == 0 and (same.gained, same.lost) == (1, 1)
    up, down = ([[True], [False], [False]], [[True], [True], [False]])
    settings = [
        Comparison("s", [as_outcomes(np.array(each)) for each in arms], as_outcomes(np.array([before])))
        for arms, before in ((up, False), (down, True))
    ]
    both = compare_over(settings)
    assert (both.value, both.gained, both.lost) == (0, 0, 0)
    alike_in_sum = [{0: 1 / 3, 1: -1 / 3}, {0: 2 / 3, 1: 1 / 3 - 1}, {0: -1 / 3, 1: 1 / 3}, {0: 0.1 + 0.2, 1: -0.3}]
    assert math.isnan(rank_correlation([1, 2, 3, 4], alike_in_sum, "abcd").value)


def test_interval_over_seeds_is_that_of_a_t_test_when_there_are_many_episodes() -> None:
    rng = np.random.default_rng(0)
    arms, control = rng.random((3, 600)) < 0.6, as_outcomes(rng.random(600) < 0.55)
    found = compare([as_outcomes(arm) for arm in arms], control)
    expected = ttest_1samp(arms.mean(0) - [each.success for each in control], 0)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)), abs=3e-3)
    assert found.p == pytest.approx(expected.pvalue, abs=0.05)


def test_few_changed_episodes_over_seeds_still_have_a_width() -> None:
    found = changed(1, 0, 59, seeds=3, each=1)
    assert found.low < -0.02 and found.high > 0.04 and found.p == 1.0
    everything = changed(40, 0, 0, seeds=3)
    assert 0.8 < everything.low < 1 and everything.distinguishable


@pytest.mark.parametrize(
    "gained,lost,same,seeds,each", [(5, 0, 95, 1, 1), (9, 2, 89, 1, 1), (7, 0, 93, 2, 1), (9, 0, 91, 3, 1)]
)
def test_interval_and_p_agree_on_zero(gained: int, lost: int, same: int, seeds: int, each: int) -> None:
    """These are the cases where the score interval, or the sign-flip test, alone would have claimed a difference."""
    found = changed(gained, lost, same, seeds, each)
    assert found.p > 0.05 and found.low <= 0 < found.high and not found.distinguishable


def test_p_is_as_small_as_so_many_comparisons_need() -> None:
    """Two hundred pairs of which ninety are lost, beside 377 other arms."""
    worst = changed(0, 90, 110, seeds=2)
    assert holm([worst, *[changed(0, 0, 200, seeds=2)] * 377])[0].distinguishable


def test_seeds_on_other_episodes_are_refused() -> None:
    with pytest.raises(ValueError, match="different episodes"):
        compare([outcomes("ss"), outcomes("sss")], outcomes("ss"))
    with pytest.raises(ValueError, match="at least one"):
        compare([], outcomes("ss"))


def test_settings_that_share_initial_states_are_no_more_episodes_than_one() -> None:
    before, after = outcomes("f" * 12 + "s" * 8), outcomes("s" * 11 + "f" + "s" * 8)
    alone = compare([after], before)
    twice = compare_over([Comparison("calvin_d", [after], before)] * 2)
    assert (twice.episodes, twice.value) == (alone.episodes, alone.value)
    assert twice.p == pytest.approx(alone.p, abs=0.01) and twice.low == pytest.approx(alone.low, abs=0.1)
    other = compare_over([Comparison("calvin_d", [after], before), Comparison("calvin_a", [after], before)])
    assert other.episodes == 2 * alone.episodes and other.p < alone.p
    unmoved = compare_over([Comparison("calvin_d", [after], before), Comparison("calvin_d", [before], before)])
    assert unmoved.value == pytest.approx(alone.value / 2)


def test_churn_is_what_changed_to_both_sides() -> None:
    assert paired_difference(outcomes("sssffff"), outcomes("fffsfff")).churn == pytest.approx(2 / 7)


def test_initial_states_count_once_whatever_their_seed() -> None:
    before, after = outcomes("f" * 6 + "s" * 14), outcomes("s" * 20)
    again = [tuple(replace(each, seed=1) for each in arm) for arm in (after, before)]
    found = compare_over([Comparison("calvin_d", [after], before), Comparison("calvin_d", [again[0]], again[1])])
    assert found.episodes == 20 and found.p == pytest.approx(compare([after], before).p)


def test_what_an_average_over_seeds_could_find_is_what_whole_changes_need() -> None:
    """Of 12 pairs 11 have to change alike at 27 comparisons, however many seeds are averaged."""
    assert smallest_difference([changed(1, 1, 10, seeds=2)] * 27) == smallest_difference([changed(1, 1, 10)] * 27)
    assert smallest_difference([changed(0, 0, 5, seeds=3)]) is None
    ten = changed(10, 0, 0, seeds=3)
    assert can_tell(ten, 25) and not can_tell(ten, 27)
    assert ten.p * 25 < 0.05 < ten.p * 27


def alike(values: np.ndarray, states: int = 50) -> list[dict[object, float]]:
    """Changes of success that every initial state shows alike."""
    return [dict.fromkeys(range(states), float(value)) for value in values]


def test_rank_correlation_draws_whole_clusters() -> None:
    rng = np.random.default_rng(0)
    x = np.repeat(np.arange(10.0), 5)
    y = x + np.repeat(rng.normal(scale=4, size=10), 5) + rng.normal(scale=0.1, size=50)
    clustered = rank_correlation(x, alike(y), [index // 5 for index in range(50)])
    alone = rank_correlation(x, alike(y), list(range(50)))
    assert clustered.value == pytest.approx(spearmanr(x, y).statistic)
    assert alone.value == clustered.value
    assert clustered.high - clustered.low > 1.3 * (alone.high - alone.low)
    assert (clustered.arms, clustered.clusters, clustered.states) == (50, 10, 50)


def test_rank_correlation_that_rests_on_one_initial_state_is_no_finding() -> None:
    """Forty arms lose more, the further they drift, but all of it in one of twelve states."""
    drift = np.arange(40.0)
    one = [{state: -value if state == 0 else 0.0 for state in range(12)} for value in drift]
    found, every = rank_correlation(drift, one, range(40)), rank_correlation(drift, alike(-drift, 12), range(40))
    assert found.value == every.value == pytest.approx(-1)
    assert every.distinguishable and not found.distinguishable
    assert found.high == 0.0


def test_rank_correlation_over_arms_of_other_initial_states() -> None:
    """Each arm's average is over its own states."""
    changes = [{0: 0.0, 1: 0.2, 2: 0.1}, {1: 0.5, 2: 0.5, 3: 0.5}, {2: 0.6, 3: 0.7, 4: 0.8}, {0: 0.9, 3: 1.0}]
    found = rank_correlation([1, 2, 3, 4], changes, "abcd")
    assert found.value == pytest.approx(1) and found.states == 5


def test_rank_correlation_over_settings_is_that_within_them() -> None:
    """In both settings more drift goes with less success; that the one with more drift succeeds more does not count."""
    drift = np.array([1.0, 2, 3, 4, 11, 12, 13, 14])
    success = np.array([0.4, 0.3, 0.2, 0.1, 0.9, 0.8, 0.7, 0.6])
    names = "aaaabbbb"
    found = rank_correlation(drift, alike(success), range(8), names)
    assert found.value == pytest.approx(-1) and found.distinguishable
    assert rank_correlation(drift, alike(success), range(8)).value > 0
    still = rank_correlation([*drift, 1, 2], alike(np.array([*success, 0, 0])), range(10), [*names, "c", "c"])
    assert (still.value, still.arms) == (pytest.approx(-1), 8), "a setting in which nothing happens says nothing"


def test_rank_correlation_of_what_never_varies_is_nan() -> None:
    assert math.isnan(rank_correlation([1, 2, 3, 4], alike(np.full(4, 5.0)), "abcd").value)
    few = rank_correlation([1, 2, 3], alike(np.array([3, 2, 1])), "aab")
    assert few.value == pytest.approx(-1) and math.isnan(few.low) and not few.distinguishable
    with pytest.raises(ValueError, match="differ in length"):
        rank_correlation([1, 2], alike(np.ones(1)), "ab")
    with pytest.raises(ValueError, match="without initial states"):
        rank_correlation([1, 2], [{}, {}], "ab")


def test_smallest_detectable_difference_shrinks_with_episodes_and_grows_with_arms() -> None:
    alone = [smallest_detectable_difference(n) or 1.0 for n in (12, 30, 60, 200)]
    assert alone == sorted(alone, reverse=True)
    assert alone[1] == pytest.approx(0.25, abs=0.01)
    assert (smallest_detectable_difference(30, comparisons=6) or 0.0) > alone[1]
    assert smallest_detectable_difference(5) is None, "five changes to one side have p = 0.0625"
