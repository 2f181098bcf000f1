"""The server shows one page to this machine and refuses everybody else."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest

from minidl.microscope.__main__ import main
from minidl.microscope.server import Answer, PageServer, serve
from minidl.microscope.snapshot_file import SnapshotError


class Counted:
    """A page that says how often it was made."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> str:
        self.times += 1
        return f"<p>σ′, made {self.times} times</p>"


@pytest.fixture
def server():
    with PageServer(Counted()) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server, path="/", method="GET", hosts=None):
    """Status, headers and text of the answer; ``hosts`` are the Host headers, as they are."""
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    for host in [f"127.0.0.1:{port}"] if hosts is None else hosts:
        connection.putheader("Host", host.replace("PORT", str(port)))
    connection.endheaders()
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, dict(answer.getheaders()), text


@pytest.mark.parametrize("host", ["127.0.0.1:PORT", "localhost:PORT"])
def test_the_page_is_made_anew_for_each_request(server, host):
    for times in (1, 2):
        status, headers, text = ask(server, hosts=[host])
        assert (status, text) == (200, f"<p>σ′, made {times} times</p>")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "hosts",
    [
        ["evil.example:PORT"],
        ["evil.example"],
        ["127.0.0.1"],
        ["127.0.0.1:1"],
        ["127.0.0.1:PORT.evil.example"],
        ["localhost.evil.example:PORT"],
        ["127.0.0.1:PORT", "evil.example"],
        ["127.0.0.1:PORT, evil.example"],
        [""],
        [],
    ],
)
def test_who_asks_by_another_name_is_refused(server, hosts):
    status, _, text = ask(server, hosts=hosts)
    assert status == 403
    assert "made" not in text
    assert server.make.times == 0


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/index.html",
        "/?page",
        "/favicon.ico",
        "http://evil.example/",
        "*",
    ],
)
def test_there_is_one_path(server, path):
    status, _, text = ask(server, path)
    assert status == 404
    assert "root:" not in text
    assert server.make.times == 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT"])
def test_there_is_nothing_to_change(server, method):
    assert ask(server, method=method)[0] == 501


def test_head_has_no_body(server):
    status, headers, text = ask(server, method="HEAD")
    assert (status, text) == (200, "")
    assert int(headers["Content-Length"]) > 0


def test_it_listens_on_the_loopback_address_alone(server):
    port = server.server_address[1]
    assert server.socket.getsockname() == ("127.0.0.1", port)
    others = {address[4][0] for address in socket.getaddrinfo(socket.gethostname(), None)}
    for address in {"127.0.0.2", *others} - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable|not available|family|assign"):
            socket.create_connection((address, port), timeout=5).close()


def test_a_request_that_drips_in_has_a_limit_as_a_whole(server, monkeypatch):
    monkeypatch.setattr(Answer, "timeout", 0.5)
    with socket.create_connection(server.server_address, timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\nX: ")
        connection.settimeout(0.05)
        for _ in range(400):
            with suppress(TimeoutError):
                assert connection.recv(1) == b""
                break
            with suppress(ConnectionError):
                connection.sendall(b"x")
        else:
            pytest.fail("400 bytes later it is still open")
    assert server.make.times == 0
    assert ask(server)[0] == 200


def test_many_may_ask_at_once():
    with PageServer(Counted()) as server, ExitStack() as all_of_them:  # nobody is answered yet
        for _ in range(64):
            connection = socket.create_connection(server.server_address, timeout=10)
            all_of_them.enter_context(connection)


def test_a_run_that_has_become_damaged_is_said(server):
    def damaged():
        raise SnapshotError("<b>damaged</b>")

    server.make = damaged
    status, headers, text = ask(server)
    assert (status, text) == (500, "<b>damaged</b>\n")
    assert headers["Content-Type"] == "text/plain; charset=utf-8"


def test_a_page_that_cannot_be_made_is_an_error_before_the_server_starts(capsys):
    def damaged():
        raise SnapshotError("no snapshots")

    with pytest.raises(SnapshotError, match="no snapshots"):
        serve(damaged)
    assert capsys.readouterr().out == ""


def test_a_port_that_is_taken_is_said(server):
    port = server.server_address[1]
    with pytest.raises(SystemExit) as stopped:
        main(["--port", str(port)])
    assert stopped.value.code.startswith(f"microscope: port {port}: ")
    assert stopped.value.code.endswith("choose another one, or 0")


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_a_port_that_is_none_is_refused(port, capsys):
    with pytest.raises(SystemExit) as stopped:
        main([f"--port={port}"])
    assert stopped.value.code == 2
    assert f"expected a port from 0 to 65535, got {port!r}" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_the_command_says_where_the_page_is_and_ends_with_ctrl_c():
    command = [sys.executable, "-m", "minidl.microscope"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        address = process.stdout.readline().decode().split()[0]
        host = address.removeprefix("http://").rstrip("/")
        connection = http.client.HTTPConnection(host, timeout=10)
        connection.request("GET", "/")
        assert b"One training step" in connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stderr.read() == b""


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a signal")
def test_the_page_is_served_though_nobody_reads_where_it_is():
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "minidl.microscope", "--port", str(port)]
    with open(writer, "wb") as gone, subprocess.Popen(command, stdout=gone) as process:
        try:
            assert wait_for_answer(process, port) == 200
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        finally:
            process.kill()


def wait_for_answer(process, port):
    """The status of the page, once the process serves it."""
    while process.poll() is None:
        with suppress(ConnectionRefusedError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            with closing(connection):
                connection.request("GET", "/")
                return connection.getresponse().status
        time.sleep(0.05)
    return None
