"""The last hand on the rendered pages: pictures with their sizes, and no script that is not needed.

The theme has its icons twice, as a font and as a script of 1.5 MB, and each page loads the whole
index of the search, which only the page of the search reads.
"""

import re
from pathlib import Path

_SCRIPT = r"\s*<(?:script|link)[^>]*{}[^>]*>(?:</script>)?"
_ICONS = re.compile(_SCRIPT.format(r"scripts/fontawesome\.js"))
_SEARCH = re.compile(_SCRIPT.format(r"(?:searchtools|language_data|searchindex)\.js"))
_PICTURE = re.compile(r'<img (?![^>]*\bwidth=)([^>]*src="([^"]*\.svg)"[^>]*)>')
_SIZE = re.compile(
    r'<svg[^>]*?\bwidth="([\d.]+)pt"[^>]*?\bheight="([\d.]+)pt"|'
    r'<svg[^>]*?\bheight="([\d.]+)pt"[^>]*?\bwidth="([\d.]+)pt"'
)
_PIXELS = 4 / 3
"""CSS pixels in a point."""


def dress(html: Path) -> None:
    """Dress all pages below `html` in place."""
    for page in sorted(html.rglob("*.html")):
        before = page.read_text()
        after = dressed(before, page)
        if after != before:
            page.write_text(after)


def dressed(text: str, page: Path) -> str:
    """Return the text of a page without needless scripts, its pictures with sizes, late ones lazy.

    The sizes are those of the SVG files that stand beside `page`.
    """
    lighter = _ICONS.sub("", text)
    if page.name != "search.html":
        lighter = _SEARCH.sub("", lighter)
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
