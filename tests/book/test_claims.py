"""The ledger refuses what is false, and every label of every chapter stands in it."""

import re
from decimal import Decimal
from fractions import Fraction

import nbformat
import numpy as np
import pandas as pd
import pytest
import sympy as sp

from rs_lib.book import claims
from rs_lib.book.claims import ClaimError
from rs_lib.book.house import House

x, y = sp.symbols("x y", positive=True)


def _shown(value):
    """A name for a test that is the same in every process: without addresses."""
    return re.sub(" at 0x[0-9a-f]+", "", ascii(value))[:60]


@pytest.mark.parametrize(
    "pair",
    [
        ((x + y) ** 2, x**2 + 2 * x * y + y**2),
        (x, (x**2 + x) / (x + 1)),
        (sp.erfc(x), 1 - sp.erf(x)),
        (sp.true, 1 < 2),
        (sp.Matrix([[x, 1]]), sp.Matrix([[x, 1]])),
        (sp.oo, sp.oo),
    ],
)
def test_symbolic_accepts_identities(pair):
    assert claims.symbolic("thm-a", pair, how="by SymPy").kind == "symbolic"


@pytest.mark.parametrize(
    "pair",
    [
        ((x + y) ** 2, x**2 + y**2),
        (x, x + sp.Rational(1, 10**30)),
        (sp.erf(x), sp.erfc(x)),
        (sp.true, False),
        (x, True),
        (sp.Matrix([[x]]), sp.Matrix([[y]])),
        (sp.nan, sp.nan),
        (sp.oo - sp.oo, sp.oo - sp.oo),
    ],
)
def test_symbolic_refuses_the_rest(pair):
    with pytest.raises(ClaimError, match="thm-a"):
        claims.symbolic("thm-a", (x, x), pair, how="by SymPy")


def test_a_claim_without_anything_to_check_is_refused():
    with pytest.raises(ClaimError, match="at least one pair"):
        claims.symbolic("thm-a", how="")
    with pytest.raises(ClaimError, match="at least one pair"):
        claims.exact("thm-a", how="")


@pytest.mark.parametrize(
    "pair",
    [
        ([], []),
        ((), ()),
        (set(), frozenset()),
        ([[], ()], [[], ()]),
        (range(0), range(0)),
        ("", []),
    ],
)
def test_pairs_that_hold_nothing_prove_nothing(pair):
    with pytest.raises(ClaimError, match="thm-a: "):
        claims.exact("thm-a", pair, pair, how="counted")
    assert claims.exact("thm-a", ([], []), (1, 1), how="one of two is empty").kind == "exact"


@pytest.mark.parametrize(
    "pair", [(sp.zeros(0, 2), sp.zeros(0, 2)), (sp.S.EmptySet, sp.FiniteSet())]
)
def test_expressions_that_hold_nothing_prove_nothing(pair):
    with pytest.raises(ClaimError, match="thm-a: both sides of every pair are empty"):
        claims.symbolic("thm-a", pair, how="by SymPy")


@pytest.mark.parametrize("pair", [1, (1,), (1, 1, 1), "11", [1, 1, 1], None, {1: 1}])
def test_what_is_no_pair_is_refused(pair):
    for register in (claims.exact, claims.symbolic):
        with pytest.raises(ClaimError, match=r"thm-a: .* is no pair"):
            register("thm-a", (1, 1), pair, how="counted")


@pytest.mark.parametrize(
    "value",
    [
        *(0.5, np.float32(0.5), 1j, "x", b"x", "__import__('os')", sp.Float("0.5"), x + 0.5),
        *([1], None, np.nan, object(), np.array([1.5])),
    ],
    ids=_shown,
)
def test_symbolic_refuses_floats_text_and_what_is_no_expression(value):
    with pytest.raises(ClaimError, match="thm-a"):
        claims.symbolic("thm-a", (x, x), (value, value), how="by SymPy")


def test_a_float_that_swallows_a_difference_proves_nothing():
    with pytest.raises(ClaimError, match="holds a float"):
        claims.symbolic("thm-a", (x + 1 + 1e-20, x + 1), how="by SymPy")


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (Fraction(2, 6), Fraction(1, 3)),
        ([Fraction(1, 2), 3], [Fraction(2, 4), 3]),
        (sp.Rational(1, 3), Fraction(1, 3)),
        (np.int64(3), 3),
        (np.bool_(True), True),
        ({1, 2}, {2, 1}),
    ],
)
def test_exact_accepts_equal_exact_values(left, right):
    assert claims.exact("thm-a", (left, right), how="counted").how == "counted"


@pytest.mark.parametrize(
    "value",
    [
        0.5,
        np.float32(0.5),
        sp.Float("0.5"),
        sp.Float("0.5") * x,
        [Fraction(1, 2), [0.5]],
        np.array([1, 2]),
        pd.Series([1, 2]),
        {"a": 0.5},
        0.5 + 0j,
        None,
        sp.nan,
        (part for part in (1, 2)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exact_refuses_what_is_not_exact_even_if_equal(value):
    with pytest.raises(ClaimError, match="thm-a"):
        claims.exact("thm-a", (value, value), how="counted")


def test_exact_names_the_pair_that_differs():
    with pytest.raises(ClaimError, match="pair 1 differs: 1/3 is not 1/2"):
        claims.exact("thm-a", (1, 1), (Fraction(1, 3), Fraction(1, 2)), how="counted")


def test_numeric_states_its_tolerance_exactly():
    claim = claims.numeric("eq-a", [1.0, 2.0], [1.0, 2.0 + 1e-9], how="summed", rtol=1.4e-9)
    assert claim.how == "summed (rtol 1.4e-09)"
    assert claims.numeric("eq-a", 1.0, 1.0, how="summed").how == "summed (equal)"


@pytest.mark.parametrize(
    ("computed", "expected"),
    [
        ([1.0, 2.1], [1.0, 2.0]),
        ([1.0, np.nan], [1.0, 2.0]),
        ([1.0, 2.0], [1.0, np.nan]),
        (np.nan, np.nan),
        (np.inf, np.inf),
        ([], []),
        (1.0, []),
        ([], 1.0),
    ],
)
def test_numeric_refuses_wrong_missing_and_undefined_values(computed, expected):
    with pytest.raises(ClaimError, match="eq-a"):
        claims.numeric("eq-a", computed, expected, how="summed", rtol=1e-3, atol=1e-3)


def test_numeric_shows_the_worst_entry():
    with pytest.raises(ClaimError, match=r"5\.0\S* against .*2\.0"):
        claims.numeric("eq-a", [1.1, 5.0, 3.0], [1.0, 2.0, 3.0], how="", atol=1e-3)


def test_at_most_has_no_slack():
    assert claims.at_most("eq-a", [1, 1.5], [1, 2], how="grid").count == 2
    for smaller, larger in (
        (np.nextafter(1, 2), 1.0),
        ([0.0, np.nan], 1.0),
        ([], []),
        (0.0, np.nan),
    ):
        with pytest.raises(ClaimError, match="eq-a"):
            claims.at_most("eq-a", smaller, larger, how="grid")


NO_NUMBERS = [
    *(1j, [1 + 0j], "1", ["1", "2"], b"1", None, [None], {}, object(), np.datetime64("2020-01-01")),
    *(np.nan, [1.0, np.nan], np.ma.masked_array([1.0, 2.0], [0, 1]), [[1.0], [1.0, 2.0]]),
    *(Decimal("nan"), sp.nan, x, [], [[]], np.zeros((0, 3))),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=_shown)
def test_numeric_claims_refuse_what_is_no_real_number_on_either_side(value):
    for sides in ((value, 1.0), (1.0, value), (value, value)):
        with pytest.raises(ClaimError, match="eq-a"):
            claims.numeric("eq-a", *sides, how="", rtol=1e300, atol=1e300)
        with pytest.raises(ClaimError, match="eq-a"):
            claims.at_most("eq-a", *sides, how="")


@pytest.mark.parametrize(
    ("one", "other"),
    [((1,), (5,)), ((5,), (1,)), ((3, 1), (3,)), ((3, 1), (1, 3)), ((2, 3), (3,)), ((1,), (1, 1))],
)
def test_shapes_that_broadcasting_would_stretch_are_refused(one, other):
    left, right = np.ones(one), np.ones(other)
    with pytest.raises(ClaimError, match=r"eq-a: the shapes .* differ"):
        claims.numeric("eq-a", left, right, how="")
    with pytest.raises(ClaimError, match=r"eq-a: the shapes .* differ"):
        claims.at_most("eq-a", left, right, how="")


def test_all_may_stand_against_one_number():
    assert claims.at_most("eq-a", np.zeros((2, 3)), 0.5, how="grid").count == 6
    assert claims.numeric("eq-a", 1, [1.0, Fraction(1)], how="sum").how == "sum (equal)"


@pytest.mark.parametrize("value", [-1e-9, np.inf, np.nan, 1j, "1", None, [0.1, 0.2]])
def test_a_tolerance_is_one_finite_number_that_is_not_negative(value):
    for name in ("rtol", "atol"):
        with pytest.raises(ClaimError, match=f"eq-a: {name} "):
            claims.numeric("eq-a", 1.0, 1.0, how="", **{name: value})


THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        (2**53, 2**53 + 1),
        (THIRD, THIRD + Fraction(1, 10**30)),
        (np.float64(2**53), np.int64(2**53 + 1)),
        (-(10**400), 10**400),
        (Decimal("0.1"), 0.1),  # the float is the larger one
        (-np.inf, THIRD),
        (np.float32(0.1), 0.1000001),
    ],
    ids=lambda value: str(value)[:20],
)
def test_numbers_finer_than_floats_are_compared_exactly(smaller, larger):
    assert claims.at_most("eq-a", smaller, larger, how="one").kind == "numeric"
    for sides in ((larger, smaller), ([smaller, larger], [larger, smaller])):
        with pytest.raises(ClaimError, match="1 of"):
            claims.at_most("eq-a", *sides, how="one")
    with pytest.raises(ClaimError, match="outside rtol=0, atol=0"):
        claims.numeric("eq-a", smaller, larger, how="equal")


def test_lists_of_arrays_of_any_depth_are_compared_entry_by_entry():
    zero = [np.array(1.0), np.float32(1.0), np.array(1)]  # what functions of the library return
    assert claims.at_most("eq-a", zero, [1, 1, 1], how="").count == 3
    rows = [np.zeros(4), np.zeros(4)]
    assert claims.at_most("eq-a", rows, np.ones((2, 4)), how="").count == 8
    with pytest.raises(ClaimError, match="1 of 3"):
        claims.at_most("eq-a", zero, [1, 1, 0.5], how="")
    with pytest.raises(ClaimError, match="1 of 2"):  # NumPy would round the integer
        claims.at_most("eq-a", [0.5, 2**53 + 1], [1.0, 2**53], how="")


def test_a_tolerance_is_not_widened_by_rounding():
    with pytest.raises(ClaimError, match=r"9007199254740993 against 9007199254740992"):
        claims.numeric("eq-a", 2**53 + 1, 2**53, how="", atol=0.5)
    assert "atol 1" in claims.numeric("eq-a", 2**53 + 1, 2**53, how="", atol=1).how


@pytest.mark.parametrize("value", [None, 5, ["a"]])
def test_label_and_how_are_texts(value):
    with pytest.raises(ClaimError, match="how is"):
        claims.exact("thm-a", (1, 1), how=value)
    with pytest.raises(ClaimError, match="label is"):
        claims.definition(value)


@pytest.mark.parametrize(
    "record",
    [
        *(5, [1], {"label": "a"}, {"label": "a", "kind": "proved", "how": "", "count": 1}),
        {"label": 1, "kind": "exact", "how": "", "count": 1},
        {"label": "a", "kind": "exact", "how": ""},
        {"label": "a", "kind": "exact", "how": "", "count": "1"},
        {"label": "a", "kind": "exact", "how": "", "count": 1, "x": 1},
    ],
)
def test_an_output_that_pretends_to_be_a_claim_is_refused(record):
    output = {"metadata": {claims.METADATA: record}}
    with pytest.raises(ValueError, match="run the chapter again"):
        claims.collect({"cells": [{"cell_type": "code", "outputs": [output]}]})


def test_cited_needs_an_entry_of_the_bibliography():
    assert claims.cited("thm-a", "cohen2019").how == "cohen2019"
    for key in ("cohen1919", "cohen", "author", ""):
        with pytest.raises(ClaimError, match="no entry"):
            claims.cited("thm-a", key)


SOURCE = """
```{prf:theorem} A title
:label: thm-a
:nonumber:
```

:::{prf:lemma}
:label: lem-b
:::

````{prf:definition} Nested
:label: def-c
````

```{prf:proof}
Of {prf:ref}`thm-a`.
```

$$ a = b $$ (eq-d)

$$
a
$$   (eq-e)

```{math}
:nowrap:
:label: eq-f
a
```

- In a list:

  ```{prf:remark}
  :label: rem-g
  ```

$$
(a+b)
$$

(not-a-label)

```{exercise}
:label: ex-h
```
"""


def test_labels_are_found_in_every_form_and_in_no_other():
    assert claims.labels(SOURCE) == [
        "thm-a",
        "lem-b",
        "def-c",
        "eq-d",
        "eq-e",
        "eq-f",
        "rem-g",
    ]


def test_disagreements_are_told_both_ways():
    ledger = [claims.definition(label) for label in claims.labels(SOURCE)]
    assert claims.disagreements(SOURCE, ledger) == []
    assert claims.disagreements(SOURCE, ledger[1:]) == ["label thm-a has no claim"]
    assert claims.disagreements(SOURCE, [*ledger, claims.definition("thm-z")]) == [
        "claim thm-z has no label"
    ]
    twice = SOURCE.replace("lem-b", "thm-a")
    assert "label thm-a is written twice" in claims.disagreements(twice, ledger)
    bare = SOURCE.replace(":label: lem-b\n", "")
    assert any("do not begin with a :label:" in text for text in claims.disagreements(bare, ledger))


def test_a_claim_shows_its_words_as_text():
    page, metadata = claims.Claim("eq-<a>", "numeric", "a < b", 1_234).page()
    assert "a &lt; b" in page["text/html"]
    assert "1,234 comparisons" in page["text/html"]
    assert "<a>" not in page["text/html"]
    kept = {"label": "eq-<a>", "kind": "numeric", "how": "a < b", "count": 1_234}
    assert metadata == {"rs_claim": kept}


@pytest.mark.parametrize("chapter", House().chapter_names())
def test_the_ledger_agrees_with_the_labels_of_the_chapter(chapter):
    house = House()
    executed = house.executed(chapter)
    assert executed.is_file(), f"{chapter} is not executed: `make test` and `make book` do it"
    ledger = claims.collect(nbformat.read(executed, as_version=4))
    assert ledger, f"{chapter} claims nothing"
    assert claims.disagreements(house.source(chapter).read_text(), ledger) == []
    assert {claim.kind for claim in ledger} <= set(claims.KINDS)
