"""Every check of arguments accepts its domain, and names argument, value and remedy outside it."""

from collections import UserList, deque
from functools import partial

import numpy as np
import pytest

from rs_lib import arguments


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (arguments.numbers, [-1.5, 0, np.inf]),
        (partial(arguments.probabilities, rounding="down"), [0, 0.5, 1]),
        (arguments.positive, [5e-324, 1, 1e308]),
        (arguments.nonnegative, [0, 2.5]),
        (arguments.level, [5e-324, 0.5, np.nextafter(1, 0)]),
    ],
)
def test_a_value_of_the_domain_comes_back_as_float64(check, good):
    result = check("x", good)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, np.asarray(good, dtype=np.float64))


@pytest.mark.parametrize(
    ("check", "bad", "shown", "remedy"),
    [
        (arguments.numbers, "half", "'half'", "real numbers"),
        (arguments.numbers, [[1], [1, 2]], "1, 2", "real numbers"),
        (arguments.numbers, [0.5, np.nan], "NaN", "real numbers"),
        (partial(arguments.probabilities, rounding="up"), [0.5, 1.25], "1.25", "[0, 1]"),
        (partial(arguments.probabilities, rounding="up"), -0.5, "-0.5", "[0, 1]"),
        (arguments.positive, [1, 0], "0", "positive finite"),
        (arguments.positive, np.inf, "inf", "positive finite"),
        (arguments.nonnegative, -2, "-2", "not negative"),
        (arguments.nonnegative, np.inf, "inf", "finite"),
        (arguments.integers, 2.5, "2.5", "whole numbers"),
        (arguments.integers, -1, "-1", "at least 0"),
        (arguments.integers, np.inf, "inf", "whole numbers"),
        (arguments.level, 0, "0", "strictly between 0 and 1"),
        (arguments.level, 1, "1", "strictly between 0 and 1"),
    ],
)
def test_the_error_names_argument_value_and_remedy(check, bad, shown, remedy):
    with pytest.raises(ValueError, match=r"^depth ") as caught:
        check("depth", bad)
    message = str(caught.value)
    assert shown in message
    assert remedy in message


@pytest.mark.parametrize("kind", [list, tuple, deque, UserList])
@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_a_masked_array_is_refused_however_deep_it_stands(depth, kind):
    value = np.ma.array([0.0], mask=[True])
    for _ in range(depth):
        value = kind([value])
    with pytest.raises(ValueError, match="x is a masked array"):
        arguments.numbers("x", value)


@pytest.mark.parametrize("kind", [list, tuple, deque, UserList])
@pytest.mark.parametrize("other", [0.5, np.float64(2)])
@pytest.mark.parametrize(
    "big", [2**53 + 1, 2**53 + 3, 2**60 + 1, np.int64(2**53 + 1), np.uint64(2**63 + 1)]
)
def test_large_integers_beside_floats_are_rounded_to_the_side_that_is_asked_for(big, other, kind):
    value = kind([big, -int(big), other])
    low = arguments.numbers("x", value, rounding="down").tolist()
    high = arguments.numbers("x", value, rounding="up").tolist()
    for entry, below, above in zip([int(big), -int(big)], low, high, strict=False):
        assert int(below) < entry < int(above)
    assert low[2] == high[2] == float(other)
    with pytest.raises(ValueError, match=f"x is {big}: give whole numbers of at most"):
        arguments.integers("x", kind([big, 1.0]))


def test_numbers_lie_in_c_order_as_bounds_on_rounding_assume():
    given = np.asfortranarray(np.random.default_rng(0).random((3, 4)))
    for array in (given, given.astype(np.float32), given.T[::-1], given.astype(int)):
        made = arguments.numbers("x", array)
        assert made.flags.c_contiguous
        assert np.array_equal(made, array)


def test_integers_are_exact_and_keep_their_shape():
    result = arguments.integers("n", [[0, 2**53]])
    assert result.dtype == np.int64
    assert result.tolist() == [[0, 2**53]]


def test_integers_respect_the_least_value():
    with pytest.raises(ValueError, match=r"n is 0: give whole numbers of at least 1"):
        arguments.integers("n", [3, 0], least=1)


def test_one_of_lists_the_choices():
    assert arguments.one_of("law", "gaussian", ["gaussian", "laplace"]) == "gaussian"
    with pytest.raises(ValueError, match="law is 'cauchy': give one of gaussian, laplace"):
        arguments.one_of("law", "cauchy", ["gaussian", "laplace"])


def test_shapes_that_do_not_broadcast_are_named():
    assert arguments.common_shape(first=(2, 1), second=(3,), third=()) == (2, 3)
    with pytest.raises(ValueError, match=r"shapes are first \(2,\), second \(3,\): give shapes"):
        arguments.common_shape(first=(2,), second=(3,))
