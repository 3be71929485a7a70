"""Tables and notes: text that never claims more than the numbers behind it."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rs_lib.book import notes, tables
from rs_lib.book.published import Published


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_rounded_down_never_claims_more(value, digits):
    shown = Decimal(tables.rounded_down(value, digits))
    assert shown <= Decimal(value) < shown + Decimal(1).scaleb(-digits)


def test_rounded_down_where_rounding_to_nearest_would_overstate():
    assert tables.rounded_down(1.2316333, 3) == "1.231"
    assert tables.rounded_down(0.95286, 3) == "0.952"
    assert tables.rounded_down(0.5, 3) == "0.500"
    assert tables.rounded_down(float("inf"), 2) == "inf"


@pytest.mark.parametrize(
    "value",
    [
        2**53 + 1,
        2**60 + 1,
        Fraction(2**60 + 1, 4),
        Decimal("0.1"),
        np.longdouble(1) / 3,
        1e300,
        -1e-9,
    ],
)
def test_rounded_down_is_exact_for_every_kind_of_number(value):
    exact = Fraction(*value.as_integer_ratio())
    for digits in (0, 3, 40):
        text = tables.rounded_down(value, digits)
        assert Fraction(text) <= exact
        assert "E" not in text
    assert tables.rounded_down(np.array(0.5), 1) == "0.5"
    assert tables.rounded_down(-0.0, 2) == "0.00"
    assert tables.rounded_down(7e-9, 7) == "0.0000000"


@pytest.mark.parametrize(
    "value", ["0.5", 1j, None, [0.5], [0.5, 0.6], b"1", np.ma.masked, object()]
)
def test_rounded_down_refuses_what_is_no_number(value):
    with pytest.raises(ValueError, match=r"^value is"):
        tables.rounded_down(value, 2)


@pytest.mark.parametrize("digits", [-1, 1.5, 101, "2", None, [1], 1e9])
def test_digits_are_a_whole_number(digits):
    with pytest.raises(ValueError, match=r"^digits is"):
        tables.rounded_down(0.5, digits)
    with pytest.raises(ValueError, match=r"^digits is"):
        tables.Table(pd.DataFrame({"a": [1]}), digits)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"images": 0}, "images"),
        ({"images": 2.5}, "images"),
        ({"successes": [1, 5]}, "successes"),
        ({"successes": [1, -1]}, "successes"),
        ({"successes": [1, 0.5]}, "successes"),
        ({"successes": [1]}, "successes has shape"),
        ({"successes": 1}, "successes has shape"),
        ({"radii": [0.0, np.nan]}, "radii"),
        ({"radii": [[0.0, 1.0]]}, "successes has shape"),
    ],
)
def test_shares_refuse_counts_that_are_none(change, named):
    given = {"radii": [0.0, 1.0], "successes": [4, 2], "images": 4} | change
    with pytest.raises(ValueError, match=f"^{named}"):
        tables.shares("toy", **given)


@pytest.mark.parametrize("ceiling", [-1.0, np.inf, np.nan, "1", [1.0, 2.0], None])
def test_a_ceiling_is_a_finite_number(ceiling):
    with pytest.raises(ValueError, match=r"^ceiling"):
        tables.certified_curve("toy", [0.5], [True], ceiling)


def test_a_certified_curve_counts_images_and_drops_at_the_ceiling():
    radii, correct = np.array([0.0, 0.5, 1.0, 1.0]), np.array([True, True, True, False])
    curve = tables.certified_curve("toy", radii, correct, ceiling=1.0)
    at = curve.drop_duplicates("radius").set_index("radius")["share"]
    assert at[0.0] == 0.75
    assert at[0.5] == 0.5
    assert at[0.51] == 0.25
    assert at[1.0] == 0.25
    assert curve.iloc[-1][["radius", "share", "high"]].tolist() == [1.0, 0.0, 0.0]
    assert ((curve["low"] <= curve["share"]) & (curve["share"] <= curve["high"])).all()


def test_a_table_is_the_same_text_each_time():
    frame = pd.DataFrame({"σ": ["<1>"], "radius": [0.12345]})
    page = tables.Table(frame)._repr_html_()
    assert page == tables.Table(frame)._repr_html_()
    assert "0.123" in page
    assert "&lt;1&gt;" in page
    assert "id=" not in page


def test_a_note_says_how_a_result_falls_short_and_whether_it_is_stale():
    run = {
        "started": "2026-11-20T15:01:05+00:00",
        "device": "a machine",
        "wall_seconds": 120.0,
        "stages_reused": 0,
        "commit": "abc",
        "versions": {"torch": "2.14.1"},
    }
    plain = notes.recorded(run, {}, stale=False)
    assert "2026-11-20 on a machine in 2 min" in plain.text
    assert "reduced" not in plain.text
    assert "STALE" not in plain.text
    short = notes.recorded(run | {"stages_reused": 3}, {"images": (250, 10_000)}, stale=True)
    assert "in several sittings" in short.text
    assert "images = 250, not 10000" in short.text
    assert short.text.startswith("STALE")
    assert "rs-stale" in short._repr_mimebundle_()["text/html"]


def _entry(at, values, images):
    return Published("x", "y", "certified accuracy", "read", "", values, at, images)


def test_ours_stands_beside_what_was_published_at_the_same_radii():
    data = tables.beside(
        {0.0: 30, 0.25: 20, 2.0: 0}, 40, _entry((0.0, 0.25, 0.5), (0.7, 0.6, 0.1), 50)
    )
    assert data["series"].tolist() == ["ours", "ours", "published", "published"]
    assert data["radius"].tolist() == [0.0, 0.25] * 2
    assert data["share"].tolist() == [0.75, 0.5, 0.7, 0.6]
    assert (data["low"] < data["share"]).all()
    assert (data["share"] < data["high"]).all()
    table = tables.compared(data)
    assert table["radius"].tolist() == ["0", "0.25"]
    assert table["difference, points"].tolist() == ["+5.0", "-10.0"]
    # scipy.stats.binomtest(20, 40).proportion_ci() says 0.33802 and 0.66198
    assert table["ours (95 %)"][1] == "50.0% (33.8% to 66.2%)"
