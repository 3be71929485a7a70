"""Checks on the page: cells that fold, the line that says how much, and what a theorem links to."""

import copy

import nbformat
import pytest

from rs_lib.book import claims, folding, library
from rs_lib.book.claims import Claim
from rs_lib.book.house import House

MADE = [
    Claim("thm-a", "symbolic", "expanded", 3),
    Claim("thm-a", "exact", "all of them", 4_096),
    Claim("eq-b", "definition", ""),
]


def _cell(found, extra=(), tags=(), source=""):
    outputs = []
    for claim in found:
        data, metadata = claim.page()
        outputs.append({"output_type": "display_data", "data": data, "metadata": metadata})
    metadata = {"tags": list(tags)}
    outputs += list(extra)
    return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": outputs}


def _folded(*cells):
    notebook = {"cells": copy.deepcopy(list(cells))}
    return notebook["cells"], folding.fold(notebook, {})


def test_a_line_counts_each_kind():
    assert folding.summary(MADE) == "symbolic, 3 identities · exact, 4,096 comparisons"
    assert folding.summary([Claim("a", "numeric", "", 1)]) == "numeric, 1 comparison"
    assert folding.summary([Claim("a", "cited", "key")]) == "cited, not checked here"
    assert folding.summary(MADE[2:]) == ""


def test_a_cell_that_only_checks_folds_to_one_line():
    (cell,), every = _folded(_cell(MADE, tags=["hide-input", "kept"]))
    assert cell["metadata"]["tags"] == ["kept", "hide-cell"]
    told = "✓ checked: symbolic, 3 identities · exact, 4,096 comparisons"
    assert cell["metadata"]["mystnb"]["code_prompt_show"] == told
    assert [claim.kind for claim in every["thm-a"]] == ["symbolic", "exact"]


def test_definitions_alone_vanish_and_citations_say_that_nothing_was_checked():
    (cell, cited), _ = _folded(_cell(MADE[2:]), _cell([Claim("thm-c", "cited", "key")]))
    assert cell["metadata"]["tags"] == ["remove-cell"]
    assert cited["metadata"]["mystnb"]["code_prompt_show"] == "Cited, not checked here"


def test_a_cell_that_shows_more_stays_as_its_author_left_it():
    table = {"output_type": "execute_result", "data": {"text/html": "<table>"}, "metadata": {}}
    number = {"output_type": "display_data", "data": {}, "metadata": {"scrapbook": {"name": "n"}}}
    (shown, folded), _ = _folded(_cell(MADE, [table], ["hide-input"]), _cell(MADE, [number]))
    assert shown["metadata"] == {"tags": ["hide-input"]}
    assert folded["metadata"]["tags"] == ["hide-cell"]


def test_the_first_line_of_a_label_can_be_linked_and_no_odd_one():
    odd = Claim('a" onclick="x', "exact", "", 1)
    cells, _ = _folded(_cell(MADE[:2]), _cell([*MADE, odd]))
    pages = [output["data"]["text/html"] for cell in cells for output in cell["outputs"]]
    assert [page.count('id="check-') for page in pages] == [1, 0, 0, 0, 0]
    assert 'id="check-thm-a"' in pages[0]


@pytest.mark.parametrize(
    ("lines", "tags", "shows", "found"),
    [
        (15, [], True, []),
        (16, [], True, ["hide-input"]),
        (16, [], False, ["remove-cell"]),
        (16, ["hide-cell"], False, ["hide-cell"]),
        (2, ["hide-input"], False, ["remove-cell"]),
        (2, ["hide-input"], True, ["hide-input"]),
        (2, [], False, []),
        (2, ["parameters"], False, ["parameters", "hide-input"]),
    ],
)
def test_long_code_is_hidden_and_what_shows_nothing_is_dropped(lines, tags, shows, found):
    number = {"output_type": "display_data", "data": {}, "metadata": {"scrapbook": {"name": "n"}}}
    table = {"output_type": "execute_result", "data": {"text/html": "<table>"}, "metadata": {}}
    code = "x = 1\n\n" * lines
    (cell,), _ = _folded(_cell([], [number, table] if shows else [number], tags, code))
    assert cell["metadata"]["tags"] == found


def test_what_pages_show_elsewhere_is_dropped_but_its_code_can_be_opened():
    figure = {"output_type": "display_data", "data": {}, "metadata": {"rs_figure": "fig-a"}}
    (cell,), _ = _folded(_cell(MADE[2:], [figure], ["hide-input"]))
    assert cell["outputs"] == []
    assert cell["metadata"]["tags"] == ["hide-input"]


def test_docstrings_name_labels_of_the_book():
    house = House()
    functions = library.functions(house)
    written = {
        label
        for name in house.chapter_names()
        for label in claims.labels(house.source(name).read_text())
    }
    assert set(functions) <= written
    assert len(functions) > 40
    radius = functions["thm-radius"]
    assert [found.shown for found in radius] == ["gaussian.radius"]


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("A line.\n\nIn the book: thm-a, eq-b.\n", ["thm-a", "eq-b"]),
        ("In the book: thm-a,\neq-b. More.", ["thm-a", "eq-b"]),
        ("In the book it stands.", []),
    ],
)
def test_labels_are_read_from_a_sentence(text, labels):
    assert library.named(text) == labels


def test_a_page_of_sources_links_its_lines_and_its_theorems():
    pages = library.pages(House())
    page = pages["rs_lib.certificates.gaussian"]
    (function,) = library.functions(House())["thm-radius"]
    assert f'id="L-{function.line}"' in page
    assert '<a href="../neyman-pearson-radii.html#thm-radius">thm-radius</a>' in page
    assert "def radius" not in page  # highlighted, and escaped
    assert page.startswith("---\norphan: true\n---\n")


def test_the_chapters_fold_to_lines(tiny):
    notebook = nbformat.read(tiny.executed("tiny"), as_version=4)
    every = folding.fold(notebook, {})
    assert set(every) == {"thm-square", "eq-one"}
    folded = [cell.metadata.get("mystnb") for cell in notebook.cells if "mystnb" in cell.metadata]
    assert [line["code_prompt_show"] for line in folded] == [
        "Parameters that a reader can turn",
        "✓ checked: symbolic, 1 identity",
    ]
