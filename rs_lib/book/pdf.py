"""The whole book as one PDF: Sphinx's LaTeX through XeLaTeX, and what TeX complains of."""

import os
import re
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import yaml

from rs_lib.book import citation, contents, paper, site
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.record import digests, files

FILE = f"{paper.NAME}.pdf"
PROGRAMS = ("xelatex", "latexmk")
PACKAGES = (
    "texlive-xetex texlive-fonts-recommended latexmk fonts-lmodern fonts-dejavu-core poppler-utils"
)
"""What Debian calls all that makes the PDF, and what the tests read it with."""
WIDEST = 10.0
"""Points by which a line may be too wide: a seventh of the margin."""
_BUTTONS = re.compile(r'(<p class="rs-buttons">.*?)(</p>)', re.DOTALL)
_BUTTON = f' <a href="{FILE}">PDF</a>'


def folder(house: House) -> Path:
    """Return where LaTeX works; its `.log` and `.aux` stay there."""
    return house.built / "latex"


def made(house: House) -> Path:
    """Return where the PDF lies: among the pages, and gone with them."""
    return house.html / FILE


def render(house: House) -> bool:
    """Make the PDF of the rendered book unless it is fresh; return whether it was made.

    The front page gets a link to it. Raises SiteError without TeX, without fresh pages, and for
    what Sphinx or TeX does not set right.
    """
    if not site.fresh(house):
        raise SiteError("the pages are not those of these sources: run `make book` first")
    stamp, wanted = house.built / "pdf.key", _key(house)
    if made(house).is_file() and stamp.is_file() and stamp.read_text() == wanted:
        return False
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        raise SiteError(
            f"there is no `{absent[0]}` on PATH: install TeX, on Debian by "
            f"`apt-get install --no-install-recommends {PACKAGES}`"
        )
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder(house), ignore_errors=True)
    folder(house).mkdir(parents=True)
    table = folder(house) / "_toc.yml"
    listed = yaml.safe_load((house.book / "_toc.yml").read_text())
    table.write_text(yaml.safe_dump(paper.contents(listed), sort_keys=False))
    site.sphinx(house, "--builder", "latex", "--toc", str(table))
    _typeset(house)
    files.write_atomically(made(house), (folder(house) / FILE).read_bytes())
    _offer(house)
    files.write_atomically(stamp, wanted)
    return True


def _key(house: House) -> str:
    """Return the digest of all that the PDF depends on."""
    code = digests.code_digest([paper.__name__, __name__])
    cited = house.citation.read_text()
    return digests.sha256(digests.canonical_json([site.key(house), code, cited]))


def _typeset(house: House) -> None:
    """Run XeLaTeX until the references stand; raise SiteError with what it complains of."""
    released = datetime.fromisoformat(citation.load(house).released).replace(tzinfo=UTC)
    done = subprocess.run(
        ["latexmk", "-xelatex", "-interaction=nonstopmode", "-file-line-error", paper.NAME],
        cwd=folder(house),
        # Whole lines in the log, and equal books make equal bytes.
        env=os.environ
        | {"max_print_line": "10000", "SOURCE_DATE_EPOCH": f"{released.timestamp():.0f}"},
        capture_output=True,
        check=False,
    )
    path = folder(house) / f"{paper.NAME}.log"
    log = path.read_text(errors="replace") if path.is_file() else done.stderr.decode()
    found = problems(log)
    if done.returncode and not found:
        found = log.splitlines()[-10:]
    if found:
        raise SiteError("TeX did not set the book:\n" + "\n".join(found))


def problems(log: str) -> list[str]:
    """Return what a TeX log tells of errors, missing signs, dead links and lines too wide."""
    found = re.findall(r"^(?:! .*|\S+\.tex:\d+: .*)$", log, re.MULTILINE)
    found += re.findall(r"^Missing character: .*$", log, re.MULTILINE)
    found += re.findall(
        r"^LaTeX Warning: (?:Hyper r|R|Label `.*multiply|Citation).*$", log, re.MULTILINE
    )
    for line in re.findall(r"^Overfull \\hbox .*$", log, re.MULTILINE):
        wide = re.search(r"\(([\d.]+)pt too wide\)", line)
        if wide and float(wide[1]) > WIDEST:
            found.append(line)
    return found


def _offer(house: House) -> None:
    """Put a button beside those of the front page, once."""
    page = house.html / f"{contents.pages(house)[0]}.html"
    text = page.read_text()
    if _BUTTON not in text:
        files.write_atomically(page, _BUTTONS.sub(rf"\g<1>{_BUTTON}\2", text, count=1))
