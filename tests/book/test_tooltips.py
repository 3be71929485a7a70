"""Tooltips: what a reference leads to, in plain signs, from the page that it leads to."""

import pytest

from rs_lib.book import tooltips

HEADERLINK = '<a class="headerlink" href="#x">#</a>'
PAGE = r"""<div class="proof theorem admonition" id="thm-a">
<p class="admonition-title"><span class="caption-number">Theorem 1.1 </span> (Shift)</p>
<section class="theorem-content" id="proof-content">
<p>Let <span class="math">\(p\ge\frac12\)</span>. Then <em>it</em> holds. More follows</p>
</section></div>
<figure class="align-default" id="fig-b"><img alt="x" src="b.svg" />
<figcaption><p><span class="caption-number">Fig. 1.1 </span>"""
PAGE += rf"""<span class="caption-text">A line.</span>{HEADERLINK}</p></figcaption></figure>
<div class="math notranslate nohighlight" id="equation-eq-c">
<span class="eqno">(1.1){HEADERLINK}</span>\[
r=\sigma\,\Phi^{{-1}}(\underline p_A).
\]</div>
<div class="math notranslate nohighlight" id="equation-eq-d">
<span class="eqno">(1.2){HEADERLINK}</span>\[
\begin{{cases}}a&b\end{{cases}}
\]</div>
"""


def test_statements_figures_and_formulas_are_told_in_plain_signs():
    assert tooltips.targets(PAGE) == {
        "thm-a": "Theorem 1.1 (Shift). Let p≥½. Then it holds. More follows …",
        "fig-b": "Fig. 1.1. A line.",
        "equation-eq-c": "(1.1) r=σΦ^(−1)(p\u0332_A)",
    }


@pytest.mark.parametrize(
    ("tex", "plain"),
    [
        (r"x\in\mathbb R^d", "x∈ℝ^d"),
        (r"\|\delta\|_2<\tfrac{R}{2n}", "‖δ‖_2<R/2n"),
        (r"\sqrt{\log(1/\alpha)}", "√(log(1/α))"),
        (r"e^{-n\,t}", "e^(−nt)"),
        (r"\{0,1\}", "{0,1}"),
        (r"\mathrm{KL}(Q\,\|\,P)", "KL(Q‖P)"),
        (r"\overbrace{x}", ""),
        (r"{a}", ""),
    ],
)
def test_a_formula_is_told_whole_or_not_at_all(tex, plain):
    assert tooltips._tex(tex) == plain


def test_whole_sentences_are_told_as_many_as_fit():
    long = "B" + "b" * tooltips.LONGEST + "."
    assert tooltips._shortened("Theorem 1.1", f"A is. {long}") == "Theorem 1.1. A is."


def test_links_on_any_page_are_told_and_others_left():
    known = {"chapters/a.html": {"thm-a": 'Theorem 1.1 ("A").'}}
    link = '<a class="reference internal" href="{}">{}</a>'
    told = 'title="Theorem 1.1 (&quot;A&quot;)."'
    here = tooltips.tell(link.format("#thm-a", "Theorem 1.1"), "chapters/a.html", known)
    assert told in here
    deeper = link.format("../a.html#thm-a", "Theorem 1.1")
    assert told in tooltips.tell(deeper, "chapters/library/b.html", known)
    assert tooltips.tell(here, "chapters/a.html", known) == here
    for other in (
        link.format("#thm-b", "B"),
        link.format("#thm-a", "thm-a"),
        link.format("b", "C"),
    ):
        assert tooltips.tell(other, "chapters/a.html", known) == other
