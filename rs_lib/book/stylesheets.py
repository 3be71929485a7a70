"""Style sheets without what no page uses: rules, and the glyphs of the icons' font.

The theme brings all of Bootstrap, of sphinx-design and of Font Awesome, most of the weight of a
page. A rule goes if it asks for a class that stands on no page and in no script.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from fontTools import subset  # type: ignore[import-untyped]
from fontTools.ttLib import TTFont  # type: ignore[import-untyped]

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_TOKEN = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|url\([^\"')]*\)|[{};]", re.DOTALL)
_GROUPS = ("@media", "@supports", "@layer", "@container")
_ASIDE = re.compile(r":(?:not|is|where|has)\((?:[^()]|\([^()]*\))*\)|\[[^]]*\]")
"""Parts of a selector whose classes need not stand anywhere."""
_CLASS = re.compile(r"\.((?:[\w-]|\\.)+)")
_COMPOSED = ("bs-tooltip-",)
"""Beginnings of class names that scripts put together from parts."""
_GLYPH = re.compile(r'"\\([0-9a-f]{4})"')
_ICONS = "fa-solid-900"


def lighten(html: Path) -> None:
    """Drop from the style sheets of the pages below `html` what none of them uses, in place."""
    used = used_words(html)
    sheets = sorted((html / "_static").glob("*.css")) + sorted(
        (html / "_static" / "styles").glob("*.css")
    )
    for sheet in sheets:
        sheet.write_text(pruned(sheet.read_text(), used))
    texts = {sheet: sheet.read_text() for sheet in sheets}
    glyphs = {int(code, 16) for text in texts.values() for code in _GLYPH.findall(text)}
    folder = html / "_static" / "vendor" / "fontawesome" / "webfonts"
    if (folder / f"{_ICONS}.ttf").is_file():
        _subset(folder / f"{_ICONS}.ttf", glyphs, folder / f"{_ICONS}.woff")
        for sheet, text in texts.items():
            sheet.write_text(_with_small_font(text))


def used_words(html: Path) -> set[str]:
    """Return the classes of all pages below `html`, and every word of their scripts."""
    words: set[str] = set()
    for page in html.rglob("*.html"):
        for classes in re.findall(r'class="([^"]*)"', page.read_text()):
            words.update(classes.split())
    static = html / "_static"
    for script in (*static.glob("*.js"), *(static / "scripts").glob("*.js")):
        words.update(re.findall(r"[A-Za-z_][\w-]*", script.read_text()))
    return words


def pruned(css: str, used: Iterable[str]) -> str:
    """Return a style sheet without comments and without rules for classes that are not `used`."""
    known = set(used)
    return "".join(_kept(_COMMENT.sub("", css), known))


def _kept(css: str, used: set[str]) -> Iterator[str]:
    for prelude, body in _statements(css):
        head = prelude.strip()
        if body is None:
            yield head
        elif head.startswith(_GROUPS):
            inner = "".join(_kept(body, used))
            if inner:
                yield f"{head}{{{inner}}}"
        elif head.startswith("@"):
            yield f"{head}{{{body.strip()}}}"
        else:
            selectors = [one.strip() for one in _split(head) if _is_used(one, used)]
            if selectors:
                yield f"{','.join(selectors)}{{{body.strip()}}}\n"


def _statements(css: str) -> Iterator[tuple[str, str | None]]:
    """Yield what stands before each block, and the block; of a statement without one, None."""
    start, opened, depth = 0, 0, 0
    for token in _TOKEN.finditer(css):
        sign, at = token.group(), token.start()
        if sign == "{":
            opened = at if depth == 0 else opened
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth == 0:
                yield css[start:opened], css[opened + 1 : at]
                start = at + 1
        elif sign == ";" and depth == 0:
            yield css[start : at + 1], None
            start = at + 1


def _split(selectors: str) -> list[str]:
    """Return the selectors of a list, which commas in brackets do not part."""
    return re.split(r",(?![^(]*\))(?![^\[]*\])", selectors)


def _is_used(selector: str, used: set[str]) -> bool:
    plain = _ASIDE.sub("", selector)
    classes = [name.replace("\\", "") for name in _CLASS.findall(plain)]
    return all(name in used or name.startswith(_COMPOSED) for name in classes)


def _subset(font: Path, glyphs: set[int], target: Path) -> None:
    options = subset.Options(flavor="woff", layout_features=[])
    loaded = TTFont(font, recalcTimestamp=False)
    chosen = subset.Subsetter(options)
    chosen.populate(unicodes=glyphs)
    chosen.subset(loaded)
    loaded.flavor = "woff"
    loaded.save(target)


def _with_small_font(css: str) -> str:
    both = rf"""url\(([^)]*/){_ICONS}\.woff2[^)]*\) *format\("woff2"\), *"""
    source = both + r"""url\([^)]*\) *format\("truetype"\)"""
    return re.sub(source, rf'url(\1{_ICONS}.woff) format("woff")', css)
