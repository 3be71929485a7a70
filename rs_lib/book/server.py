"""A server that shows the rendered book to this machine, and no file that lies elsewhere."""

import errno
import functools
import http.server
import io
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from rs_lib.arguments import integer

HOST = "127.0.0.1"
_MOST_PORTS = 65_535


class _Pages(http.server.SimpleHTTPRequestHandler):
    """Files of one folder; neither listings nor what a link in it leads to outside."""

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        """Send the headers and return the file, or answer that it is not there."""
        if not self._is_page():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _is_page(self) -> bool:
        root = Path(self.directory).resolve()
        try:
            file = Path(self.translate_path(self.path)).resolve(strict=True)
            if file.is_dir():  # which would be listed if it had no page of its own
                file = (file / "index.html").resolve(strict=True)
        except (OSError, ValueError, RuntimeError):  # not there; no name; links in a circle
            return False
        return file.is_file() and file.is_relative_to(root)


def open_server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server of `folder` that listens on localhost alone; the caller runs and closes it.

    Port 0 stands for any that is free. Raises ValueError for a port that is no whole number
    from 0 to 65535, that another program uses or that this user may not use.
    """
    number = integer("port", port, most=_MOST_PORTS)
    handler = functools.partial(_Pages, directory=str(folder))
    try:
        return http.server.ThreadingHTTPServer((HOST, number), handler)
    except OSError as error:
        reasons = {
            errno.EADDRINUSE: "which another program uses",
            errno.EACCES: "which this user may not use",
        }
        reason = reasons.get(error.errno or 0, str(error))
        raise ValueError(f"port is {number}, {reason}: give another, such as 8001") from error
