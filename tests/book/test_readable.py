"""Offered notebooks hold plain Markdown: no directive, no role, and the numbers of the pages."""

import re

import nbformat
import pytest

from rs_lib.book import contents, parameters, readable, records, site
from rs_lib.book.house import House
from rs_lib.book.readable import Words

HOUSE = House()
WORDS = Words(
    {"thm-a": "Theorem 1.2", "eq-a": "(1.3)", "ex-a": "Exercise 1.1", "fig-a": "Fig. 1.4"},
    {"share": "12.5 %", "word": "a*b_c"},
    {},
)
RAW = re.compile(r"(?m)\{[\w:-]+\}`|^[ >]*(?:`{3,}|:{3,})\{|\$\$[ \t]*\([\w:.-]+\)|^[ >]*:[a-z]+:")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("See {prf:ref}`thm-a` and {eq}`eq-a`.", "See Theorem 1.2 and (1.3)."),
        ("{numref}`fig-a` and {ref}`ex-a`", "Fig. 1.4 and Exercise 1.1"),
        ("in {glue:text}`share` of", "in 12.5 % of"),
        ("$q={}${glue:text}`share`", "$q={}$ 12.5 %"),
        ("{glue:text}`word`, {glue:text}`gone`", r"a\*b\_c, –"),
        ("{math}`x^2`, {sub}`i`", "$x^2$, i"),
        ("$$\nx\n$$ (eq-a)", "$$\nx \\tag{1.3}\n$$"),
        ("$$y$$ and $$\nx\n$$ (eq-a)\nso", "$$y$$ and $$\nx \\tag{1.3}\n$$\nso"),
        ("$$\nx\n$$", "$$\nx\n$$"),
        (
            "```{prf:theorem} Name of {eq}`eq-a`\n:label: thm-a\n\n"
            "If $a\n<b$:\n\n$$\nx\n$$ (eq-a)\n```",
            "> **Theorem 1.2 (Name of (1.3)).**\n>\n> If $a <b$:\n>\n> $$ x \\tag{1.3} $$",
        ),
        ("```{prf:lemma}\n:label: lem-new\n\nText.\n```", "> **Lemma.**\n>\n> Text."),
        ("```{prf:proof}\nSo it is.\n```\nOn.", "*Proof.* So it is. ∎\n\nOn."),
        ("```{prf:proof}\nSo\n\n$$\nx\n$$\n```", "*Proof.* So\n\n$$\nx\n$$\n\n∎"),
        (":::{admonition} Title\n:class: tip\n\nText.\n:::", "> **Title**\n>\n> Text."),
        (":::{note}\n- a\n- b\n:::", "> **Note**\n>\n> - a\n> - b"),
        ("```{exercise} Why\n:label: ex-a\n\nWhy?\n```", "**Exercise 1.1 (Why).** Why?"),
        ("a\n\n```{include} figures/fig-a.md\n```\n\nb", "a\n\nb"),
        ("```python\nx = {1}`\n\n# {eq}`eq-a`\n```", "```python\nx = {1}`\n\n# {eq}`eq-a`\n```"),
        (
            "````{solution} ex-a\n:class: dropdown\n\n```python\nx\n```\nSo.\n````",
            "<details>\n<summary>Solution to Exercise 1.1</summary>\n\n"
            "```python\nx\n```\n\nSo.\n\n</details>",
        ),
        ("```{prf:proof}\nnever closed", "*Proof.* never closed ∎"),
    ],
)
def test_myst_becomes_markdown(text, told):
    assert readable.plain(text, WORDS) == told


def _glued(text):
    """An output for every value that a chapter glues."""
    return [
        nbformat.v4.new_output(
            "display_data",
            {"application/papermill.record/text/plain": "'7 %'"},
            metadata={"scrapbook": {"name": name}},
        )
        for name in re.findall(r"\{glue:text\}`([^`]*)`", text)
    ]


@pytest.mark.parametrize("name", HOUSE.chapter_names())
def test_no_chapter_keeps_a_directive_or_a_role(name):
    notebook = parameters.read_source(HOUSE.source(name))
    shown = nbformat.v4.new_output(
        "display_data",
        {"text/markdown": "After {cite:t}`cohen2019`: {prf:ref}`thm-radius`."},
        metadata={records.SHOWN: "fig-np-ceiling"},
    )
    cell = nbformat.v4.new_code_cell(id="last")
    cell.outputs = [*_glued(HOUSE.source(name).read_text()), shown]
    notebook.cells.append(cell)
    made = readable.converted(HOUSE, name, notebook)
    nbformat.validate(made)
    texts = [cell.source for cell in made.cells if cell.cell_type == "markdown"]
    assert [match.group() for text in texts for match in RAW.finditer(text)] == []
    assert all(text.count("$$") % 2 == 0 and text.strip() for text in texts)
    # A formula that goes on in the next line of a quotation would hold its mark.
    quoted = [line for text in texts for line in text.splitlines() if line.startswith(">")]
    assert [line for line in quoted if line.replace(r"\$", "").count("$") % 2] == []
    labels = readable.labels(HOUSE)
    assert [label for label in labels if any(label in text for text in texts)] == []
    assert texts[-1].startswith("## References\n\n- ")
    (output,) = next(cell for cell in made.cells if cell.id == "last").outputs
    assert output.data["text/markdown"] == (
        f"**{labels['fig-np-ceiling']}.** After Cohen et al. (2019): {labels['thm-radius']}."
    )
    assert made == readable.converted(HOUSE, name, notebook)


def test_citations_name_authors_and_years():
    notebook = nbformat.v4.new_notebook()
    text = "{cite:t}`cohen2019` after {cite:p}`clopper1934,voracek2023`"
    notebook.cells = [nbformat.v4.new_markdown_cell(text)]
    made = readable.converted(HOUSE, "any", notebook)
    assert made.cells[0].source == (
        "Cohen et al. (2019) after (Clopper and Pearson 1934; Voráček and Hein 2023)"
    )
    assert made.cells[1].source.count("\n- ") == 3


def test_chapters_are_numbered_as_the_contents_have_them():
    listed = [page.removeprefix("chapters/") for page in contents.pages(HOUSE)]
    names = [name for name in listed if name in HOUSE.chapter_names()]
    labels = readable.labels(HOUSE)
    for number, name in enumerate(names, start=1):
        figure_id = re.search(r"figures/(fig-[\w-]+)\.md", HOUSE.source(name).read_text()).group(1)
        assert labels[figure_id] == f"Fig. {number}.1"


def test_the_numbers_are_those_of_the_pages():
    """Theorems, equations, figures and exercises are called as Sphinx calls them."""
    missing = site.missing_pages(HOUSE)
    assert not missing, f"the rendered book lacks {missing}: run `make book` first"
    labels = readable.labels(HOUSE)
    seen = 0
    for name in HOUSE.chapter_names():
        page = (HOUSE.html / "chapters" / f"{name}.html").read_text()
        for label, text in labels.items():
            at = page.find(f'id="equation-{label}"' if label[:3] == "eq-" else f'id="{label}"')
            if at < 0:
                continue
            number = re.compile(r'class="(?:eqno|caption-number)">([^<]*)<').search(page, at)
            assert number.group(1).strip() == text, label
            seen += 1
    assert seen == len(labels)
