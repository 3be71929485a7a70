"""The last hand on the rendered pages: pictures with their sizes, nothing that is not needed.

The theme has its icons twice, as a font and as a script of 1.5 MB, and each page loads the whole
index of the search, which only the page of the search reads, and a script for tabs, which no page
has. Code marks every name and comma, in the colour that it has anyway.
"""

import re
from collections.abc import Collection
from pathlib import Path

from rs_lib.book import stylesheets, tooltips

_SCRIPT = r"\s*<(?:script|link)[^>]*{}[^>]*>(?:</script>)?"
_ICONS = re.compile(_SCRIPT.format(r"scripts/fontawesome\.js"))
_SEARCH = re.compile(_SCRIPT.format(r"(?:searchtools|language_data|searchindex)\.js"))
_TABS = re.compile(_SCRIPT.format(r"design-tabs\.js"))
_CODE = re.compile(r'<div class="highlight"><pre>.*?</pre>', re.DOTALL)
_GROUND = re.compile(r"^(html\[[^]]*\]) \.highlight \{[^}]*?(?<!-)\bcolor: (#\w+)", re.MULTILINE)
_COLOUR = re.compile(r"^(html\[[^]]*\]) \.highlight \.(\w+) \{ color: (#\w+) \}", re.MULTILINE)
_PICTURE = re.compile(r'<img (?![^>]*\bwidth=)([^>]*src="([^"]*\.svg)"[^>]*)>')
_SIZE = re.compile(
    r'<svg[^>]*?\bwidth="([\d.]+)pt"[^>]*?\bheight="([\d.]+)pt"|'
    r'<svg[^>]*?\bheight="([\d.]+)pt"[^>]*?\bwidth="([\d.]+)pt"'
)
_ROLES = {
    # ARIA 1.3 gave this role up; the entries stand in a list.
    'role="doc-biblioentry"': 'role="listitem"',
    # Else the book's title stands outside of all landmarks.
    '<div id="pst-primary-sidebar" class=': (
        '<div id="pst-primary-sidebar" role="complementary" aria-label="Book" class='
    ),
}
"""Roles in the markup of Sphinx and of the theme, and what they should be."""
_PIXELS = 4 / 3
"""CSS pixels in a point."""


def dress(html: Path) -> None:
    """Dress all pages below `html` in place, and their style sheets."""
    colours = html / "_static" / "pygments.css"
    plain = uncoloured(colours.read_text()) if colours.is_file() else set()
    texts = {page: page.read_text() for page in sorted(html.rglob("*.html"))}
    names = {page: page.relative_to(html).as_posix() for page in texts}
    known = {names[page]: tooltips.targets(text) for page, text in texts.items()}
    for page, before in texts.items():
        after = tooltips.tell(dressed(before, page, plain), names[page], known)
        if after != before:
            page.write_text(after)
    stylesheets.lighten(html)


def uncoloured(css: str) -> set[str]:
    """Return Pygments' classes whose colour is the ground's, in every theme that has one."""
    ground = dict(_GROUND.findall(css))
    same, other = set[str](), set[str]()
    for theme, kind, colour in _COLOUR.findall(css):
        (same if ground.get(theme, "").lower() == colour.lower() else other).add(kind)
    return same - other


def dressed(text: str, page: Path, plain: Collection[str] = ()) -> str:
    """Return a page's text without needless scripts, with sizes of pictures and better roles.

    The sizes are those of the SVG files that stand beside `page`. Code loses the marks of the
    classes that are `plain`.
    """
    lighter = _ICONS.sub("", text)
    if "sd-tab-set" not in text:
        lighter = _TABS.sub("", lighter)
    if plain:
        marked = re.compile(rf'<span class="(?:{"|".join(sorted(plain))})">([^<]*)</span>')
        lighter = _CODE.sub(lambda code: marked.sub(r"\1", code[0]), lighter)
    if page.name != "search.html":
        lighter = _SEARCH.sub("", lighter)
    for theirs, better in _ROLES.items():
        lighter = lighter.replace(theirs, better)
    seen = 0

    def sized(match: re.Match[str]) -> str:
        nonlocal seen
        seen += 1
        size = _size(page.parent / match.group(2))
        lazy = ' loading="lazy"' if seen > 1 else ""
        return f"<img {match.group(1).rstrip('/ ')}{size}{lazy} />" if size else match.group(0)

    return _PICTURE.sub(sized, lighter)


def _size(picture: Path) -> str:
    """Return width and height of an SVG as attributes, or nothing where they are not in points."""
    match = _SIZE.search(picture.read_text()[:2_000]) if picture.is_file() else None
    if not match:
        return ""
    width, height = match[1] or match[4], match[2] or match[3]
    return f' width="{round(_PIXELS * float(width))}" height="{round(_PIXELS * float(height))}"'
