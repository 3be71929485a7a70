"""Every random stream of the project is derived here from one integer seed and a path of names."""

import hashlib
import reprlib


def derive(seed: int, *path: str | int) -> int:
    """Return a 63-bit seed for the stream named by `path` under `seed`.

    Streams with different paths are independent for all practical purposes: the
    seed is the head of a BLAKE2b digest, so neither the order of images nor the
    number of workers enters it. Nothing here touches a global generator.

    Raises ValueError for a seed that is no integer.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed is {reprlib.repr(seed)}: give an integer")
    text = "/".join([str(seed), *(f"{type(part).__name__}:{part}" for part in path)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
