"""What a reference says when the pointer rests on it: the statement, figure or formula it leads to.

Citations have their entry of the bibliography from sphinxcontrib-bibtex. All other references get
theirs from the pages themselves, as the browser's own tooltip.
"""

import html
import posixpath
import re
import unicodedata

LONGEST = 260
"""Characters of a tooltip: whole sentences, as many as fit."""

_STATEMENT = re.compile(
    r'<div class="(?:proof \w+|exercise) admonition[^"]*" id="([^"]+)">\s*'
    r'<p class="admonition-title">(.*?)</p>\s*<section[^>]*>\s*(?:<p>(.*?)</p>)?',
    re.DOTALL,
)
_FIGURE = re.compile(
    r'<figure class="[^"]*" id="([^"]+)">.*?<span class="caption-number">(.*?)</span>'
    r'<span class="caption-text">(.*?)</span><a class="headerlink"',
    re.DOTALL,
)
_FORMULA = re.compile(
    r'<div class="math[^"]*" id="(equation-[^"]+)">\s*<span class="eqno">(\([\d.]+\)).*?</span>'
    r"\\\[(.*?)\\\]",
    re.DOTALL,
)
_LINK = re.compile(r'<a class="reference internal" href="([^"#]*)#([^"]+)">(.*?)</a>', re.DOTALL)
_SIGNS = {
    **{"le": "≤", "ge": "≥", "ne": "≠", "to": "→", "infty": "∞", "sum": "Σ", "prod": "∏"},
    **{"int": "∫", "in": "∈", "notin": "∉", "subset": "⊂", "cdot": "·", "times": "×", "pm": "±"},
    **{"approx": "≈", "sim": "∼", "ell": "ℓ", "dots": "…", "sqrt": "√", "partial": "∂", "|": "‖"},
    **{"langle": "⟨", "rangle": "⟩", "lVert": "‖", "rVert": "‖", "lfloor": "⌊", "rfloor": "⌋"},
    **{"lceil": "⌈", "rceil": "⌉", "top": "⊤", "varepsilon": "ε", "varphi": "φ", "varrho": "ϱ"},
    **{"phi": "ϕ", "{": "\x01", "}": "\x02", ";": " ", ":": " ", "quad": " ", "qquad": " "},
    **dict.fromkeys(("bigl", "bigr", "Bigl", "Bigr", "left", "right", "mathbb", "mathcal"), ""),
    **{name: f" {name} " for name in ("log", "ln", "min", "max", "exp", "cos", "sin", "tan")},
    **{",": "", "!": "", "tanh": " tanh ", "cosh": " cosh ", "cot": " cot "},
}
"""TeX's names in plain signs; Greek letters are looked up. A brace is told from one that groups."""
_ACCENTS = {"underline": "\u0332", "tilde": "\u0303", "bar": "\u0304", "hat": "\u0302"}


def targets(text: str) -> dict[str, str]:
    """Return what can be referred to on a page, as plain text by id."""
    found = {}
    for pattern in (_STATEMENT, _FIGURE):
        for id_, title, body in pattern.findall(text):
            found[id_] = _shortened(_plain(title), _plain(body.partition("Hint")[0]))
    for id_, number, formula in _FORMULA.findall(text):
        written = _tex(html.unescape(formula)).rstrip(" .,")
        found[id_] = f"{number} {written}" if written and len(written) <= LONGEST else ""
    return {id_: told for id_, told in found.items() if told}


def tell(text: str, page: str, known: dict[str, dict[str, str]]) -> str:
    """Return a page whose references have tooltips; `known` holds `targets` by page."""

    def titled(match: re.Match[str]) -> str:
        address, id_, shown = match.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), address))
        told = known.get(place if address else page, {}).get(id_)
        if not told or shown == id_:  # the link of a theorem to itself says its label
            return match[0]
        title = html.escape(told)
        return f'<a class="reference internal" href="{address}#{id_}" title="{title}">{shown}</a>'

    return _LINK.sub(titled, text)


def _plain(markup: str | None) -> str:
    """Return the words of HTML on one line, or nothing if a formula has no plain form."""
    formulas = re.split(r"\\\((.*?)\\\)", markup or "", flags=re.DOTALL)
    parts = []
    for place, part in enumerate(formulas):
        bare = html.unescape(re.sub(r"<[^>]+>", "", part))
        written = _tex(bare) if place % 2 else bare
        if not written and place % 2:
            return ""
        parts.append(written)
    return re.sub(r" ([.,;:)])", r"\1", " ".join("".join(parts).split()))


def _shortened(title: str, body: str) -> str:
    """Return a title and as many sentences as fit; one that a formula ends is left open."""
    told = f"{title}." if title else ""
    for sentence in re.split(r"(?<=[.?!])\s+(?=[A-Z])", body):
        if not sentence or len(told) + len(sentence) > LONGEST:
            break
        whole = sentence.rstrip(")").endswith((".", "?", "!"))
        told = f"{told} {sentence}{'' if whole else ' …'}".strip()
    return told


def _tex(formula: str) -> str:
    """Return a short formula in plain signs, or nothing where TeX would be left."""
    text = re.sub(r"\\[dt]?frac *(\d|\{[^{}]*\}) *(\d|\{[^{}]*\})", _fraction, formula)
    text = re.sub(r"\\(?:text|mathrm|operatorname\*?)\{([^{}]*)\}", r"\1", text)
    text = re.sub(r"\\mathbb *([RZ])\b", lambda match: {"R": "ℝ", "Z": "ℤ"}[match[1]], text)
    text = re.sub(
        r"\\(underline|tilde|bar|hat) *(?:\{(\w)\}|(\w))",
        lambda match: (match[2] or match[3]) + _ACCENTS[match[1]],
        text,
    )
    text = re.sub(r"\\([A-Za-z]+|.) ?", _sign, text.replace("-", "−"))
    text = re.sub(r"([_^])\{([^{}]*)\}", _index, text)
    text = re.sub(r"√ *\{([^{}]*)\}", r"√(\1)", text)
    if re.search(r"[\\&{}]", text):
        return ""
    tight = re.sub(r"(?<=[a-z]) (?=\()|(?<=[(=<>≤≥]) +", "", " ".join(text.split()))
    return tight.replace("\x01", "{").replace("\x02", "}")


def _fraction(match: re.Match[str]) -> str:
    top, bottom = (part.strip("{}") for part in match.groups())
    wrapped = [part if re.fullmatch(r"\w+", part) else f"({part})" for part in (top, bottom)]
    return "½" if (top, bottom) == ("1", "2") else "/".join(wrapped)


def _index(match: re.Match[str]) -> str:
    sign, text = match[1], match[2].strip()
    return f"{sign}{text}" if re.fullmatch(r"\w+", text) else f"{sign}({text})"


def _sign(match: re.Match[str]) -> str:
    name = match[1]
    if name in _SIGNS:
        return _SIGNS[name]
    case = "CAPITAL" if name[0].isupper() else "SMALL"
    try:
        return unicodedata.lookup(f"GREEK {case} LETTER {name.upper()}")
    except KeyError:
        return match[0]
