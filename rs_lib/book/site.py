"""The rendered book: generated pages, the Sphinx build, and the check that every page is there."""

import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat

from rs_lib.book import builds, contents, dressing, generated, readable, records
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House
from rs_lib.record import digests, files

BUNDLE = "notebooks"
"""The ZIP of all executed notebooks, and the folder in it."""


def check_sources(house: House) -> None:
    """Raise SiteError unless contents, chapters and figure records name each other."""
    listed = {
        page.removeprefix("chapters/")
        for page in contents.pages(house)
        if page.startswith("chapters/")
    }
    written = set(house.chapter_names())
    made = {"claims", "figures", "proofs", "published"}
    wrong = [f"chapter {name} is not in book/_toc.yml" for name in sorted(written - listed)]
    wrong += [
        f"book/_toc.yml names chapters/{name}, but notebooks/{name}.md does not exist"
        for name in sorted(listed - written - made)
    ]
    for figure_id in records.figure_ids(house.figures):
        chapter = records.load(house.figures, figure_id).content["chapter"]
        source = house.notebooks / f"{chapter}.md"
        if not source.is_file() or f'"{figure_id}"' not in source.read_text():
            wrong.append(
                f"figure {figure_id} is recorded, but {chapter} does not publish it: remove it"
            )
    wrong = wrong or [
        f"the citation of {figure_id} does not follow CITATION.cff: run `make record`"
        for figure_id in builds.cited_otherwise(house)
    ]
    if wrong:
        raise SiteError("\n".join(wrong))


def key(house: House) -> str:
    """Return the digest of all that the rendered pages depend on."""
    files = [house.config, house.citation, house.lock]
    files += [path for path in sorted(house.book.rglob("*")) if path.is_file()]
    files += [*sorted(house.proofs.glob("*.v")), *house.proofs.glob(house.statements.name)]
    listing = {
        str(path.relative_to(house.root)): digests.sha256(path.read_bytes())
        for path in files
        if not path.name.endswith(".key.json")
    }
    code = ["rs_lib.book.sphinx_theme", "rs_lib.book.readable", "rs_lib.book.dressing"]
    listing["theme"] = digests.code_digest(code)
    return digests.sha256(digests.canonical_json(listing))


def missing_pages(house: House) -> list[str]:
    """Return the pages that the contents name and the rendered book lacks."""
    return [page for page in contents.pages(house) if not (house.html / f"{page}.html").is_file()]


def fresh(house: House) -> bool:
    """Return whether the rendered pages are those of the present sources."""
    stamp = _stamp(house)
    return stamp.is_file() and stamp.read_text() == key(house) and not missing_pages(house)


def _stamp(house: House) -> Path:
    return house.html.parent / "site.key"


def render(house: House) -> bool:
    """Build the HTML pages unless they are fresh; return whether Sphinx ran.

    Raises SiteError with Sphinx's own words when it warns, and when a page is missing.
    """
    check_sources(house)
    generated.write(house)
    if fresh(house):
        return False
    stamp, wanted = _stamp(house), key(house)
    stamp.unlink(missing_ok=True)
    shutil.rmtree(house.html, ignore_errors=True)
    sphinx(house)
    absent = missing_pages(house)
    if absent:
        raise SiteError(f"the rendered book lacks {', '.join(absent)}")
    offer_notebooks(house)
    dressing.dress(house.html)
    files.write_atomically(stamp, wanted)
    return True


def sphinx(house: House, *options: str) -> None:
    """Run Sphinx on all pages; raise SiteError with its own words when it warns.

    All it says is kept in `sphinx.log`.
    """
    program = str(Path(sys.executable).with_name("jupyter-book"))
    done = subprocess.run(
        [
            *(program, "build", str(house.book), "--config", str(house.config)),
            *("--path-output", str(house.root), "-W", "-n", "--keep-going", "--all", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    log = done.stdout + done.stderr
    files.write_atomically(house.html.parent / "sphinx.log", log)
    if done.returncode:
        told = [line for line in log.splitlines() if re.search(r"WARNING|ERROR|rror:", line)]
        raise SiteError(
            "Sphinx did not accept the book:\n" + "\n".join(told or log.splitlines()[-40:])
        )


def offer_notebooks(house: House) -> None:
    """Put the readable notebooks where the pages offer them for download, one by one and as a ZIP.

    The ZIP holds no times: equal notebooks make equal bytes.
    """
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name in house.chapter_names():
            executed = nbformat.read(house.executed(name), as_version=4)
            text = nbformat.writes(readable.converted(house, name, executed))
            path = house.html / "_sources" / "chapters" / f"{name}.ipynb"
            files.write_atomically(path, text)
            bundle.writestr(zipfile.ZipInfo(f"{BUNDLE}/{name}.ipynb"), text)
    files.write_atomically(house.html / f"{BUNDLE}.zip", kept.getvalue())
