"""The notebook that a reader takes home: plain Markdown in place of MyST's directives and roles.

Jupyter, VS Code and Colab know no MyST. Theorems become quoted paragraphs, references the numbers
of the book's pages, citations authors and years, glued values what they hold. Figures stand in
the outputs (`figures.publish` shows them there), so their includes vanish.
"""

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from pybtex import PybtexEngine  # type: ignore[import-untyped]
from pybtex.database import Entry, parse_file  # type: ignore[import-untyped]

from rs_lib.book.house import House
from rs_lib.book.records import SHOWN

_OPENING = re.compile(r"(`{3,}|:{3,})(?:\{([\w:-]+)\}[ \t]*(.*)|[^`]*)")
_OPTION = re.compile(r":([\w-]+):[ \t]*(.*)")
_ROLE = re.compile(r"(?P<before>\$?)\{(?P<name>[\w:-]+)\}`(?P<text>[^`]*)`")
_DISPLAY = re.compile(
    r"\$\$(.+?)\$\$(?:[ \t]*\(([\w:.-]+)\)(?=[ \t]*$))?", re.DOTALL | re.MULTILINE
)
_NUMBERED = re.compile(
    r"^(?:`{3,}|:{3,})\{(prf:(?!proof)\w+|exercise|include)\}[ \t]*(.*)\n(?::label:[ \t]*(\S+))?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Words:
    """What roles stand for: labels, glued values and sources; `cited` collects their keys."""

    labels: Mapping[str, str]
    glued: Mapping[str, str]
    sources: Mapping[str, Entry]
    cited: list[str] = field(default_factory=list)


class Block(NamedTuple):
    """A part of a text: a directive, or what lies between ("text") or is code ("listing")."""

    kind: str
    body: str
    argument: str = ""
    label: str = ""


def converted(house: House, name: str, executed: Any) -> Any:
    """Return a copy of an executed chapter whose text and captions are plain Markdown."""
    notebook = copy.deepcopy(executed)
    notebook.metadata.pop("jupytext", None)
    sources = parse_file(str(house.bibliography)).entries
    words = Words(labels(house), glued(notebook), sources)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = plain(cell.source, words)
            continue
        cell.outputs = [out for out in cell.outputs if "scrapbook" not in out.get("metadata", {})]
        for output in cell.outputs:
            figure_id = output.get("metadata", {}).get(SHOWN)
            if figure_id and "text/markdown" in output.data:
                text = _inline(output.data["text/markdown"], words)
                number = words.labels.get(figure_id, "Figure")
                output.data["text/markdown"] = f"**{number}.** {text}"
    notebook.cells = [c for c in notebook.cells if c.cell_type != "markdown" or c.source.strip()]
    if words.cited:
        text = _references(house.bibliography, words.cited)
        cell = nbformat.v4.new_markdown_cell(text, id=f"{name[:50]}-references")
        notebook.cells.append(cell)
    return notebook


def mark(executed: Any, name: str, turned: Mapping[str, object]) -> None:
    """Say at the head of an executed chapter that it ran with other parameters than its own."""
    values = ", ".join(f"{key} = {value}" for key, value in turned.items())
    text = (
        f"> **A changed run: {values}.** Numbers and figures follow these values where they depend "
        "on them. What the sentences say of them was written for the chapter's own."
    )
    executed.cells.insert(0, nbformat.v4.new_markdown_cell(text, id=f"{name[:50]}-changed"))


def labels(house: House) -> dict[str, str]:
    """Return what the pages call every label: "Theorem 1.4", "(1.3)", "Fig. 1.2", …"""
    contents = (house.book / "_toc.yml").read_text()
    listed = re.findall(r"file:[ \t]*chapters/([\w-]+)", contents)
    found: dict[str, str] = {}
    written = [name for name in listed if name in house.chapter_names()]
    for chapter, name in enumerate(written, start=1):
        text = house.source(name).read_text()
        counts: Counter[str] = Counter()
        for kind, argument, label in _NUMBERED.findall(text):
            if kind == "include":
                word = series = "Fig."
                label = Path(argument.strip()).stem
                if not label.startswith("fig-"):
                    continue
            else:
                word = kind.removeprefix("prf:").capitalize()
                series = word if word == kind.capitalize() else "prf"  # one series for theorems
            counts[series] += 1
            found[label] = f"{word} {chapter}.{counts[series]}"
        equations = [label for _, label in _DISPLAY.findall(text) if label]
        found |= {label: f"({chapter}.{k})" for k, label in enumerate(equations, start=1)}
    return found


def glued(notebook: Any) -> dict[str, str]:
    """Return the texts that the cells glued, by name."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            name = output.get("metadata", {}).get("scrapbook", {}).get("name")
            text = output.get("data", {}).get("application/papermill.record/text/plain")
            if name and text is not None:
                found[name] = str(ast.literal_eval(text)) if text[:1] in "'\"" else text
    return found


def plain(text: str, words: Words) -> str:
    """Return MyST text as Markdown without directives, roles and labels."""
    parts = [_rendered(block, words).strip("\n") for block in _blocks(text)]
    return "\n\n".join(part for part in parts if part)


def _blocks(text: str) -> Iterator[Block]:
    """Yield the parts of a text in order."""
    lines, loose = text.splitlines(), list[str]()
    while lines:
        opening = _OPENING.fullmatch(lines[0])
        if not opening:
            loose.append(lines.pop(0))
            continue
        yield Block("text", "\n".join(loose))
        loose = []
        fence, kind, argument = opening.groups()
        end = next((k for k, line in enumerate(lines) if k and _closes(line, fence)), len(lines))
        whole, body, lines = lines[: end + 1], lines[1:end], lines[end + 1 :]
        options = {}
        while kind and body and (option := _OPTION.fullmatch(body[0])):
            options[option[1]] = option[2]
            body = body[1:]
        if kind:
            yield Block(kind, "\n".join(body), argument.strip(), options.get("label", ""))
        else:
            yield Block("listing", "\n".join(whole))
    yield Block("text", "\n".join(loose))


def _closes(line: str, fence: str) -> bool:
    marks = line.rstrip()
    return len(marks) >= len(fence) and set(marks) == {fence[0]}


def _rendered(block: Block, words: Words) -> str:
    """Return the Markdown of one block."""
    if block.kind == "text":
        return _inline(block.body, words)
    if block.kind in ("listing", "include"):
        return block.body if block.kind == "listing" else ""
    body, title = plain(block.body, words), _inline(block.argument, words)
    if block.kind == "prf:proof":
        return f"*Proof.* {body}" + ("\n\n∎" if body.endswith("$$") else " ∎")
    if block.kind == "solution":
        summary = f"<summary>Solution to {words.labels.get(title, title)}</summary>"
        return f"<details>\n{summary}\n\n{body}\n\n</details>"
    if block.kind != "exercise" and not block.kind.startswith("prf:"):
        return _quoted(f"**{title or block.kind.capitalize()}**\n\n{body}")
    word = words.labels.get(block.label, block.kind.removeprefix("prf:").capitalize())
    head = f"**{word} ({title}).**" if title else f"**{word}.**"
    return f"{head} {body}" if block.kind == "exercise" else _quoted(f"{head}\n\n{body}")


def _quoted(text: str) -> str:
    """Return a quotation of one line for each paragraph: a formula must not hold its marks."""
    on_one_line = _DISPLAY.sub(lambda match: " ".join(match[0].split()), text)
    paragraphs = []
    for paragraph in re.split(r"\n{2,}", on_one_line.strip()):
        is_list = re.match(r"([-*|]|\d+\.) ?", paragraph)
        paragraphs.append(paragraph if is_list else " ".join(paragraph.split("\n")))
    return "\n>\n".join(re.sub("^", "> ", part, flags=re.MULTILINE) for part in paragraphs)


def _inline(text: str, words: Words) -> str:
    """Return text without roles, its labelled formulas tagged with their numbers."""

    def tagged(match: re.Match[str]) -> str:
        formula, label = match.groups()
        if label is None:
            return match[0]
        number = words.labels.get(label, label).strip("()")
        return f"$$\n{formula.strip()} \\tag{{{number}}}\n$$"

    return _DISPLAY.sub(tagged, _ROLE.sub(lambda match: _role(match, words), text))


def _role(match: re.Match[str], words: Words) -> str:
    before, name, text = match["before"], match["name"], match["text"]
    if name == "glue:text":
        value = re.sub(r"([*_<\[`])", r"\\\1", words.glued.get(text, "–"))
        # A dollar before a digit closes no formula in VS Code.
        return f"{before} {value}" if before and value[:1].isdigit() else before + value
    if name.startswith("cite"):
        keys = [key.strip() for key in text.split(",")]
        words.cited.extend(keys)
        cited = [_authors_and_year(words.sources[key]) for key in keys]
        if name == "cite:p":
            return f"{before}({'; '.join(f'{authors} {year}' for authors, year in cited)})"
        return before + "; ".join(f"{authors} ({year})" for authors, year in cited)
    if name == "math":
        return f"{before}${text}$"
    return before + words.labels.get(text, text)


def _authors_and_year(entry: Entry) -> tuple[str, str]:
    names = [
        " ".join(part.render_as("text") for part in (*p.rich_prelast_names, *p.rich_last_names))
        for p in entry.persons["author"]
    ]
    authors = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return authors, entry.fields["year"]


def _references(bibliography: Path, cited: list[str]) -> str:
    """Return the list of what was cited, as the bibliography has it."""
    text = PybtexEngine().format_from_string(
        bibliography.read_text(),
        style="plain",
        output_backend="markdown",
        citations=sorted(set(cited)),
    )
    entries = re.split(r"^\[\d+\] ", text, flags=re.MULTILINE)[1:]
    return "## References\n\n" + "\n".join(f"- {' '.join(entry.split())}" for entry in entries)
