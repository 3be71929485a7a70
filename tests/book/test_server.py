"""The server shows the book to this machine, and no file that lies elsewhere."""

import http.client
import os
import socket
import threading
from pathlib import Path

import pytest

from rs_lib.book import __main__ as command_line
from rs_lib.book.server import open_server


@pytest.fixture
def site(tmp_path):
    """A served folder with pages, folders and links of every kind; yields a function that asks."""
    html = tmp_path / "html"
    (html / "chapters").mkdir(parents=True)
    (html / "empty").mkdir()
    (html / "index.html").write_text("front")
    (html / "chapters" / "index.html").write_text("chapters")
    (html / "with space.txt").write_text("space")
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "index.html").write_text("secret")
    (html / "out.txt").symlink_to(tmp_path / "secret.txt")
    (html / "relative.txt").symlink_to("../secret.txt")
    (html / "folder").symlink_to(tmp_path / "outside")
    (html / "chain.txt").symlink_to("relative.txt")
    (html / "loop").symlink_to("loop")
    (html / "dangling").symlink_to("nowhere")
    (html / "within.txt").symlink_to("with space.txt")
    (html / "linked").mkdir()
    (html / "linked" / "index.html").symlink_to(tmp_path / "secret.txt")
    os.mkfifo(html / "pipe")
    with open_server(html, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def ask(path, method="GET"):
            connection = http.client.HTTPConnection(*server.server_address, timeout=5)
            connection.putrequest(method, path, skip_accept_encoding=True)
            connection.endheaders()
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

        yield ask
        server.shutdown()


def test_pages_are_served(site):
    assert site("/") == (200, "front")
    assert site("/index.html?x=1") == (200, "front")
    assert site("/chapters/") == (200, "chapters")
    assert site("/with%20space.txt") == (200, "space")
    assert site("/within.txt") == (200, "space")
    assert site("/chapters")[0] == 301


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path",
    [
        *("/out.txt", "/relative.txt", "/chain.txt", "/folder", "/folder/", "/folder/index.html"),
        *("/linked/", "/loop", "/dangling", "/pipe", "/nowhere", "/empty", "/empty/"),
        *("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/chapters/../../secret.txt"),
        *("//etc/passwd", "/etc/passwd", "/a%00b", "/%ff", "/" + "a" * 5000, "/..\\secret.txt"),
    ],
)
def test_nothing_else_is_served_or_listed(site, capsys, path, method):
    status, text = site(path, method)
    assert status == 404
    assert "secret" not in text.replace("secret.txt", "")
    assert "Traceback" not in capsys.readouterr().err


def test_only_this_machine_is_answered(tmp_path):
    with open_server(tmp_path, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("port", [-1, 65_536, 99_999, 10**30, 1.5, float("nan"), "80", None])
def test_a_port_out_of_range_is_one_sentence(tmp_path, port):
    with pytest.raises(ValueError, match=r"^port (is|holds) .*: give "):
        open_server(tmp_path, port)


def test_a_port_in_use_is_one_sentence_and_status_2(tiny, monkeypatch, capsys):
    tiny.html.mkdir(parents=True)
    (tiny.html / "index.html").write_text("front")
    monkeypatch.setattr(command_line, "House", lambda: tiny)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for wrong, told in ((str(port), "which another program uses"), ("99999", "at most 65535")):
            assert command_line.main(["serve", "--port", wrong]) == 2
            error = capsys.readouterr().err
            assert error.startswith(f"rs_lib.book: port is {wrong}")
            assert told in error
            assert error.count("\n") == 1


def test_a_privileged_port_is_one_sentence(tmp_path):
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 2:
        pytest.skip("this system reserves no port")
    user = os.geteuid()
    if user == 0:
        os.seteuid(65_534)  # nobody
    try:
        with pytest.raises(ValueError, match="port is 1, which this user may not use: give anoth"):
            open_server(tmp_path, 1)
    finally:
        os.seteuid(user)
