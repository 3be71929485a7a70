"""A figure is its data, its drawing function and its record, and the three agree."""

import base64
import functools
import re
import shutil

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from rs_lib.book import builds, citation, figures, pictures, records, snippets, style
from rs_lib.book.drawings import neyman_pearson
from rs_lib.book.house import CONTEXT_VARIABLE, ChapterContext, House
from rs_lib.record import digests, machine, result

RECORD = ("csv", "json", "pdf", "svg")
KINDS = (*RECORD, "phone.svg")
WORDS = {"caption": "A line. It rises.", "alt": "A line that rises from left to right."}
DATA = pd.DataFrame({"x": [0.0, 1.0, 2.0], "y": [0.1, 1 / 3, 2.0], "series": ["a", "b", "b"]})


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A function that sets the running chapter (by its name and code) and returns its folder."""

    def enter(name="tiny", code="c0de", folder="figures"):
        context = ChapterContext(name, {"profile": "quick"}, code, str(tmp_path / folder))
        monkeypatch.setenv(CONTEXT_VARIABLE, context.to_environment())
        return tmp_path / folder

    return enter


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _seen(folder):
    """All but the record of the run, which tells of the last one."""
    return {name: data for name, data in _bytes(folder).items() if not name.endswith(".json")}


def test_publish_writes_files_that_agree(chapter, draw):
    folder = chapter()
    assert figures.publish(draw, "fig-a-1", data=DATA, inputs={"r": "d1"}, **WORDS) is None
    assert set(_bytes(folder)) == {f"fig-a-1.{kind}" for kind in KINDS}
    record = records.load(folder, "fig-a-1")
    csv = (folder / "fig-a-1.csv").read_text()
    assert record.content["data"] == digests.sha256(csv)
    pd.testing.assert_frame_equal(pictures.from_csv(csv), DATA, rtol=1e-9, check_dtype=False)
    assert record.run["inputs"] == {"r": "d1"}
    assert record.content["draw"] == "rs_lib.book.drawings.toy:line"
    svg = (folder / "fig-a-1.svg").read_bytes()
    assert record.content["pictures"] == {"svg": digests.sha256(svg)}


def test_frames_are_drawn_of_their_rows_alone(chapter, draw):
    folder = chapter()
    figures.publish(draw, "fig-a", data=DATA, frames="series", **WORDS)
    content = records.load(folder, "fig-a").content
    assert content["frames"] == {"column": "series", "labels": ["a", "b"]}
    frames = [f"{index}.{end}" for index in ("00", "01") for end in ("svg", "phone.svg")]
    assert set(_bytes(folder)) == {f"fig-a.{kind}" for kind in (*RECORD, *frames)}
    assert set(records.kinds(content)) == {"csv", "pdf", "svg", "00.svg", "01.svg"}
    alone = pictures.image_bytes(draw, "fig-a", pictures.to_csv(DATA[DATA["series"] == "b"]))
    assert (folder / "fig-a.01.svg").read_bytes() == alone["svg"]
    assert figures.redraw("fig-a", folder)["01.svg"] == alone["svg"]
    record = records.load(folder, "fig-a")
    text = snippets.snippet(record, record, "identical")
    assert text.count('type="radio"') == text.count("<label") == 2
    assert text.count(" checked>") == 1


def _says_its_points(rows):
    return f"{len(rows)} points, the highest {rows['y'].max():.1f} high."


def test_a_frame_is_told_by_what_it_shows(chapter, draw):
    folder = chapter()
    figures.publish(
        pictures.frames_say(_says_its_points)(draw), "fig-a", data=DATA, frames="series", **WORDS
    )
    record = records.load(folder, "fig-a")
    said = ["1 points, the highest 0.1 high.", "2 points, the highest 2.0 high."]
    assert record.content["frames"]["words"] == said
    text = snippets.snippet(record, record, "identical", phone=True)
    for label, words in zip("ab", said, strict=True):
        assert text.count(f":alt: {label}. {words}\n") == 2  # wide, and for phones
    assert text.count(f":alt: {WORDS['alt']}") == 1  # the still figure


def test_other_words_for_the_frames_are_a_change(chapter, draw):
    before = chapter()
    figures.publish(draw, "fig-a", data=DATA, frames="series", **WORDS)
    after = chapter(folder="again")
    told = pictures.frames_say(_says_its_points)(draw)
    figures.publish(told, "fig-a", data=DATA, frames="series", **WORDS)
    assert builds.compared(before, after, "fig-a") == ("changed", "other words for its frames")


def test_every_frame_of_the_book_is_told():
    for figure_id in RECORDED:
        content = records.load(House().figures, figure_id).content
        if "frames" in content:
            csv = (House().figures / f"{figure_id}.csv").read_text()
            drawing, column = records.drawing(content["draw"]), content["frames"]["column"]
            said = pictures.frame_words(drawing, csv, column)
            assert len(said) == len(content["frames"]["labels"]), figure_id
            assert len(set(said)) > 1, figure_id


@pytest.mark.parametrize("caption", ["Left: a line. Right: none.", "A line."])
def test_a_phone_shows_the_picture_that_is_drawn_for_it(chapter, caption):
    folder = chapter()
    data = pd.DataFrame({"series": "a", "n": [10, 100], "radius": [1.0, 2.0]})
    words = WORDS | {"caption": caption}
    figures.publish(neyman_pearson.ceiling, "fig-a", data=data, **words)
    record = records.load(folder, "fig-a")
    assert "phone.svg" not in records.kinds(record.content)
    wide, phone = (
        float(re.search(r'width="([\d.]+)pt"', (folder / f"fig-a.{kind}").read_text()).group(1))
        for kind in ("svg", "phone.svg")
    )
    assert phone <= 72 * style.PHONE < wide
    text = snippets.snippet(record, record, "identical", phone=True)
    assert text.index("{image} figures/fig-a.phone.svg") < text.index("{figure} ../figures/fig-a")
    assert ("left stands above" in text) == caption.startswith("Left")
    assert "phone" not in snippets.snippet(record, record, "identical")


def test_frames_that_are_gone_leave_no_file(chapter, draw):
    folder = chapter()
    more = pd.concat([DATA, DATA.assign(series="c")])
    figures.publish(draw, "fig-a", data=more, frames="series", **WORDS)
    figures.publish(draw, "fig-a-b", data=more, frames="series", **WORDS)
    figures.publish(draw, "fig-a", data=DATA, frames="series", **WORDS)
    assert {path.name for path in folder.glob("*.0?.svg")} == {
        *("fig-a.00.svg", "fig-a.01.svg"),
        *("fig-a-b.00.svg", "fig-a-b.01.svg", "fig-a-b.02.svg"),
    }
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    assert {path.name for path in folder.glob("fig-a.*")} == {f"fig-a.{kind}" for kind in KINDS}


def test_the_slider_says_once_what_its_labels_share(chapter, draw):
    folder = chapter()
    data = DATA.assign(series=["σ = 0.5", "σ = 1", "σ = 1"])
    figures.publish(draw, "fig-a", data=data, frames="series", **WORDS)
    record = records.load(folder, "fig-a")
    text = snippets.snippet(record, record, "identical")
    assert "<legend>σ =</legend>" in text
    assert '<label for="fig-a-0">0.5</label>' in text
    assert ":alt: σ = 0.5. A line that rises" in text


@pytest.mark.parametrize(
    "change", ["data", "caption", "picture", "alt", "code", "inputs", "statistics", "nothing"]
)
def test_a_citation_names_what_is_seen_and_nothing_else(chapter, draw, monkeypatch, change):
    folder = chapter()
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    before = records.load(folder, "fig-a")
    monkeypatch.setattr(machine, "commit", lambda: "another")
    if change == "picture":
        monkeypatch.setitem(pictures.style.RC, "font.size", 14.0)
    chapter(code="n3w" if change == "code" else "c0de")
    given = {"data": DATA, **WORDS}
    changes = {"data": DATA.assign(y=1.0), "inputs": {"r": "d2"}, "code": None}
    if change not in ("code", "picture", "nothing"):
        given[change] = changes.get(change, "Other words, which say something else.")
    figures.publish(draw, "fig-a", **given)
    after = records.load(folder, "fig-a")
    assert (after.digest != before.digest) == (change in ("data", "caption", "picture"))
    assert after.run["commit"] == "another"


def test_pictures_do_not_follow_the_last_bits_of_the_processor():
    """Matplotlib names clip paths by a digest of floats: here one path has two names."""
    one, other = (
        b'<a clip-path="url(#p%s)"/><clipPath id="p%s"/><use xlink:href="#m0123456789"/>' % (n, n)
        for n in (b"0123456789", b"abcdef0123")
    )
    assert pictures._named_in_order(one) == pictures._named_in_order(other) != one


def test_the_last_bits_of_the_data_do_not_count(chapter, draw):
    folder = chapter()
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    before = _seen(folder)
    nudged = DATA.assign(y=np.nextafter(DATA["y"], np.inf))
    figures.publish(draw, "fig-a", data=nudged, **WORDS)
    assert _seen(folder) == before


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"figure_id": "fig_a"}, "figure_id is 'fig_a'"),
        ({"figure_id": "fig-A"}, "figure_id"),
        ({"figure_id": "radii"}, "figure_id"),
        ({"figure_id": "fig-a/../b"}, "figure_id"),
        ({"alt": "A line"}, "alt of fig-a"),
        ({"alt": ""}, "alt of fig-a"),
        ({"caption": " "}, "caption of fig-a"),
        ({"data": DATA[:0]}, "data of fig-a"),
        ({"frames": "sigma"}, "frames of fig-a is 'sigma': give a column of the data, one of x, y"),
        ({"frames": "series", "data": DATA[1:]}, "frames of fig-a has 1 values"),
        ({"draw": lambda data: None}, "draw is"),
        ({"draw": functools.partial(neyman_pearson.ceiling)}, "draw is"),
        ({"draw": pd.DataFrame.plot}, "draw is"),
        ({"draw": None}, "draw is"),
        ({"draw": neyman_pearson.style.panels}, "draw is"),
        ({"figure_id": None}, "figure_id is"),
        ({"figure_id": "fig-" + "a" * 500}, "figure_id is"),
        ({"alt": 5}, "alt of fig-a"),
        ({"caption": None}, "caption of fig-a"),
        ({"caption": "\ud800"}, "caption of fig-a"),
        ({"statistics": None}, "statistics of fig-a"),
        ({"inputs": ["x"]}, "inputs of fig-a"),
        ({"inputs": {"../x": "d1"}}, "inputs of fig-a"),
        ({"inputs": {"x": None}}, "inputs of fig-a"),
        ({"tolerance": 0.1}, "tolerance of fig-a"),
        ({"data": [1, 2]}, "data of fig-a"),
        ({"data": DATA.set_axis(["x", "x", "y"], axis=1)}, "data of fig-a has the columns"),
        ({"data": DATA.set_axis([0, 1, 2], axis=1)}, "data of fig-a has the columns"),
        ({"frames": ["series"]}, "frames of fig-a is"),
        ({"frames": None}, "frames of fig-a is"),
        ({"frames": "series", "data": DATA.assign(series=[1, 1 + 1e-13, 1])}, "has 1 values"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(chapter, draw, change, named):
    folder = chapter()
    given = {"draw": draw, "figure_id": "fig-a", "data": DATA, **WORDS, **change}
    with pytest.raises(ValueError, match=named):
        figures.publish(**given)
    assert not folder.exists()


def test_an_id_belongs_to_one_chapter(chapter, draw):
    folder = chapter("tiny")
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    chapter("other")
    with pytest.raises(ValueError, match="which tiny publishes"):
        figures.publish(draw, "fig-a", data=DATA, **WORDS)
    assert records.load(folder, "fig-a").content["chapter"] == "tiny"


@pytest.mark.parametrize("still", [True, False])
def test_a_figure_may_move_once_its_chapter_no_longer_names_it(
    chapter, draw, monkeypatch, tmp_path, still
):
    folder = chapter("tiny")
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    house = House(tmp_path / "house")
    house.notebooks.mkdir(parents=True)
    house.book.mkdir()
    shutil.copytree(folder, house.figures)
    (house.notebooks / "tiny.md").write_text('"fig-a"' if still else '"fig-b"')
    monkeypatch.setattr(figures, "House", lambda: house)
    chapter("other")
    if still:
        with pytest.raises(ValueError, match="which tiny publishes"):
            figures.publish(draw, "fig-a", data=DATA, **WORDS)
    else:
        figures.publish(draw, "fig-a", data=DATA, **WORDS)
        assert records.load(folder, "fig-a").content["chapter"] == "other"


@pytest.fixture
def shown(monkeypatch):
    """What a notebook would display: its data and metadata."""
    outputs = []
    monkeypatch.setattr(figures, "get_ipython", lambda: "a session")
    monkeypatch.setattr(
        figures, "display", lambda data, raw, metadata: outputs.append((data, metadata))
    )
    return outputs


def test_a_notebook_shows_picture_and_caption_the_same_each_time(chapter, draw, shown):
    chapter()
    for _ in range(2):
        figures.publish(draw, "fig-a", data=DATA, frames="series", **WORDS)
    assert shown[:2] == shown[2:]
    (picture, about), (caption, mark) = shown[:2]
    assert base64.b64decode(picture["image/png"]).startswith(b"\x89PNG")
    assert about == {records.SHOWN: "fig-a", "image/png": {"alt": WORDS["alt"]}}
    assert mark == {records.SHOWN: "fig-a"}
    assert caption["text/markdown"] == f"{WORDS['caption']} (`fig-a`)"


def test_a_figure_of_a_changed_run_is_marked(draw, shown, monkeypatch, tmp_path):
    context = ChapterContext("tiny", {"profile": "quick", "n": 5}, "c0de", str(tmp_path))
    monkeypatch.setenv(CONTEXT_VARIABLE, context.to_environment())
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    assert shown[1][0]["text/markdown"].startswith("*A changed run: n = 5.* A line.")
    assert records.load(tmp_path, "fig-a").run["parameters"] == {"profile": "quick", "n": 5}


def test_an_interactive_session_sees_the_figure_and_writes_nothing(
    draw, shown, monkeypatch, tmp_path
):
    monkeypatch.delenv(CONTEXT_VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    assert [list(data) for data, _ in shown] == [
        ["image/png", "text/plain"],
        ["text/markdown", "text/plain"],
    ]
    assert list(tmp_path.iterdir()) == []


def test_redraw_uses_the_csv_alone_and_refuses_another(chapter, draw):
    folder = chapter()
    figures.publish(draw, "fig-a", data=DATA, **WORDS)
    images = figures.redraw("fig-a", folder)
    assert images == {kind: (folder / f"fig-a.{kind}").read_bytes() for kind in ("svg", "pdf")}
    csv = folder / "fig-a.csv"
    csv.write_text(csv.read_text().replace("0.1", "0.2"))
    with pytest.raises(ValueError, match="data of fig-a is not what its record names"):
        figures.redraw("fig-a", folder)
    with pytest.raises(ValueError, match="'fig-b': give one of fig-a"):
        figures.redraw("fig-b", folder)


LOOSE = figures.Tolerance(0.0, 0.05, "votes differ")


@pytest.mark.parametrize(
    ("again", "tolerance", "verdict", "reason"),
    [
        (DATA, None, "identical", "byte for byte"),
        (DATA, LOOSE, "identical", "byte for byte"),
        (DATA.assign(y=DATA["y"] + 0.04), LOOSE, "within tolerance", "votes differ"),
        (DATA.assign(y=DATA["y"] + 0.04), None, "changed", "allows no difference"),
        (DATA.assign(y=DATA["y"] + 0.06), LOOSE, "changed", "column y in 3 rows"),
        (DATA.assign(y=[0.1, np.nan, 2]), LOOSE, "changed", "column y in 1 rows"),
        (DATA.assign(series="a"), LOOSE, "changed", "column series"),
        (DATA[:2], LOOSE, "changed", "another shape"),
        (DATA.rename(columns={"series": "name"}), LOOSE, "changed", "another shape"),
        (
            DATA.assign(note=["0", "1", "2"], y=["a", "b", "c"])[["x", "y", "series"]],
            LOOSE,
            "changed",
            "y",
        ),
    ],
)
def test_compare_judges_a_rerun(chapter, draw, again, tolerance, verdict, reason):
    recorded = chapter(folder="recorded")
    figures.publish(draw, "fig-a", data=DATA, tolerance=tolerance, **WORDS)
    rerun = chapter(folder="again")
    figures.publish(draw, "fig-a", data=again, tolerance=tolerance, **WORDS)
    found = builds.compared(recorded, rerun, "fig-a")
    assert found[0] == verdict
    assert reason in found[1]


def test_compare_sees_missing_figures_and_changed_pictures(chapter, draw, monkeypatch):
    recorded = chapter(folder="recorded")
    figures.publish(draw, "fig-a", data=DATA, tolerance=LOOSE, **WORDS)
    rerun = chapter(folder="again")
    rerun.mkdir()
    assert builds.compared(recorded, rerun, "fig-a") == (
        "changed",
        "the build does not publish it",
    )
    assert builds.compared(rerun, recorded, "fig-a") == ("new", "it is not recorded")
    monkeypatch.setitem(pictures.style.RC, "font.size", 14.0)
    figures.publish(draw, "fig-a", data=DATA, tolerance=LOOSE, **WORDS)
    assert builds.compared(recorded, rerun, "fig-a") == (
        "changed",
        "the same data make another picture",
    )


RECORDED = figures.figure_ids(House().figures)


def test_nothing_but_complete_figures_is_recorded():
    present = {path.name for path in House().figures.iterdir()}
    assert present == {
        f"{figure_id}.{kind}"
        for figure_id in RECORDED
        for kind in (
            *records.kinds(records.load(House().figures, figure_id).content),
            *("json", "bib"),
        )
    } | {builds.FORMER}


@pytest.mark.parametrize("figure_id", RECORDED)
def test_a_recorded_figure_is_redrawn_byte_for_byte(figure_id):
    folder = House().figures
    for kind, data in figures.redraw(figure_id).items():
        assert data == (folder / f"{figure_id}.{kind}").read_bytes(), kind


@pytest.mark.parametrize("look", ["RC", "PHONE_RC"])
@pytest.mark.parametrize("figure_id", RECORDED)
def test_nothing_leaves_the_picture(figure_id, look):
    """Titles, labels, legends and panels lie inside of it, on paper and on a phone."""
    folder = House().figures
    draw = records.drawing(records.load(folder, figure_id).content["draw"])
    data = pictures.from_csv((folder / f"{figure_id}.csv").read_text())
    with mpl.rc_context(getattr(style, look)):
        figure = draw(data)
        figure.canvas.draw()
        slack = figure.bbox.padded(0.5 * figure.dpi / 72)
        boxes = [part.get_tightbbox() for part in figure.get_default_bbox_extra_artists()]
        plt.close(figure)
    assert boxes
    for box in filter(None, boxes):
        # Of a part without anything to draw the ends are infinite, the wrong way round.
        assert (box.p0 >= slack.p0).all(), box
        assert (box.p1 <= slack.p1).all(), box


@pytest.mark.parametrize("figure_id", RECORDED)
def test_the_files_of_a_recorded_figure_agree(figure_id):
    folder = House().figures
    record = records.load(folder, figure_id)
    content = record.content
    assert content["id"] == figure_id
    assert content["data"] == digests.sha256((folder / f"{figure_id}.csv").read_bytes())
    assert len(content["alt"].split()) >= 5
    assert content["caption"].strip()
    assert content["chapter"] in House().chapter_names()
    assert record.run["parameters"]["profile"] in ("quick", "full")
    images = [kind for kind in records.kinds(content) if kind.endswith("svg")]
    assert content["pictures"] == {
        kind: digests.sha256((folder / f"{figure_id}.{kind}").read_bytes()) for kind in images
    }
    assert content["tolerance"] is None or content["tolerance"]["reason"]
    entry = snippets.bibtex(record, citation.load(House()))
    assert (folder / f"{figure_id}.bib").read_text() == entry
    for kind in ("svg", "pdf"):
        data = (folder / f"{figure_id}.{kind}").read_bytes()
        assert b"CreationDate" not in data
        assert b"<dc:date>" not in data


@pytest.mark.parametrize("figure_id", RECORDED)
def test_a_recorded_figure_names_results_that_exist(figure_id):
    house = House()
    for name, digest in records.load(house.figures, figure_id).run["inputs"].items():
        assert digest == result.read(house.results / f"{name}.json").digest
