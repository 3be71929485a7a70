"""Tables and notes: text that never claims more than the numbers behind it."""

from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from rs_lib.book import notes, tables


@given(st.floats(-1e6, 1e6), st.integers(0, 8))
def test_rounded_down_never_claims_more(value, digits):
    shown = Decimal(tables.rounded_down(value, digits))
    assert shown <= Decimal(value) < shown + Decimal(1).scaleb(-digits)


def test_rounded_down_where_rounding_to_nearest_would_overstate():
    assert tables.rounded_down(1.2316333, 3) == "1.231"
    assert tables.rounded_down(0.95286, 3) == "0.952"
    assert tables.rounded_down(0.5, 3) == "0.500"
    assert tables.rounded_down(float("inf"), 2) == "inf"


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
