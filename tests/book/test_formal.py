"""Formal claims: what Coq printed is read as it stands, and no claim names what is not there."""

import ast
import re
import shutil

import jupytext
import pytest

from rs_lib.book import claims, folding, formal, generated, proofs_page, site
from rs_lib.book.claims import Claim, ClaimError
from rs_lib.book.house import House

HOUSE = House()
PROVED = formal.theorems(HOUSE)
SOURCES = sorted(HOUSE.proofs.glob("*.v"))
CLASSICAL = {
    "propositional_extensionality",
    "functional_extensionality_dep",
    "constructive_indefinite_description",
}


def test_every_theorem_and_definition_of_the_sources_is_pinned():
    printed = re.findall(r"^== (\S+)$", HOUSE.statements.read_text(), re.MULTILINE)
    written = [
        f"{path.stem}.{name}"
        for path in SOURCES
        for name in re.findall(r"^(?:Definition|Fixpoint|Theorem) (\w+)", path.read_text(), re.M)
    ]
    assert sorted(printed) == sorted(written)
    theorems = [
        name for path in SOURCES for name in re.findall(r"^Theorem (\w+)", path.read_text(), re.M)
    ]
    assert sorted(theorem.name for theorem in PROVED.values()) == sorted(theorems)
    listed = re.findall(r"^(\w+)\.v$", (HOUSE.proofs / "_CoqProject").read_text(), re.MULTILINE)
    assert sorted(listed) == [path.stem for path in SOURCES]


def test_nothing_is_assumed_that_the_page_does_not_name():
    for path in SOURCES:
        text = re.sub(r"(?s)\(\*.*?\*\)", "", path.read_text())
        assert not re.search(r"\b(Admitted|admit|Axiom|Parameter|Conjecture)\b", text), path.name
    for theorem in PROVED.values():
        assert set(theorem.axioms) <= CLASSICAL or theorem.file == "SeqCheck", theorem.shown
        assert theorem.statement.startswith(theorem.name), theorem.shown
        assert "Axioms" not in theorem.statement
        assert theorem.rests_on
    integers = PROVED["SeqCheck.seq_ok_valid"]
    assert integers.rests_on == f"Coq's machine integers: {len(integers.axioms)} axioms"
    assert all(re.match(r"Uint63\.|PrimInt63\.|\w+_spec$|\w+$", name) for name in integers.axioms)


@pytest.mark.parametrize("theorem", PROVED.values(), ids=lambda theorem: theorem.shown)
def test_each_theorem_has_its_sentence_and_stands_where_it_says(theorem):
    lines = (HOUSE.proofs / f"{theorem.file}.v").read_text().splitlines()
    assert lines[theorem.first - 1].startswith(f"Theorem {theorem.name}")
    assert lines[theorem.last - 1].endswith("Qed.")
    assert theorem.words.endswith((".", ".)"))
    assert len(theorem.words) > 30
    known = {
        label
        for name in HOUSE.chapter_names()
        for label in claims.labels(HOUSE.source(name).read_text())
    }
    assert set(theorem.labels) <= known


def _registered():
    """Yield each call of claims.formal in the chapters, with the chapter's name."""
    for name in HOUSE.chapter_names():
        for cell in jupytext.read(HOUSE.source(name)).cells:
            if cell.cell_type != "code" or "claims.formal" not in cell.source:
                continue
            for node in ast.walk(ast.parse(cell.source)):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "claims.formal":
                    yield name, node


def test_chapters_claim_what_the_sources_say_that_they_bear_on():
    calls = list(_registered())
    assert len(calls) > 10
    for chapter, call in calls:
        label = ast.literal_eval(call.args[0])
        assert label in claims.labels(HOUSE.source(chapter).read_text())
        for name in call.args[1:]:
            if isinstance(name, ast.Constant):
                assert label in PROVED[name.value].labels, (label, name.value)


def test_a_claim_names_theorems_that_coq_printed():
    claim = claims.formal("thm-a", "Bands.card_meets", "Bands.meets_arc", part="bands that wrap")
    assert (claim.kind, claim.count, claim.part) == ("formal", 2, " in part (bands that wrap)")
    for wrong in ("Bands.card_meet", "card_meets", "Bands.in_band", "", "Bands"):
        with pytest.raises(ClaimError, match="thm-a: no theorem"):
            claims.formal("thm-a", "Bands.card_meets", wrong)
    with pytest.raises(ClaimError, match="at least one theorem"):
        claims.formal("thm-a")


def test_a_formal_claim_is_read_back_and_others_name_no_theorem():
    claim = claims.formal("thm-a", "Bands.card_meets")
    data, metadata = claim.page()
    output = {"metadata": metadata, "data": data}
    assert claims.collect({"cells": [{"cell_type": "code", "outputs": [output]}]}) == [claim]
    for change in ({"theorems": []}, {"kind": "exact"}, {"theorems": "Bands.card_meets"}):
        output["metadata"] = {claims.METADATA: metadata[claims.METADATA] | change}
        with pytest.raises(ValueError, match="run the chapter again"):
            claims.collect({"cells": [{"cell_type": "code", "outputs": [output]}]})


def test_a_line_says_where_only_a_part_is_proved():
    whole, part = Claim("a", "formal", "", 1, ("X.y",)), Claim("b", "formal", "half", 1, ("X.z",))
    assert (
        folding.summary([Claim("a", "exact", "", 2), whole])
        == "exact, 2 comparisons · proved in Coq"
    )
    assert folding.summary([part]) == "in part proved in Coq"
    assert folding.summary([whole, part]) == "in part proved in Coq"
    assert folding.summary([whole, Claim("a", "formal", "half", 1, ("X.z",))]) == "proved in Coq"


def _cell(claim):
    data, metadata = claim.page()
    output = {"output_type": "display_data", "data": data, "metadata": metadata}
    return {"cell_type": "code", "source": "", "metadata": {}, "outputs": [output]}


def test_the_page_opens_the_statement_below_the_claim():
    cell = _cell(claims.formal("thm-a", "Votes.counts_sound"))
    folding.fold({"cells": [cell]}, PROVED)
    shown = cell["outputs"][0]["data"]["text/html"]
    assert shown.startswith('<p id="check-thm-a"')
    assert "count f k + (k &lt; c) + 2 * D &lt;= count f c" in shown
    line = PROVED["Votes.counts_sound"].first
    assert f'href="coq/Votes.html#L-{line}"' in shown
    assert "Rests on no axioms." in shown
    with pytest.raises(ValueError, match=r"a claim names Votes\.gone"):
        folding.fold({"cells": [_cell(Claim("a", "formal", "", 1, ("Votes.gone",)))]}, PROVED)


def test_the_page_of_proofs_lists_all_in_words_and_says_what_is_missing():
    claim = claims.formal("thm-dp-bands", "Bands.card_meets", part="bands that wrap")
    made = proofs_page.pages(HOUSE, {"derandomised-patches": [claim]})
    page = made["proofs"].replace("\\", "")
    for theorem in PROVED.values():
        assert f'<a href="{theorem.page}">{theorem.name}</a>\n  - {theorem.words}\n' in page
        assert all(f"`{name}`" in page for name in theorem.axioms)
    assert "{prf:ref}`thm-dp-bands` in part (bands that wrap)" in page
    for missing in ("network", "generator", "independent", "floats", "d dimensions"):
        assert missing in proofs_page.HEAD
    assert not re.search("(?i)verified library", page)
    assert set(made) == {"proofs"} | {
        f"coq/{path.stem}" for path in SOURCES if path.stem != "Zreal"
    }


def test_a_source_that_lost_its_sentence_is_told(tmp_path):
    house = House(tmp_path)
    assert formal.theorems(house) == {}
    assert proofs_page.pages(house, {}) == {}
    shutil.copytree(
        HOUSE.proofs, house.proofs, ignore=shutil.ignore_patterns("*.vo*", "*.glob", ".*")
    )
    assert formal.theorems(house) == PROVED
    path = house.proofs / "Bands.v"
    path.write_text(re.sub(r"\(\*\* Of W bands.*?\*\)\n", "", path.read_text(), flags=re.DOTALL))
    with pytest.raises(ValueError, match=r"Bands.v states no theorem card_meets below a sentence"):
        formal.theorems(house)


def test_a_book_with_proofs_renders(tiny):
    shutil.copytree(
        HOUSE.proofs, tiny.proofs, ignore=shutil.ignore_patterns("*.vo*", "*.glob", ".*")
    )
    before = site.key(tiny)
    table = tiny.book / "_toc.yml"
    table.write_text(
        table.read_text().replace(
            "  - file: chapters/claims\n", "  - file: chapters/claims\n  - file: chapters/proofs\n"
        )
    )
    assert site.key(tiny) != before
    intro = tiny.book / "intro.md"
    intro.write_text(intro.read_text() + "\n```{bibliography}\n```\n")
    generated.write(tiny)
    site.render(tiny)
    page = (tiny.html / "chapters" / "proofs.html").read_text()
    assert PROVED["Bands.card_meets"].page in page
    source = (tiny.html / "chapters" / formal.FOLDER / "Bands.html").read_text()
    assert f'"L-{PROVED["Bands.card_meets"].first}"' in source
