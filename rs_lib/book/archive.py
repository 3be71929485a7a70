"""The archive: sources, record, results, lock and rendered book in a ZIP that tells what is in it.

It is an RO-Crate (https://w3id.org/ro/crate/1.2): `ro-crate-metadata.json` names each file, who
made the book, each figure with its data and record, and each result with the experiment, the
device and the date that made it. Equal files make equal bytes with one version of zlib.
"""

import subprocess
import zipfile
from pathlib import Path

from rs_lib.book import runner, site
from rs_lib.book.contents import SiteError
from rs_lib.book.crate import METADATA, described
from rs_lib.book.house import House

HTML = "html"
"""The folder of the archive that holds the rendered book."""


def make(house: House) -> Path:
    """Write the archive below `_build` and return its path.

    Raises SiteError unless the rendered book is there and made from the present sources.
    """
    stamp = house.built / "site.key"
    fresh = stamp.is_file() and stamp.read_text() == site.key(house)
    chapters = [runner.prepare(house, name) for name in house.chapter_names()]
    if not (fresh and all(runner.fresh(house, chapter) for chapter in chapters)):
        raise SiteError("there is no rendered book of the present sources: run `make book` first")
    return write(house)


def write(house: House) -> Path:
    """Write the archive of the sources and the rendered book that are there; return its path."""
    absent = site.missing_pages(house)
    if absent:
        raise SiteError(f"the rendered book lacks {', '.join(absent)}: run `make book` first")
    parts = files(house)
    crate = described(house, parts, commit(house))
    target = house.built / "archive" / f"{crate.name}.zip"
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".unfinished")
    try:
        with zipfile.ZipFile(unfinished, "w") as bundle:
            _add(bundle, METADATA, crate.text.encode(), executable=False)
            for name, path in parts.items():
                executable = bool(path.stat().st_mode & 0o100)
                _add(bundle, name, path.read_bytes(), executable=executable)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def files(house: House) -> dict[str, Path]:
    """Return all files of the archive by their names in it: what git tracks, and the pages.

    Raises SiteError where there is no git, which knows what the sources are.
    """
    tracked = [name for name in _git(house, "ls-files", "-z").split("\0") if name]
    found = {name: house.root / name for name in tracked if (house.root / name).is_file()}
    pages = (path for path in house.html.rglob("*") if path.is_file())
    found |= {f"{HTML}/{path.relative_to(house.html).as_posix()}": path for path in pages}
    return dict(sorted(found.items()))


def commit(house: House) -> str:
    """Return the commit of the sources, with `+` where they hold other changes."""
    changed = _git(house, "status", "--porcelain", "--untracked-files=no").strip()
    return _git(house, "rev-parse", "--short=12", "HEAD").strip() + ("+" if changed else "")


def _git(house: House, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=house.root, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise SiteError(
            "git does not know the files of this checkout: make the archive in a clone of the book"
        ) from error
    return done.stdout


def _add(bundle: zipfile.ZipFile, name: str, data: bytes, *, executable: bool) -> None:
    """Add a file without its time, which is 1980 as ZIP counts."""
    entry = zipfile.ZipInfo(name)
    entry.create_system = 3  # Unix, whose modes follow
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    bundle.writestr(entry, data)
