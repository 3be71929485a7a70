"""Style sheets keep the rules for what is on the pages, and their order."""

import pytest

from rs_lib.book.stylesheets import lighten, pruned, used_words

USED = {"here", "d-flex", "w-1/2"}


@pytest.mark.parametrize(
    ("css", "left"),
    [
        ("a{b:c}", "a{b:c}"),
        (".here{b:c}.gone{b:c}", ".here{b:c}"),
        (".here .gone,.here a{b:c}", ".here a{b:c}"),
        (".here:not(.gone){b:c}", ".here:not(.gone){b:c}"),
        (":is(.gone,.here) a{b:c}", ":is(.gone,.here) a{b:c}"),
        ("@media print{.gone{b:c}.here{b:c}}", "@media print{.here{b:c}}"),
        ("@media print{.gone{b:c}}a{b:c}", "a{b:c}"),
        ("@font-face{font-family:gone}", "@font-face{font-family:gone}"),
        ('@charset "utf-8";/* .x{ */a{b:c}', '@charset "utf-8";a{b:c}'),
        ('a{b:url("data:x;{}")}.gone{c:d}', 'a{b:url("data:x;{}")}'),
        ("a{b:url(data:x;y,z)}.gone{c:d}", "a{b:url(data:x;y,z)}"),
        ("[x='.gone']{b:c}", "[x='.gone']{b:c}"),
        (r".w-1\/2{b:c}", r".w-1\/2{b:c}"),
        ("@layer a,b;.gone{b:c}", "@layer a,b;"),
        (".bs-tooltip-top{b:c}", ".bs-tooltip-top{b:c}"),
        ("p:where(a,b):is(c,d) e,.gone{b:c}", "p:where(a,b):is(c,d) e{b:c}"),
    ],
)
def test_rules_stay_whose_classes_are_used(css, left):
    assert "".join(pruned(css, USED).split("\n")) == left


def test_words_are_classes_of_pages_and_all_of_scripts(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "a.js").write_text("x.classList.add('made-here')")
    (tmp_path / "_static" / "a.css").write_text(".one{a:b}.made-here{a:b}.gone{a:b}")
    (tmp_path / "page.html").write_text('<p class="one two">three</p>')
    assert {"one", "two", "made-here"} <= used_words(tmp_path)
    assert "three" not in used_words(tmp_path)
    lighten(tmp_path)
    assert (tmp_path / "_static" / "a.css").read_text() == ".one{a:b}\n.made-here{a:b}\n"
