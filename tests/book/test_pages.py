"""The rendered book in a real browser: whole, readable, accessible, and without a network.

The browser resolves no host name, so what a page would fetch from elsewhere fails, and every
request is recorded and judged. Each page is opened once in light and dark mode, at the width of
a phone, and from a file; the tests ask the open page.
"""

import functools
import html
import http.server
import json
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import nbformat
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from fontTools.ttLib import TTFont
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from rs_lib.book import (
    cards,
    claims,
    contents,
    folding,
    formal,
    gallery,
    library,
    records,
    site,
    try_page,
)
from rs_lib.book.house import House
from rs_lib.certificates import ablation, discrete, gaussian, laplace, patch, uniform
from rs_lib.geometry import grids
from rs_lib.statistics import clopper_pearson_lower

HOUSE = House()
FIGURE = "fig-np-cifar10"
# Of the pages that the build makes for each figure, module and file of proofs one is looked at.
PAGES = [
    *contents.pages(HOUSE),
    f"chapters/{formal.FOLDER}/Bands",
    f"chapters/{gallery.FOLDER}/{FIGURE}",
    f"chapters/{library.FOLDER}/rs_lib.certificates.gaussian",
]
CHAPTERS = [f"chapters/{name}" for name in HOUSE.chapter_names()]
DOWNLOADS = ("bib", "csv", "json", "pdf", "svg")
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


@dataclass
class Visit:
    """An open page and all that happened since it was asked for."""

    page: Page
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def watch(self) -> "Visit":
        page = self.page
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("requestfailed", lambda request: self.problems.append(f"no {request.url}"))
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.problems.append(message.text) if message.type in ("error", "warning") else None
            ),
        )
        page.on(
            "response",
            lambda answer: (
                self.problems.append(f"{answer.status} {answer.url}")
                if answer.status >= 400
                else None
            ),
        )
        return self

    def open(self, url: str) -> "Visit":
        """Go to `url` and wait until MathJax has set the formulas."""
        self.page.goto("about:blank")
        self.requests.clear()
        self.problems.clear()
        self.page.goto(url, wait_until="load")
        self.page.wait_for_function(
            "() => !document.querySelector('.math') || window.MathJax?.startup?.promise"
        )
        self.page.evaluate("() => window.MathJax?.startup?.promise")
        return self


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        told = "there is no `chromium` on PATH: install Debian's package to look at the pages"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    missing = site.missing_pages(HOUSE)
    assert not missing, f"the rendered book lacks {missing}: run `make book` first"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(HOUSE.html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def _context(browser: Browser, colours: str = "light", width: int = 1280) -> BrowserContext:
    context = browser.new_context(
        color_scheme=colours,  # type: ignore[arg-type]
        viewport={"width": width, "height": 900},
        reduced_motion="reduce",
    )
    context.set_default_timeout(20_000)
    return context


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[Visit]:
    """A desktop reader in light mode, for tests that go from page to page."""
    with _context(browser) as context:
        yield Visit(context.new_page()).watch()


@pytest.fixture(scope="module", params=PAGES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def modes(browser: Browser) -> Iterator[dict[str, Visit]]:
    with (
        _context(browser) as light,
        _context(browser, "dark") as dark,
        _context(browser, width=390) as phone,
    ):
        contexts = {"light": light, "dark": dark, "phone": phone}
        yield {mode: Visit(context.new_page()).watch() for mode, context in contexts.items()}


@pytest.fixture(scope="module")
def light(name: str, modes: dict[str, Visit], address: str) -> Visit:
    return modes["light"].open(f"{address}/{name}.html")


@pytest.fixture(scope="module")
def dark(name: str, modes: dict[str, Visit], address: str) -> Visit:
    return modes["dark"].open(f"{address}/{name}.html")


@pytest.fixture(scope="module")
def phone(name: str, modes: dict[str, Visit], address: str) -> Visit:
    return modes["phone"].open(f"{address}/{name}.html")


FOREIGN = re.compile(r"(?!http://127\.0\.0\.1:|file:|data:|blob:)")
RAW_TEX = re.compile(r"\$|\\[()\[\]]|\\[A-Za-z]{2,}|\{glue")
VISIBLE_TEXT = """() => {
  const texts = [];
  const walker = document.createTreeWalker(document.querySelector("article"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const inside = walker.currentNode.parentElement;
    if (!inside.closest("pre, code, script, style, mjx-container") && inside.checkVisibility())
      texts.push(walker.currentNode.textContent);
  }
  return texts;
}"""
# Formulas as MathJax tells them to screen readers: its picture of them holds no text.
FORMULAS = """() => ({
  asked: document.querySelectorAll("article .math").length,
  set: [...document.querySelectorAll("article .math")].filter(
    span => span.querySelector("mjx-container mjx-math")?.getBoundingClientRect().width > 0
            || !span.checkVisibility()).length,
  errors: document.querySelectorAll("mjx-merror, [data-mjx-error]").length,
  spoken: [...document.querySelectorAll("mjx-assistive-mml")].map(mml => mml.textContent),
})"""


def _assert_whole(visit: Visit) -> None:
    assert visit.problems == []
    assert [url for url in visit.requests if FOREIGN.match(url)] == []
    shown = visit.page.evaluate(VISIBLE_TEXT)
    assert shown
    assert [text for text in shown if RAW_TEX.search(text)] == []
    formulas = visit.page.evaluate(FORMULAS)
    assert formulas["set"] == formulas["asked"]
    assert formulas["errors"] == 0
    assert [text for text in formulas["spoken"] if "glue" in text or "\\" in text] == []


def test_a_page_is_whole_over_http(light: Visit) -> None:
    _assert_whole(light)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_whole_from_a_file(page: str, reader: Visit) -> None:
    _assert_whole(reader.open((HOUSE.html / f"{page}.html").as_uri()))


def test_chapters_have_formulas(name: str, light: Visit) -> None:
    # Else the checks above would hold of a book whose formulas are gone.
    if name in CHAPTERS:
        assert light.page.evaluate(FORMULAS)["asked"] > 20


MOST_SCREENS, MOST_WORDS = 15.0, 3_000
"""Of a chapter before its exercises, on a desktop, checks folded; a picture by the second."""


def test_a_chapter_is_one_short_story_with_a_picture_early(name: str, light: Visit) -> None:
    if name not in CHAPTERS:
        return
    chapter = name.removeprefix("chapters/")
    assert cards.words(HOUSE.source(chapter).read_text()) <= MOST_WORDS
    exercises, picture, titles = light.page.evaluate(
        """() => {
          const top = element => element.getBoundingClientRect().top + scrollY;
          const heads = [...document.querySelectorAll("article h2")];
          return [
            top(heads.find(head => head.textContent.includes("Exercises"))),
            top([...document.querySelectorAll("article figure, article .rs-frames")].find(
              figure => figure.checkVisibility())),
            [...document.querySelectorAll("article .exercise .admonition-title")].map(
              title => title.textContent),
          ];
        }"""
    )
    assert exercises / 900 <= MOST_SCREENS
    assert picture / 900 < 2
    assert 3 <= len(titles) <= 6
    levels = [re.search(r"\((easy|harder|open)(, code)?\)", title) for title in titles]
    assert all(levels)
    assert {"easy", "harder"} <= {level[1] for level in levels}


def test_pictures_have_words(light: Visit) -> None:
    pictures = light.page.locator("article img").evaluate_all(
        """async all => {
          all.forEach(img => { img.loading = "eager"; });
          await Promise.all(all.map(img => img.decode()));
          return all.map(img => [img.src, img.alt.trim(), img.naturalWidth]);
        }"""
    )
    assert [src for src, alt, width in pictures if len(alt.split()) < 5 or not width] == []
    light.page.evaluate(OPENED)
    captions = light.page.locator("article figure").evaluate_all(
        """all => all.map(figure => {
          const caption = figure.querySelector("figcaption");
          return [figure.id, caption?.checkVisibility() ? caption.innerText : ""];
        })"""
    )
    assert [id_ for id_, text in captions if len(text.split()) < 5] == []


def test_a_figure_stands_once_on_its_page_and_once_in_the_notebook_it_offers(
    name: str, light: Visit
) -> None:
    if name not in CHAPTERS:
        return
    published = sorted(
        id_
        for id_ in records.figure_ids(HOUSE.figures)
        if f"chapters/{records.load(HOUSE.figures, id_).content['chapter']}" == name
    )
    page = light.page
    assert sorted(page.locator("article figure").evaluate_all("all => all.map(f => f.id)")) == (
        published
    )
    pictures = page.locator("article img").evaluate_all("all => all.map(img => img.src)")
    assert len(set(pictures)) == len(pictures)
    offered = page.locator("a[href$='.ipynb'].btn-download-source-button").get_attribute("href")
    path = _file(urljoin(page.url, offered))
    assert path.stat().st_size < 2_000_000
    outputs = [
        output for cell in nbformat.read(path, 4).cells for output in cell.get("outputs", [])
    ]
    shown = [output for output in outputs if "image/png" in output.get("data", {})]
    assert sorted(output.metadata[records.SHOWN] for output in shown) == published


def test_the_build_drew_what_is_recorded() -> None:
    """A changed or new figure is taken into the record on purpose: `make record`."""
    stored = json.loads(HOUSE.verdicts.read_text())
    wrong = {
        name: figure
        for name, figure in stored["figures"].items()
        if figure["verdict"] in ("changed", "new")
    }
    assert not wrong
    assert sum(stored["counts"].values()) == len(records.figure_ids(HOUSE.figures))


def _downloads(page: Page, groups: str) -> list[list[Path]]:
    links = page.locator(groups).evaluate_all(
        "all => all.map(group => [...group.querySelectorAll('a.download')].map(a => a.href))"
    )
    return [[_file(link) for link in group] for group in links]


def _assert_all_of_the_record(files: list[Path]) -> None:
    assert sorted(file.suffix[1:] for file in files) == list(DOWNLOADS)
    for file in files:
        # Where a build agrees with the record it offers the record.
        assert file.read_bytes() == (HOUSE.figures / file.name).read_bytes()
        assert file.stat().st_size > 0
        if file.suffix == ".json":
            assert json.loads(file.read_text())["content"]["id"] == file.stem


def test_every_figure_can_be_downloaded_where_it_stands(name: str, light: Visit) -> None:
    published = sum(
        f"chapters/{records.load(HOUSE.figures, id_).content['chapter']}" == name
        for id_ in records.figure_ids(HOUSE.figures)
    )
    groups = _downloads(light.page, ".rs-downloads")
    assert len(groups) == published
    for files in groups:
        _assert_all_of_the_record(files)


def test_every_figure_has_a_page_with_all_of_it() -> None:
    for id_ in records.figure_ids(HOUSE.figures):
        page = HOUSE.html / "chapters" / gallery.FOLDER / f"{id_}.html"
        links = re.findall(
            r'<a class="reference download internal"[^>]*href="([^"]+)"', page.read_text()
        )
        _assert_all_of_the_record([(page.parent / unquote(link)).resolve() for link in links])


def test_three_clicks_put_the_citation_of_a_figure_on_the_clipboard(
    address: str, browser: Browser
) -> None:
    with _context(browser) as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = Visit(context.new_page()).watch().open(f"{address}/intro.html").page
        page.locator("nav a", has_text="The figure record").first.click()
        page.locator(f"a[href$='{FIGURE}.html']").first.click()
        page.get_by_role("button", name="Copy BibTeX").click()
        page.wait_for_function("document.querySelector('.rs-copy').textContent === 'Copied'")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == (HOUSE.figures / f"{FIGURE}.bib").read_text()
        page.get_by_role("button", name="Copy link").click()
        page.wait_for_function("document.querySelectorAll('.rs-copy')[1].textContent === 'Copied'")
        assert page.evaluate("navigator.clipboard.readText()") == page.url


def test_figures_are_found_by_paper_data_set_and_word(address: str, reader: Visit) -> None:
    page = reader.open(f"{address}/chapters/figures.html").page
    rows = page.locator("table.rs-figures tbody tr")
    everything = rows.count()
    assert everything == len(records.figure_ids(HOUSE.figures))
    for words, least in (("cohen2019 cifar-10", 2), ("backdoors mnist", 1), (FIGURE, 1)):
        page.get_by_role("searchbox").last.fill(words)
        left = page.locator("table.rs-figures tbody tr:visible").count()
        assert least <= left < everything / 2
        assert page.locator(".rs-find output").inner_text() == f"{left} of {everything}"
    page.get_by_role("searchbox").last.fill("")
    assert page.locator("table.rs-figures tbody tr:visible").count() == everything


def test_the_ledger_sorts_by_a_column(address: str, reader: Visit) -> None:
    table = reader.open(f"{address}/chapters/claims.html").page.locator("table.rs-ledger").first
    kinds = table.locator("tbody td:nth-child(2)")
    before = [kind.split(",")[0] for kind in kinds.all_inner_texts()]
    assert before != sorted(before)
    for order in (sorted(before), sorted(before, reverse=True)):
        table.get_by_role("button", name="Kind").click()
        assert [kind.split(",")[0] for kind in kinds.all_inner_texts()] == order


def test_a_theorem_leads_to_its_check_and_its_code_and_back(address: str, reader: Visit) -> None:
    page = reader.open(f"{address}/chapters/neyman-pearson-radii.html").page
    theorem = page.locator("#thm-radius")
    theorem.locator("a[href='#check-thm-radius']").click()
    page.wait_for_timeout(300)
    assert page.locator("#check-thm-radius").is_visible()  # the fold has opened
    theorem.get_by_text("gaussian.radius").click()
    page.wait_for_load_state()
    assert re.search(r"rs_lib\.certificates\.gaussian\.html#L-\d+$", page.url)
    page.get_by_role("link", name="thm-radius").click()
    page.wait_for_load_state()
    assert page.url.endswith("neyman-pearson-radii.html#thm-radius")


def _file(url: str) -> Path:
    return HOUSE.html / unquote(urlsplit(url).path).lstrip("/")


@functools.cache
def _anchors(page: Path) -> set[str]:
    return set(re.findall(r'\bid="([^"]+)"', page.read_text()))


def test_links_lead_somewhere(address: str, light: Visit) -> None:
    links = light.page.locator("a[href]").evaluate_all(
        "all => all.map(a => new URL(a.getAttribute('href'), document.baseURI).href)"
    )
    dead = []
    for link in sorted(set(links)):
        target, anchor = urldefrag(urljoin(light.page.url, link))
        if not target.startswith(address):
            assert target.startswith("https://"), f"{target} is neither in the book nor safe"
            continue
        file = _file(target)
        if not file.is_file() or (anchor and unquote(anchor) not in _anchors(file)):
            dead.append(link)
    assert dead == []


def _violations(page: Page) -> list[str]:
    # MathJax's own markup is left out: it is not ours, and most of axe's time would go to it.
    scope = {"exclude": [["mjx-container"]]}
    options = {
        "resultTypes": ["violations"],
        # A long formula may scroll; Chromium lets the keyboard do that without a tabindex.
        "rules": {"scrollable-region-focusable": {"enabled": False}},
    }
    return [
        f"{violation['id']}: {node['html'][:200]}"
        for violation in Axe().run(page, scope, options).response["violations"]
        for node in violation["nodes"]
    ]


def test_axe_finds_nothing_in_light_mode(light: Visit) -> None:
    assert light.page.evaluate("document.documentElement.dataset.theme") == "light"
    assert _violations(light.page) == []


def test_axe_finds_nothing_in_dark_mode(dark: Visit) -> None:
    # The reader's system asks for dark, and the book follows.
    assert dark.page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert dark.problems == []
    assert _violations(dark.page) == []


# Visible elements that reach over the edge and that no scrolling element holds.
STICKING_OUT = """() => {
  const edge = document.documentElement.clientWidth + 1;
  const scrolls = element => {
    for (let at = element; at && at !== document.body; at = at.parentElement)
      if (["auto", "scroll"].includes(getComputedStyle(at).overflowX)) return true;
    return false;
  };
  return [...document.body.querySelectorAll("*")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (box.right > edge || box.left < -1)
      && element.checkVisibility({visibilityProperty: true, opacityProperty: true})
      && !scrolls(element);
  }).map(element => element.outerHTML.slice(0, 160));
}"""


# The pictures that are seen in another shape than they were drawn in.
OUT_OF_SHAPE = """async () => {
  const all = [...document.querySelectorAll("article img")].filter(img => img.checkVisibility());
  all.forEach(img => { img.loading = "eager"; });
  await Promise.all(all.map(img => img.decode()));
  return all.filter(img => Math.abs(
    img.clientHeight * img.naturalWidth - img.clientWidth * img.naturalHeight
  ) > 2 * Math.max(img.naturalWidth, img.naturalHeight)).map(img => img.src);
}"""


def test_pictures_keep_their_shape(light: Visit, phone: Visit) -> None:
    assert light.page.evaluate(OUT_OF_SHAPE) == []
    assert phone.page.evaluate(OUT_OF_SHAPE) == []


def test_a_page_fits_a_phone(phone: Visit) -> None:
    assert phone.problems == []
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert phone.page.evaluate(STICKING_OUT) == []


def test_paper_cuts_no_code(light: Visit) -> None:
    page = light.page
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 794, "height": 900})  # A4 at 96 pixels an inch
    try:
        cut = page.locator("pre").evaluate_all(
            "all => all.filter(pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.innerText)"
        )
    finally:
        page.emulate_media(media="screen")
        page.set_viewport_size({"width": 1280, "height": 900})
    assert cut == []


# What is folded on a page, code apart, and what of it is open.
FOLDS = """() => [
  ...document.querySelectorAll("article details:not(.hide), article .solution")
].map(fold => fold.matches("details") ? fold.open : fold.lastElementChild.clientHeight > 1)"""


def test_paper_shows_proofs_pictures_and_solutions_that_are_folded(name: str, light: Visit) -> None:
    if name not in CHAPTERS:
        return
    page = light.page
    page.locator("article details").evaluate_all("all => all.forEach(fold => fold.open = false)")
    before = page.evaluate(FOLDS)
    assert before
    assert not any(before)
    page.evaluate(
        f"() => addEventListener('beforeprint', () => {{ window.printed = ({FOLDS})(); }})"
    )
    page.pdf(format="A4")
    assert page.evaluate("window.printed") == [True] * len(before)
    assert page.evaluate(FOLDS) == before


# The pictures of a slider that a reader sees, and whether the still figure is seen.
FRAMES = """slider => ({
  shown: [...slider.querySelectorAll(".rs-wide > img")].map(img => img.checkVisibility()),
  still: slider.nextElementSibling.querySelector("img").checkVisibility(),
})"""


def test_a_slider_shows_one_picture_at_a_time_and_paper_the_still_one(light: Visit) -> None:
    sliders = light.page.locator(".rs-frames")
    for number in range(sliders.count()):
        slider = sliders.nth(number)
        frames = slider.locator(".rs-wide > img").count()
        assert slider.locator("input").count() == frames
        first = [k == 0 for k in range(frames)]
        assert slider.evaluate(FRAMES) == {"shown": first, "still": False}
        slider.locator("label").nth(1).click()
        light.page.keyboard.press("ArrowRight")  # what the keyboard does to radio buttons
        third = [k == 2 % frames for k in range(frames)]
        assert slider.evaluate(FRAMES) == {"shown": third, "still": False}
        light.page.emulate_media(media="print")
        on_paper = slider.evaluate(FRAMES)
        light.page.emulate_media(media="screen")
        assert on_paper == {"shown": [False] * frames, "still": True}


# For each figure of a page: how many of its pictures are seen, and how wide they are.
OPENED = """() => document.querySelectorAll("article details:has(figure)").forEach(
  fold => { fold.open = true; })"""
PICTURES = """() => [...document.querySelectorAll("article figure[id]")].map(figure => {
  const before = figure.previousElementSibling;
  const near = before?.matches(".rs-frames, .rs-phone") ? [...before.querySelectorAll("img")] : [];
  const seen = [...near, ...figure.querySelectorAll("img")].filter(img => img.checkVisibility());
  return {id: figure.id, widths: seen.map(img => img.getBoundingClientRect().width)};
})"""


def test_a_phone_sees_one_picture_of_a_figure_and_it_fits(phone: Visit) -> None:
    phone.page.evaluate(OPENED)
    seen = phone.page.evaluate(PICTURES)
    assert [figure for figure in seen if len(figure["widths"]) != 1] == []
    assert [figure for figure in seen if figure["widths"][0] > 390] == []


def test_there_are_sliders() -> None:
    # Else the test above would hold of a book without any.
    pages = [path.read_text() for path in (HOUSE.html / "chapters").glob("*.html")]
    assert sum(page.count('class="rs-frames') for page in pages) >= 3


def test_search_knows_no_code_and_no_letters_of_formulas() -> None:
    index = (HOUSE.html / "searchindex.js").read_text()
    assert "half" in index
    for word in ("mathbb", "varphi", "ndtri", "linspac"):
        assert f'"{word}"' not in index


def test_pages_load_what_they_need() -> None:
    for name in CHAPTERS:
        text = (HOUSE.html / f"{name}.html").read_text()
        assert not re.search(r"fontawesome\.js|searchindex\.js|thebe-lite|cdn\.", text)
        pictures = re.findall(r"<img [^>]*/fig-[^>]*>", text)
        assert all(re.search(r'width="\d+" height="\d+"', image) for image in pictures)
        assert all('loading="lazy"' in image for image in pictures[1:])


def test_no_page_shows_the_inside_of_an_object() -> None:
    """What the last line of a cell happened to return, such as a headline of the scoreboard."""
    outputs = re.compile(r'class="output text_plain[^"]*">(.*?)</pre>', re.DOTALL)
    for name in CHAPTERS:
        for shown in outputs.findall((HOUSE.html / f"{name}.html").read_text()):
            text = html.unescape(re.sub(r"<[^>]*>", "", shown)).strip()
            assert not re.match(r"<|[A-Z]\w*\(\w+=", text), (name, text[:80])


MOST_BYTES = 1_500_000
"""Of a chapter's page, with all that it loads but its pictures, as they are stored."""


def test_a_chapter_s_page_is_light(name: str, light: Visit) -> None:
    if name not in CHAPTERS:
        return
    # What is not there is another test's matter: axe asks for imported style sheets in vain.
    loaded = {_file(url) for url in light.requests if url.startswith("http")}
    files = {file for file in loaded if file.is_file()}
    pictures = {file for file in files if "_images" in file.parts}
    assert len(files - pictures) > 10
    assert sum(file.stat().st_size for file in files - pictures) <= MOST_BYTES


def test_the_icons_font_has_every_icon_of_the_style_sheets() -> None:
    static = HOUSE.html / "_static"
    sheets = "".join(sheet.read_text() for sheet in (static / "styles").glob("*.css"))
    (address,) = set(re.findall(r"url\(\.\./(vendor/[^)]*fa-solid[^)]*)\)", sheets))
    icons = {int(code, 16) for code in re.findall(r'"\\(f[0-9a-f]{3})"', sheets)}
    assert len(icons) > 10
    assert icons <= set(TTFont(static / address).getBestCmap())


def test_menus_and_the_contents_of_a_phone_open(address: str, browser: Browser) -> None:
    with _context(browser) as context:
        visit = Visit(context.new_page()).watch().open(f"{address}/{CHAPTERS[0]}.html")
        menu = visit.page.locator(".dropdown-download-buttons")
        assert not menu.locator(".dropdown-menu").is_visible()
        menu.get_by_role("button").click()
        assert menu.locator(".dropdown-menu").is_visible()
        visit.page.keyboard.press("Control+k")
        visit.page.wait_for_selector("#pst-search-dialog", state="visible")
        assert visit.problems == []
    with _context(browser, width=390) as context:
        visit = Visit(context.new_page()).watch().open(f"{address}/{CHAPTERS[0]}.html")
        link = visit.page.locator("#bd-docs-nav a, nav.bd-links a", has_text="Label flips").first
        assert not link.is_visible()
        visit.page.locator("button.primary-toggle:visible").click()
        link.wait_for(state="visible")
        assert visit.problems == []


def test_a_reference_tells_what_it_leads_to(address: str, reader: Visit) -> None:
    page = reader.open(f"{address}/chapters/neyman-pearson-radii.html").page
    for selector, beginning in (
        ("a[href$='#thm-radius']", "Theorem 1."),
        ("a[href^='#fig-']:has(.std-numref)", "Fig. 1."),
        ("a[href^='#equation-']:not(.headerlink)", "(1."),
        ("a[href*='bibliography.html#']", ""),
    ):
        link = page.locator(f"article {selector}").first
        title = link.get_attribute("title")
        assert title
        assert title.startswith(beginning)
        assert not re.search(r"[\\<>]{2}|\\\w", title)
        # The tooltip describes the link, and its words stay its name.
        assert link.evaluate("link => link.textContent.trim().length") > 0


def test_search_finds_the_half_space(address: str, reader: Visit) -> None:
    reader.open(f"{address}/search.html?q=half-space")
    reader.page.wait_for_selector("#search-results li a")
    found = reader.page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    assert any("chapters/neyman-pearson-radii.html" in link for link in found)
    assert reader.problems == []


def test_the_switch_turns_the_page_dark_and_is_remembered(address: str, browser: Browser) -> None:
    with _context(browser) as context:
        visit = Visit(context.new_page()).watch().open(f"{address}/intro.html")
        page = visit.page
        ground = "getComputedStyle(document.body).backgroundColor"
        bright = page.evaluate(ground)
        for _ in range(3):  # light, dark and the system's choice take turns
            if page.evaluate("document.documentElement.dataset.mode") == "dark":
                break
            page.locator("button.theme-switch-button:visible").first.click()
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert page.evaluate(ground) != bright
        visit.open(f"{address}/notation.html")
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.fixture(scope="module")
def pieces(address: str, browser: Browser) -> Iterator[Page]:
    with _context(browser) as context:
        yield Visit(context.new_page()).watch().open(f"{address}/try-it.html").page


LIBRARY = {
    "gaussian": lambda p, scale: gaussian.radius(p, scale),
    "laplace": lambda p, scale: laplace.radius_l1(p, scale),
    "uniform": lambda p, scale: uniform.radius_l1(p, scale),
    "ablation": lambda p, scale: ablation.radius(p, 784, int(scale)),
    "flips": lambda p, scale: discrete.radius(p, str(scale)),
}


@pytest.mark.parametrize(
    ("law", "scale"),
    [("gaussian", 0.25), ("laplace", 1.5), ("uniform", 0.7), ("ablation", 45), ("flips", 0.8)],
)
@pytest.mark.parametrize(
    ("votes", "samples", "alpha"),
    [
        (990, 1_000, 0.001),
        (1_000, 1_000, 0.001),
        (99_870, 100_000, 0.001),
        (61, 100, 0.05),
        (0, 9, 0.1),
        (998_500, 1_000_000, 1e-10),
    ],
)
def test_votes_bound_and_radius_are_the_library_s_rounded_down(
    pieces: Page, law: str, scale: float, votes: int, samples: int, alpha: float
) -> None:
    form = pieces.locator("#try-counts")
    form.locator("[name=law]").select_option(law)
    for name, value in {"votes": votes, "samples": samples, "alpha": alpha, "scale": scale}.items():
        form.locator(f"[name={name}]").fill(str(value))
    told = form.locator("output").inner_text()
    bound = float(clopper_pearson_lower(votes, samples, alpha))
    shown = float(re.search(r"p ≥ (-?[\d.]+)", told)[1])
    assert bound - 2e-4 < shown <= bound
    radius = float(LIBRARY[law](bound, scale))
    if bound <= 0.5:
        assert "nothing is certified" in told
    elif law in ("ablation", "flips"):
        assert re.search(r"certified: (\d+)", told)[1] == f"{radius:.0f}"
    else:
        assert radius - 3e-4 < float(re.search(r"radius ([\d.]+)", told)[1]) <= radius


def test_odd_votes_are_told_what_to_give(pieces: Page) -> None:
    form = pieces.locator("#try-counts")
    form.locator("[name=votes]").fill("2000000")
    assert form.locator("output").inner_text().startswith("Give 0 ≤ votes ≤ samples")


@pytest.mark.parametrize("band", [2, 4, 6])
def test_the_widest_patch_is_the_library_s(pieces: Page, band: int) -> None:
    """Seeded votes with a lead of the first class, twelve for each band."""
    form, draw = pieces.locator("#try-patches"), np.random.default_rng(band)
    form.locator("[name=band]").select_option(str(band))
    for _ in range(12):
        wanted = draw.choice(4, size=28, p=[0.7, 0.12, 0.1, 0.08])
        form.locator(".rs-votes button").evaluate_all(
            """(all, wanted) => all.forEach((button, q) => {
              while (button.textContent !== "ABC·"[wanted[q]]) button.click();
            })""",
            wanted.tolist(),
        )
        votes = (wanted[None, :, None] == np.arange(3)).astype(np.int64)
        told = form.locator("output").inner_text()
        places, counts = map(int, re.search(r"patch of (\d+) columns.*; of (\d+)", told).groups())
        assert told.startswith(f"Answer {'ABC'[patch.answers(votes)[0]]} ")
        assert places == patch.largest_patch(votes, band)[0]
        assert counts == patch.largest_patch(votes, band, "counts")[0]


@pytest.mark.parametrize("sigma", [0, 1.5, 6, 12.5])
@pytest.mark.parametrize("shape", list(try_page.shapes()))
def test_a_region_keeps_the_pixels_that_the_library_says(
    pieces: Page, shape: str, sigma: float
) -> None:
    form = pieces.locator("#try-regions")
    form.locator("[name=shape]").select_option(shape)
    form.locator("[name=sigma]").fill(str(sigma))
    before, after = map(
        int, re.search(r"had (\d+) .* has (\d+)", form.locator("output").inner_text()).groups()
    )
    region = try_page.shapes()[shape]
    assert before == region.sum()
    assert abs(after - int(grids.smoothed(region, sigma, "constant").sum())) <= 2


def test_without_scripts_the_library_s_tables_stand_there(address: str, browser: Browser) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/try-it.html")
        assert page.locator("form.rs-try:visible").count() == 0
        assert page.locator("article noscript table").count() == len(try_page.NAMES)
        assert f"{float(gaussian.radius(clopper_pearson_lower(990, 1_000, 0.001), 0.5)):.3f}" in (
            page.locator("article noscript table").first.inner_text()
        )


def test_the_pieces_are_small() -> None:
    for name in try_page.NAMES:
        assert (HOUSE.book / "try" / f"{name}.js").stat().st_size < 15_000


def _claims(chapter: str) -> int:
    return len(claims.collect(nbformat.read(HOUSE.executed(Path(chapter).name), 4)))


def test_the_claims_page_lists_every_claim(address: str, reader: Visit) -> None:
    rows = reader.open(f"{address}/chapters/claims.html").page.locator("table.rs-ledger tbody tr")
    assert rows.count() == sum(map(_claims, CHAPTERS))


def test_a_chapter_shows_its_claims(name: str, light: Visit) -> None:
    count = 0
    if name in CHAPTERS:
        notebook = nbformat.read(HOUSE.executed(Path(name).name), 4)
        folding.fold(notebook, formal.theorems(HOUSE))
        kept = [c for c in notebook.cells if "remove-cell" not in c.metadata.get("tags", [])]
        count = len(claims.collect({"cells": kept}))
        assert count > 0
    assert light.page.locator("article .rs-claim").count() == count


def test_the_front_page_leads_to_every_chapter(address: str, reader: Visit) -> None:
    front = f"{address}/intro.html"
    links = reader.open(front).page.locator("table.rs-chapters tbody tr td:first-child a")
    assert links.count() == len(CHAPTERS)
    reached = set()
    for number in range(links.count()):
        title = links.nth(number).inner_text()
        links.nth(number).click()
        reader.page.wait_for_load_state()
        assert " ".join(title.split()) in " ".join(
            reader.page.locator("article h1").inner_text().split()
        )
        reached.add(reader.page.url)
        reader.open(front)
    assert reached == {f"{address}/{chapter}.html" for chapter in CHAPTERS}
