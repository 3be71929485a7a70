"""Files of a log: opened under a lock, grown by whole pieces that reach the disk, or not at all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def require_ordinary(path: Path) -> None:
    """Raise ValueError if `path` is there and is no ordinary file."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no ordinary file"
        raise ValueError(f"{path} is {kind}: name another log (--out)")


class Growing:
    """An open file of which the first `size` bytes are certain; whatever lies behind them is not.

    A failure of the system is an OSError with the file's name; it leaves those bytes alone.
    """

    def __init__(self, path: Path, file: IO[bytes], size: int) -> None:
        """Take over the open, unbuffered file."""
        self.size = size
        self._path = path
        self._file = file

    def append(self, text: str) -> None:
        """Append `text` behind the certain bytes and wait until the disk has it."""
        content = memoryview(text.encode("ascii"))
        try:
            self._file.truncate(self.size)
            written = 0
            while written < len(content):
                written += os.write(self._file.fileno(), content[written:])
            os.fsync(self._file.fileno())
        except BaseException as error:
            # A part of a line would look like a damaged row.
            self._file.truncate(self.size)
            if isinstance(error, OSError):
                error.filename = str(self._path)
            raise
        self.size += len(content)


@contextmanager
def locked(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` to read and append, unbuffered, and locked; it is made if it is not there.

    A file that was made here and is still empty at the end is removed, and so are the folders made
    for it. Raises ValueError if another process holds the lock; the system drops the lock when that
    process ends, however it ends.
    """
    require_ordinary(path)
    made = [folder for folder in path.parents if not folder.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    file = None
    try:
        file = path.open("ab+", buffering=0)
        _lock(file, path)
        yield file
    finally:
        if file is not None:
            # Removed before the lock is dropped: nobody else can have begun to write.
            if new and not os.fstat(file.fileno()).st_size and _is_at(file, path):
                path.unlink()
            file.close()
        if not path.exists():
            for folder in made:
                if folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = _is_at(file, path)
    except BlockingIOError:
        free = False
    except OSError as error:
        error.filename = str(path)
        raise
    if not free:
        raise ValueError(
            f"the log {path} is being written by another process: wait for its end, "
            "or name another log (--out)"
        )


def _is_at(file: IO[bytes], path: Path) -> bool:
    """Whether the open file is still what `path` names: its holder may have removed it."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
