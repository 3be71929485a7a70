"""The book's command line: `python -m rs_lib.book …`; the Makefile's targets call it."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from rs_lib.arguments import shown
from rs_lib.book.house import House
from rs_lib.record import files


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rs_lib.book", description="Execute the chapters and render the book."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("build", help="run every chapter that is not fresh, then render the pages")
    commands.add_parser("pdf", help="make the rendered book a PDF, too (needs TeX)")
    chapter = commands.add_parser("chapter", help="run one chapter")
    chapter.add_argument("name", help="the file name in notebooks/ without .md")
    chapter.add_argument(
        "-p",
        "--parameter",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        help="change one of the chapter's parameters, such as n=5000, profile=full or device=cuda",
    )
    listing = commands.add_parser("parameters", help="list what can be changed in a chapter")
    listing.add_argument("name", help="the file name in notebooks/ without .md")
    redraw = commands.add_parser("redraw", help="draw a recorded figure again from its data alone")
    redraw.add_argument("figure", help="its id, such as fig-np-radii")
    redraw.add_argument(
        "--out", metavar="FOLDER", help="keep the files there (default: only compare)"
    )
    accept = commands.add_parser(
        "accept", help="take what the last build drew into the record, which is what is cited"
    )
    accept.add_argument("figures", nargs="*", help="their ids (default: all that changed)")
    verify = commands.add_parser("verify", help="run chapters again and compare every figure")
    verify.add_argument("chapters", nargs="*", help="their names (default: all)")
    commands.add_parser(
        "archive", help="put sources, record, results, lock and rendered book into an RO-Crate"
    )
    serve = commands.add_parser("serve", help="show the rendered book on localhost")
    serve.add_argument("--port", type=int, default=8000, help="default: 8000")
    return parser


def _build(house: House) -> int:
    from rs_lib.book import builds, contents, site, together

    site.check_sources(house)
    ran = together.run(house, house.chapter_names())
    rendered = site.render(house)
    if ran or rendered:
        print(f"ran {', '.join(ran) or 'no chapter'}; rendered {len(contents.pages(house))} pages")
    else:
        print("the book is up to date")
    print(builds.told(builds.compare(house)))
    print(f"open {(house.html / 'index.html').relative_to(house.root)}")
    return 0


def _pdf(house: House) -> int:
    from rs_lib.book import pdf

    print("the PDF is made" if pdf.render(house) else "the PDF is up to date")
    size = pdf.made(house).stat().st_size / 1e6
    print(f"open {pdf.made(house).relative_to(house.root)} ({size:.1f} MB)")
    return 0


def _chapter(house: House, name: str, assignments: list[str]) -> int:
    from rs_lib.book import builds, records, run_page, runner

    given: dict[str, str] = {}
    for text in assignments:
        key, equals, value = text.partition("=")
        if not (key and equals):
            raise ValueError(f"parameter is {shown(text)}: write NAME=VALUE")
        if key in given:
            raise ValueError(f"parameter {shown(key)} is given twice: give it once")
        given[key] = value
    turned = runner.prepare(house, name, given).turned  # bad input is told before the plan
    print("\n".join(run_page.plan(house, name, given.get("profile", "quick"))), flush=True)
    ran = runner.run(house, name, given)
    print(f"{name}: {'executed' if ran else 'fresh, nothing to run'}")
    if turned:
        print(f"a changed run, not the book's: open _build/changed/{name}/{name}.ipynb")
        return 0
    for figure_id in records.figure_ids(house.drawn):
        if records.load(house.drawn, figure_id).content["chapter"] == name:
            verdict, reason = builds.compared(house.figures, house.drawn, figure_id)
            print(f"  {figure_id}: {verdict} ({reason})")
    return 0


def _parameters(house: House, name: str) -> int:
    from rs_lib.book import parameters

    print(parameters.listing(parameters.declared(parameters.read_source(house.source(name)))))
    return 0


def _redraw(house: House, figure: str, out: str | None) -> int:
    from rs_lib.book import figures, records

    content = records.load(house.figures, figure).content
    folder = None if out is None else _folder_to_fill(house, out)
    if folder:
        for path in (folder / f"{figure}.{kind}" for kind in records.kinds(content)):
            if path.is_dir():
                raise ValueError(f"--out is {shown(out)}: remove the folder {path.name} there")
    images = figures.redraw(figure, house.figures)
    same = True
    for kind, data in images.items():
        same &= (house.figures / f"{figure}.{kind}").read_bytes() == data
        if folder:
            files.write_atomically(folder / f"{figure}.{kind}", data)
    print(f"{figure}: {'identical to the record' if same else 'differs from the record'}")
    return 0 if same else 1


def _folder_to_fill(house: House, out: str) -> Path:
    """Return the folder `out`, which may not exist yet; ValueError if nothing can lie there."""
    try:
        if not out or "\0" in out:
            raise OSError("it is no name of a folder")
        folder = Path(out).resolve()
        if folder.is_relative_to(house.figures.resolve()):
            raise OSError("only accept writes the record")
        # Room for the names of files below, at the limits that file systems share.
        longest = max(len(os.fsencode(part)) for part in folder.parts)
        if longest > 255 or len(os.fsencode(folder)) > 3_800:
            raise OSError("the name is too long")
        there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
        with tempfile.TemporaryFile(dir=there):  # whoever may write here may make folders here
            pass
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"--out is {shown(out)}: give another folder ({reason})") from error
    return folder


def _verify(house: House, chapters: list[str]) -> int:
    from rs_lib.book import builds, records, runner

    names = list(dict.fromkeys(chapters)) or house.chapter_names()
    for name in names:
        house.source(name)  # a wrong name is told before the first chapter runs
    changed = False
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder)
        for name in names:
            runner.run(house, name, figure_folder=again)
        ids = set(records.figure_ids(again)) | {
            figure_id
            for figure_id in records.figure_ids(house.figures)
            if records.load(house.figures, figure_id).content["chapter"] in names
        }
        for figure_id in sorted(ids):
            verdict, reason = builds.compared(house.figures, again, figure_id)
            changed |= verdict in ("changed", "new")
            print(f"{figure_id}: {verdict} ({reason})")
    return 1 if changed else 0


def _archive(house: House) -> int:
    from rs_lib.book import archive

    path = archive.make(house)
    print(f"{path.relative_to(house.root)}: {path.stat().st_size / 2**20:.0f} MiB")
    if archive.commit(house).endswith("+"):
        print("it holds changes that are in no commit: commit them before you publish it")
    return 0


def _serve(house: House, port: int) -> int:
    from rs_lib.book.server import open_server

    if not (house.html / "index.html").is_file():
        raise ValueError("there is no rendered book: run `make book` first")
    with open_server(house.html, port) as server:
        print(
            f"the book is at http://localhost:{server.server_address[1]} (Ctrl-C stops)", flush=True
        )
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 for a book that fails, 2 for bad input."""
    options = _parser().parse_args(arguments)
    house = House()
    try:
        house.require_checkout("book")
        match options.command:
            case "build":
                return _build(house)
            case "pdf":
                return _pdf(house)
            case "chapter":
                return _chapter(house, options.name, options.parameter)
            case "parameters":
                return _parameters(house, options.name)
            case "redraw":
                return _redraw(house, options.figure, options.out)
            case "accept":
                from rs_lib.book import builds

                builds.accept(house, options.figures)
                return 0
            case "archive":
                return _archive(house)
            case "verify":
                return _verify(house, options.chapters)
            case _:
                return _serve(house, options.port)
    except ValueError as error:
        print(f"rs_lib.book: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, OSError) as error:
        print(f"rs_lib.book: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "rs_lib.book: interrupted; the same command goes on where it stopped", file=sys.stderr
        )
        return 130


if __name__ == "__main__":
    sys.exit(main())
