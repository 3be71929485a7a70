"""Results as tables of pandas, which the library itself does without."""

from importlib import import_module
from typing import Any

import numpy as np


def frame(result: object) -> Any:
    """Return the arrays [N] of a dataclass as the columns of a pandas.DataFrame, in their order.

    The index is the position of the image. Raises ImportError that names the remedy.
    """
    try:
        pandas = import_module("pandas")
    except ImportError as error:
        raise ImportError(
            "to_pandas needs the package pandas, which is missing: pip install pandas"
        ) from error
    columns = {name: value for name, value in vars(result).items() if isinstance(value, np.ndarray)}
    made = pandas.DataFrame(columns)
    made.index.name = "image"
    return made
