"""Text enters pages as text: it ends no fence, begins no directive, and brings no HTML."""

import re

import pytest
import yaml
from docutils.core import publish_doctree
from hypothesis import example, given
from hypothesis import strategies as st
from myst_parser.docutils_ import Parser
from myst_parser.parsers.options import options_to_items

from rs_lib.book import markup
from rs_lib.record import places

PIECES = (
    *("<script>alert(1)</script>", "<img src=x onerror=a>", "<!-- x", "<?x", "</div>", "&lt;b&gt;"),
    *("`", "```", "~~~", ":::", "```{raw} html", ":::{note}", "{include}`x`", "{download}`x </y>`"),
    *("\n", "\n\n", "\r", "\x0b", "\x85", "\u2028", "\x00", "\ud800", "\t", "    ", " "),
    *(
        ":name: evil",
        ":class: x",
        '"',
        "'",
        "|",
        ">",
        "# x",
        "- x",
        "* x",
        "1. x",
        "%",
        "+++",
        "---",
    ),
    *("*", "_", "{", "}", "$", "$$", "\\", "[x]: y", "![x](y)", "[x](javascript:alert(1))", "(x)="),
    *(
        "$a<b$",
        "{cite:t}`cohen2019`",
        "{math}`x`",
        r"\begin{align}x\end{align}",
        "[^x]:",
        "word",
        "é",
    ),
)
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=6).map("".join) | st.text(
    max_size=30
)
READER = {"myst_enable_extensions": list(markup.EXTENSIONS), "report_level": 5, "halt_level": 6}


def _tree(source):
    settings = READER | {"myst_dmath_double_inline": False, "warning_stream": False}
    return publish_doctree(source, parser=Parser(), settings_overrides=settings)


def _kinds(tree):
    return {node.tagname for node in tree.findall()}


@given(TEXTS)
@example("`c`)<script>alert(1)</script>`")
@example("[a](x{b}`c)<script>alert(1)</script>`")
@example("$ <script>alert(1)</script> $")
@example("[a](x$y) <script>a</script> $")
@example("```")
def test_a_caption_is_a_paragraph_without_html(text):
    made = markup.inline(text)
    assert len(made.splitlines()) <= 1
    if made:
        tree = _tree(made)
        assert [node.tagname for node in tree.children] == ["paragraph"]
        assert not _kinds(tree) & {"raw", "image", "figure", "literal_block", "comment"}
        links = [node["refuri"] for node in tree.findall() if node.tagname == "reference"]
        assert [link for link in links if "script:" in link.lower()] == []


@pytest.mark.parametrize(
    "text",
    [
        r"The share of $p_A>\frac12$ *of* {cite:t}`cohen2019`, by {prf:ref}`thm-a`.",
        "Dotted: $a<b$ and `x < y`, [a link](https://example.org).",
        "From d = 100 on, 95 % intervals; p<0.01; {eq}`eq-a` and {numref}`fig-a`.",
    ],
)
def test_a_caption_in_order_passes_unchanged(text):
    assert markup.inline(text) == text


def test_a_tag_is_shown_and_the_formulas_beside_it_stay():
    made = markup.inline("A <b>bold</b> $x^2$.")
    assert made == r"A \<b>bold\</b> $x^2$."
    assert _tree(made).astext() == "A <b>bold</b> x^2."


@given(TEXTS)
def test_plain_text_is_shown_as_it_stands(text):
    made = markup.plain(text)
    assert len(made.splitlines()) <= 1
    if made:
        tree = _tree(f"- {made}")
        assert _kinds(tree) <= {"document", "bullet_list", "list_item", "paragraph", "#text"}
        assert tree.astext() == markup.one_line(text)


@given(TEXTS)
def test_an_option_is_read_back_as_it_was(text):
    made = markup.option(text)
    assert len(made.splitlines()) <= 1
    read, state = options_to_items(f"alt: {made}\nname: fig-a")
    assert read == [("alt", markup.one_line(text)), ("name", "fig-a")]
    assert not state.has_comments


@given(TEXTS)
def test_a_fence_is_longer_than_any_run_within(text):
    made = markup.fence(text)
    assert len(made) >= 3
    assert set(made) == {"`"}
    assert made not in text


def test_captions_are_judged_by_the_book_s_own_syntax():
    parse = yaml.safe_load((places.HERE.root / "_config.yml").read_text())["parse"]
    assert parse["myst_enable_extensions"] == list(markup.EXTENSIONS)
    assert set(parse) == {"myst_enable_extensions", "myst_dmath_double_inline"}
    assert parse["myst_dmath_double_inline"] is False


def test_one_line_has_no_control_characters():
    everything = "".join(map(chr, range(0x3000)))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", markup.one_line(everything))
