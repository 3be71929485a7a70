"""The ledger refuses what is false, and every label of every chapter stands in it."""

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
    assert "2 comparisons" in claims.at_most("eq-a", [1, 1.5], [1, 2], how="grid").how
    for smaller, larger in (
        (np.nextafter(1, 2), 1.0),
        ([0.0, np.nan], 1.0),
        ([], []),
        (0.0, np.nan),
    ):
        with pytest.raises(ClaimError, match="eq-a"):
            claims.at_most("eq-a", smaller, larger, how="grid")


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
    page, metadata = claims.Claim("eq-<a>", "numeric", "a < b").page()
    assert "a &lt; b" in page["text/html"]
    assert "<a>" not in page["text/html"]
    assert metadata == {"rs_claim": {"label": "eq-<a>", "kind": "numeric", "how": "a < b"}}


@pytest.mark.parametrize("chapter", House().chapter_names())
def test_the_ledger_agrees_with_the_labels_of_the_chapter(chapter):
    house = House()
    executed = house.executed(chapter)
    assert executed.is_file(), f"{chapter} is not executed: `make test` and `make book` do it"
    ledger = claims.collect(nbformat.read(executed, as_version=4))
    assert ledger, f"{chapter} claims nothing"
    assert claims.disagreements(house.source(chapter).read_text(), ledger) == []
    assert {claim.kind for claim in ledger} <= set(claims.KINDS)
