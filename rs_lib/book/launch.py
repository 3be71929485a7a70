"""Where a chapter can be opened without installing anything, once `_config.yml` names a repository.

Binder makes the environment of the repository and opens the chapter's source there, which Jupytext
shows as a notebook. The theme's own buttons would name the executed chapters, which are in no
repository. Colab opens notebooks of GitHub only, and without the library: it shows them.
"""

from urllib.parse import quote, urlsplit

from rs_lib.arguments import shown
from rs_lib.book import citation
from rs_lib.book.citation import Repository
from rs_lib.book.contents import SiteError
from rs_lib.book.house import House

_GITHUB = "github.com"


def links(house: House, chapter: str) -> str:
    """Return the links of a chapter's page as Markdown, nothing where no repository is named.

    Raises SiteError for notebooks in a repository that Colab cannot open.
    """
    repository = citation.repository(house)
    if repository is None:
        return ""
    told = f"[Binder]({binder(repository, chapter)}) to run it in the browser"
    if repository.notebooks:
        told += f", [Colab]({colab(repository, chapter)}) to look at it with its outputs"
    return told


def binder(repository: Repository, chapter: str) -> str:
    """Return the address where Binder opens a chapter's source."""
    host, path = _split(repository)
    place = f"gh/{path}" if host == _GITHUB else f"git/{quote(repository.url, safe='')}"
    shows = quote(f"lab/tree/notebooks/{chapter}.md", safe="")
    return f"https://mybinder.org/v2/{place}/{quote(repository.branch)}?urlpath={shows}"


def colab(repository: Repository, chapter: str) -> str:
    """Return the address where Colab shows an executed chapter; SiteError without one."""
    host, path = _split(repository)
    if host != _GITHUB:
        raise SiteError(
            f"_config.yml: repository.notebooks is {shown(repository.notebooks)}, but Colab opens "
            f"notebooks of {_GITHUB} only: leave it out"
        )
    place = f"{path}/blob/{repository.notebooks}"
    return f"https://colab.research.google.com/github/{place}/{chapter}.ipynb"


def _split(repository: Repository) -> tuple[str, str]:
    parts = urlsplit(repository.url)
    return parts.netloc, parts.path.strip("/")
