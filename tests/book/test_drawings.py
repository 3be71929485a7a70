"""What the drawings share is the same in all of them."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from rs_lib.book import pictures, records, style
from rs_lib.book.drawings import common
from rs_lib.book.house import House

IMAGES = ("bd-views", "dp-views", "hs-pairs", "np-noisy-digits", "ra-views", "rab-noise")


@pytest.mark.parametrize("name", IMAGES)
def test_images_have_one_grey_scale(name):
    """0 is white as paper and 1 black, whatever the values."""
    folder, figure_id = House().figures, f"fig-{name}"
    draw = records.drawing(records.load(folder, figure_id).content["draw"])
    with mpl.rc_context(style.RC):
        figure = draw(pictures.from_csv((folder / f"{figure_id}.csv").read_text()))
    shown = [image for axes in figure.axes for image in axes.get_images()]
    plt.close(figure)
    assert shown
    for image in shown:
        assert image.get_clim() == (0, 1)
        np.testing.assert_array_equal(image.to_rgba(np.array([-1.0, 0.0])), 1)
        np.testing.assert_array_equal(image.to_rgba(np.array([1.0, 2.0]))[:, :3], 0)


def test_what_is_not_seen_has_a_colour_of_its_own():
    figure, (axes,) = style.panels(1)
    cells = pd.DataFrame({"row": [0, 0], "column": [0, 1], "value": [0.5, np.nan]})
    pixels = common.image(axes, cells)
    (shown,) = axes.get_images()
    seen = shown.to_rgba(shown.get_array())
    plt.close(figure)
    np.testing.assert_array_equal(np.isnan(pixels), [[False, True]])
    np.testing.assert_allclose(seen[0, 1], mpl.colors.to_rgba(style.UNSEEN))


def test_places_without_a_panel_are_hidden():
    figure, shown = common.tiles(4, 3, height=1.0, more=0.5)
    visible = [axes.get_visible() for axes in figure.axes]
    plt.close(figure)
    assert len(shown) == 4
    assert visible == [True] * 4 + [False] * 2
    assert figure.get_figheight() == 2.5
