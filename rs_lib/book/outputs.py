"""What the outputs of an executed notebook carry in their metadata, in order."""

from collections.abc import Iterator
from typing import Any


def marked(notebook: Any, mark: str) -> Iterator[Any]:
    """Yield what stands under `mark` in the metadata of the outputs of code cells."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            for output in cell["outputs"]:
                record = output.get("metadata", {}).get(mark)
                if record:
                    yield record
