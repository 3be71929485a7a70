"""Text on its way into a page: captions stay Markdown, other words are shown as they stand.

Whatever a caption or a word holds, it ends no fence, begins no directive, sets no option and
brings no HTML. MyST's own parser is the judge, so there is no second idea of what Markdown is.
"""

import json
import re
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from myst_parser.config.main import MdParserConfig
from myst_parser.parsers.mdit import create_md_parser
from myst_parser.parsers.options import TokenizeError, options_to_items

EXTENSIONS = ("amsmath", "colon_fence", "deflist", "dollarmath")  # as in _config.yml
# Roles that name something or set it; others copy files into the book or run a directive.
ROLES = re.compile(r"cite(:\w+)?|ref|numref|eq|doc|term|prf:ref|math|sub|sup|abbr")


def one_line(text: str) -> str:
    """Return `text` on one line: control characters and line ends become single spaces."""
    whole = text.encode("utf-8", "replace").decode()
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", whole).split())


def plain(text: str) -> str:
    """Return Markdown that shows `text` as it stands, on one line."""
    # Any ASCII punctuation may stand behind a backslash, and none begins anything there.
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", one_line(text))


def inline(text: str) -> str:
    """Return Markdown of one paragraph without HTML, on one line.

    Formulas, emphasis, links and the roles in `ROLES` pass unchanged. Tags are shown as
    written; what is more than a paragraph even so is shown as it stands, all of it.
    """
    line = one_line(text)
    without_tags = re.sub(r"<(?=[A-Za-z/!?])", r"\\<", line)
    return next((form for form in (line, without_tags) if _is_harmless(form)), plain(line))


def option(text: str) -> str:
    """Return `text` as the value of a directive's option, quoted where MyST would misread it."""
    line = one_line(text)
    try:
        read, state = options_to_items(f"name: {line}")
    except TokenizeError:
        return json.dumps(line, ensure_ascii=False)
    as_written = read == [("name", line)] and not state.has_comments
    return line if as_written else json.dumps(line, ensure_ascii=False)


def fence(text: str) -> str:
    """Return a fence of backticks, at least three, that no run within `text` closes."""
    runs = (len(run) for run in re.findall("`+", text))
    return "`" * max(3, 1 + max(runs, default=0))


@cache
def _parser() -> MarkdownIt:
    return create_md_parser(MdParserConfig(enable_extensions=set(EXTENSIONS)), RendererHTML)


def _is_harmless(line: str) -> bool:
    """Whether MyST reads `line` as one paragraph of text, formulas, links and `ROLES`."""
    blocks = _parser().parse(line)
    if [block.type for block in blocks] != ["paragraph_open", "inline", "paragraph_close"]:
        return False
    for part in blocks[1].children or []:
        if part.type in ("html_inline", "image"):
            return False
        if part.type == "myst_role" and not ROLES.fullmatch(part.meta["name"]):
            return False
        if part.type.startswith("math") and r"\<" in part.content:  # a tag mended within TeX
            return False
    return True
