"""Works that a page would cite alike get letters, in the citation and in the bibliography."""

import itertools

from pybtex.database import parse_string

from rs_lib.book.house import House
from rs_lib.book.sphinx_theme import tell_apart

WORKS = """
@misc{later, author = {Levine, Alex and Feizi, S}, year = {2020}, title = {Robust}}
@misc{first, author = {Levine, Alex and Feizi, S}, year = {2020}, title = {({De})Randomized}}
@misc{other, author = {Levine, Alex and Feizi, S}, year = {2021}, title = {Robust again}}
@misc{three, author = {Yang, G and Duan, T and Hu, E}, year = {2020}, title = {Shapes}}
@misc{four, author = {Yang, Y and Rash, C and Zhang, H and Sala, R}, year = {2020}, title = {Look}}
@misc{alone, author = {Yang, G}, year = {2020}, title = {Alone}}
@misc{undated, author = {Yang, G}, title = {Undated}}
"""


def _years(text):
    entries = parse_string(text, "bibtex").entries
    tell_apart(entries.values())
    once = {key: entry.fields.get("year") for key, entry in entries.items()}
    tell_apart(entries.values())  # as Sphinx does when it keeps its environment
    assert once == {key: entry.fields.get("year") for key, entry in entries.items()}
    return once


def test_works_that_are_cited_alike_get_letters_in_the_order_of_their_titles():
    years = _years(WORKS)
    assert (years["first"], years["later"], years["other"]) == ("2020a", "2020b", "2021")
    assert (years["four"], years["three"]) == ("2020a", "2020b")  # both are "Yang et al."
    assert (years["alone"], years["undated"]) == ("2020", None)


def test_no_two_works_of_the_book_are_cited_alike():
    entries = parse_string(House().bibliography.read_text(), "bibtex").entries
    tell_apart(entries.values())
    for one, two in itertools.combinations(entries.values(), 2):
        names = [[str(p.last_names) for p in work.persons["author"]] for work in (one, two)]
        cited = [tuple(n) if len(n) < 3 else (n[0], "et al.") for n in names]
        same_year = one.fields.get("year") == two.fields.get("year")
        assert cited[0] != cited[1] or not same_year, (one.key, two.key)
