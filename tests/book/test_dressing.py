"""The last hand on the pages: pictures with sizes, late ones lazy, needless scripts gone."""

import pytest

from rs_lib.book.dressing import dressed

SVG = '<?xml version="1.0"?>\n<svg xmlns="x" {} viewBox="0 0 9 6" version="1.1"></svg>'
SIZES = ('width="450pt" height="300.4pt"', 'height="300.4pt" viewBox="0 0 1 1" width="450pt"')


@pytest.fixture
def page(tmp_path):
    (tmp_path / "a.svg").write_text(SVG.format(SIZES[0]))
    (tmp_path / "b.svg").write_text(SVG.format(SIZES[1]))
    (tmp_path / "c.svg").write_text(SVG.format('width="100%" height="100%"'))
    return tmp_path / "page.html"


def test_pictures_get_their_sizes_and_late_ones_wait(page):
    text = '<img alt="one" src="a.svg" /><p><img src="b.svg" alt="two"></p>'
    made = dressed(text, page)
    assert '<img alt="one" src="a.svg" width="600" height="401" />' in made
    assert '<img src="b.svg" alt="two" width="600" height="401" loading="lazy" />' in made
    assert dressed(made, page) == made


@pytest.mark.parametrize(
    "image",
    [
        '<img src="c.svg" alt="in per cent" />',
        '<img src="gone.svg" alt="not there" />',
        '<img src="a.png" alt="no drawing" />',
        '<img width="3" src="a.svg" alt="has a size" />',
    ],
)
def test_other_pictures_stay_as_they_are(page, image):
    assert dressed(image, page) == image


def test_scripts_go_that_a_page_does_not_need(page):
    icons = '<script defer src="../_static/scripts/fontawesome.js?digest=5"></script>'
    ahead = '<link rel="preload" as="script" href="../_static/scripts/fontawesome.js?digest=5" />'
    index = '<script src="../searchindex.js" defer="defer"></script>'
    kept = '<script src="../_static/book.js"></script>'
    assert dressed(f"{icons}\n{ahead}\n{index}\n{kept}", page).strip() == kept
    search = page.with_name("search.html")
    assert dressed(f"{icons}\n{index}\n{kept}", search).strip() == f"{index}\n{kept}"
