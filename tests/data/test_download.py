"""Downloads from a server on this machine: the correct bytes, or nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import requests

from minidl.data import (
    PUBLISHED,
    CorruptDataset,
    DatasetError,
    DatasetNotFound,
    download,
    load,
    transfer,
)
from minidl.data.download import Published, fetch

ARCHIVE = "cifar-100-binary.tar.gz"
CONTENT = bytes(range(256)) * 2000


def published(*urls, content=CONTENT):
    return Published("file.gz", len(content), hashlib.md5(content).hexdigest(), urls)


def test_good(server, leftovers, tmp_path):
    server.files["good"] = CONTENT
    path = fetch(published(server.url("good")), tmp_path / "new" / "folder", progress=False)
    assert path == tmp_path / "new" / "folder" / "file.gz"
    assert path.read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["new/folder/file.gz"]
    if os.name == "posix":  # the permissions of the user's other files
        (tmp_path / "other").touch()
        assert path.stat().st_mode == (tmp_path / "other").stat().st_mode


# What the server sends, how it behaves, what the error says, the number of requests.
FAILURES = {
    "truncated": (CONTENT, "truncated", "broke off after 256,000 bytes", 3),
    "reset": (CONTENT, "reset", "broke off after", 3),
    "short": (CONTENT[:-1], None, "sent 511,999 bytes, expected 512,000", 1),
    "wrong bytes": (CONTENT[::-1], None, "sent other bytes: MD5 .*, expected", 1),
    "a byte too many": (CONTENT + b"0", None, "sent more than the expected 512,000 bytes", 1),
    "absent": (CONTENT, 404, "HTTP status 404$", 1),
    "no contents": (CONTENT, 204, "HTTP status 204$", 1),
    "overloaded": (CONTENT, 503, r"HTTP status 503 \(asked 3 times\)", 3),
    "too many": (CONTENT, 429, r"HTTP status 429 \(asked 3 times\)", 3),
    "redirected in a circle": (CONTENT, "redirect /bad", "redirected in a circle", 31),
    "redirected to a page": (CONTENT, "redirect /page", "sent 6 bytes", 1),
    "redirected to a file": (CONTENT, "redirect file:///etc/passwd", "InvalidSchema", 1),
    "redirected to rubbish": (CONTENT, "redirect http://[", "InvalidURL|URLError|ValueError", 1),
    "redirected to a terminal": (CONTENT, "redirect x://a/\x1b[2J", r"x://a/(\\x1b|%1B)", 1),
}
SLOW = {
    "silent": (CONTENT, "silent", "no answer within 1 s", 3),
    "a byte now and then": (CONTENT, "dribble", "too slow, [0-9]+ bytes in", 1),
    "a chunk's size now and then": (CONTENT, "slow chunk", "too slow, 0 bytes in", 1),
    "a header now and then": (CONTENT, "slow head", "no answer within 1 s", 3),
}
LIMITS = {"silent": "READ_TIMEOUT", "dribble": "PATIENCE", "slow chunk": "PATIENCE"}
LIMITS["slow head"] = "ANSWER_TIMEOUT"


@pytest.mark.parametrize(
    "case", [*FAILURES, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)]
)
def test_failure_leaves_nothing_and_the_next_mirror_is_tried(
    case, server, leftovers, tmp_path, monkeypatch
):
    server.files["bad"], behaviour, message, times = (FAILURES | SLOW)[case]
    if behaviour in LIMITS:  # only where it is needed, so that slow machines pass
        monkeypatch.setattr(transfer, LIMITS[behaviour], 0.6)
    server.files |= {"good": CONTENT, "page": b"<html>"}
    server.behaviour["bad"] = behaviour
    with pytest.raises(DatasetNotFound) as e:
        fetch(published(server.url("bad")), tmp_path, progress=False)
    told = str(e.value).splitlines()
    assert all(line.isprintable() for line in told)
    assert re.search(message, next(line for line in told if server.url("bad") in line))
    assert "127.0.0.1: " in e.value.reason
    assert "\n" not in e.value.reason
    assert leftovers(tmp_path) == []
    assert server.asked.count("bad") == times

    server.asked.clear()
    (tmp_path / "file.gz").write_bytes(b"former")  # it survives until a mirror is right
    urls = server.url("bad"), server.url("good"), server.url("not asked")
    assert fetch(published(*urls), tmp_path, progress=False).read_bytes() == CONTENT
    assert server.asked[-1] == "good"
    assert server.asked.count("bad") <= 31  # once, with its redirects
    assert leftovers(tmp_path) == ["file.gz"]


def test_an_earlier_file_survives_a_failure(server, tmp_path):
    server.files["bad"] = b"other"
    (tmp_path / "file.gz").write_bytes(b"former")
    with pytest.raises(DatasetNotFound):
        fetch(published(server.url("bad")), tmp_path, progress=False)
    assert (tmp_path / "file.gz").read_bytes() == b"former"


@pytest.mark.parametrize(
    "faults",
    [
        [503],
        ["reset", 500],
        ["truncated", "truncated"],
        pytest.param(["silent"], marks=pytest.mark.slow),
    ],
)
def test_a_temporary_fault_is_retried(faults, server, leftovers, tmp_path, monkeypatch):
    if "silent" in faults:
        monkeypatch.setattr(transfer, "READ_TIMEOUT", 0.4)
    pauses = []
    monkeypatch.setattr(download, "PAUSES", (1.0, 4.0))
    monkeypatch.setattr(download.time, "sleep", pauses.append)
    server.files["good"], server.behaviour["good"] = CONTENT, list(faults)
    path = fetch(published(server.url("good")), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert leftovers(tmp_path) == ["file.gz"]
    assert len(server.asked) == len(faults) + 1
    assert pauses == [1.0, 4.0][: len(faults)]


def test_every_mirror_is_tried_before_one_is_tried_again(server, tmp_path):
    server.behaviour |= {"a": 503, "b": 404, "c": [500]}
    server.files["c"] = CONTENT
    fetch(published(*map(server.url, "abc")), tmp_path, progress=False)
    assert server.asked == ["a", "b", "c", "a", "c"]


def test_a_redirect_to_the_file_is_followed_and_its_own_body_is_not_read(server, tmp_path):
    server.files["good"], server.behaviour["moved"] = CONTENT, "long redirect /good"
    assert fetch(published(server.url("moved")), tmp_path, False).read_bytes() == CONTENT
    assert server.stopped.wait(20), "it is still being read"


@pytest.mark.slow
@pytest.mark.parametrize("behaviour", ["slow head", "slow redirect /bad"])
def test_no_thread_is_left_waiting_after_the_limit(behaviour, server, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "ANSWER_TIMEOUT", 0.3)
    server.behaviour["bad"] = behaviour
    before = set(threading.enumerate())
    with pytest.raises(DatasetNotFound, match="no answer within 0 s"):
        fetch(published(server.url("bad")), tmp_path, progress=False)
    left = {thread.name for thread in set(threading.enumerate()) - before}
    assert [name for name in left if "process_request_thread" not in name] == []  # the server's


def test_bytes_are_stored_as_published_whatever_the_server_declares(server, tmp_path, monkeypatch):
    """A .gz file is not unpacked although the server declares gzip as its encoding."""
    content = gzip.compress(CONTENT)
    server.files["x"] = content
    handler = server.RequestHandlerClass
    end = handler.end_headers

    def declare(self):
        self.send_header("Content-Encoding", "gzip")
        end(self)

    monkeypatch.setattr(handler, "end_headers", declare)
    file = published(server.url("x"), content=content)
    assert fetch(file, tmp_path, progress=False).read_bytes() == content


def test_no_connection(leftovers, tmp_path):
    for url in ("http://127.0.0.1:9/x", "http://", "gopher://x/"):
        with pytest.raises(DatasetNotFound, match=r"file\.gz could not be downloaded"):
            fetch(published(url), tmp_path, progress=False)
    assert leftovers(tmp_path) == []


def test_an_unknown_host_is_looked_up_once(tmp_path, monkeypatch):
    """It usually means that there is no network, so waiting would not help."""
    asked = []

    def unknown(host, *rest, **options):
        asked.append(host)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DatasetNotFound, match=r"http://nowhere/x: server not found\n"):
        fetch(published("http://nowhere/x"), tmp_path, progress=False)
    assert asked == ["nowhere"]


def test_a_connection_timeout_is_not_retried(tmp_path, monkeypatch):
    asked = {}

    def send(adapter, request, **options):
        asked.update(options, headers=request.headers)
        raise requests.exceptions.ConnectTimeout

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", send)
    with pytest.raises(DatasetNotFound, match="no connection within 4 s\n"):
        fetch(published("http://x/"), tmp_path, progress=False)
    connect, read = asked["timeout"]
    assert 0 < connect <= 5
    assert 0 < read <= 20
    assert asked["headers"]["Accept-Encoding"] == "identity"


def test_interrupt_leaves_nothing(server, leftovers, tmp_path, monkeypatch):
    server.files["good"] = CONTENT

    def interrupt(response, lines, received):
        if received:
            raise KeyboardInterrupt
        return CONTENT[:1000]

    monkeypatch.setattr(transfer, "_read", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(published(server.url("good")), tmp_path, progress=False)
    assert leftovers(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_reported_before_any_request(server, tmp_path):
    server.files["good"] = CONTENT
    (tmp_path / "file").touch()
    with pytest.raises(DatasetNotFound, match=r"cannot be written.*; set MINIDL_DATA to a folder"):
        fetch(published(server.url("good")), tmp_path / "file", progress=False)
    assert server.asked == []


def test_a_full_disk_is_not_blamed_on_the_mirror(server, leftovers, tmp_path, full_disk):
    server.files["good"] = CONTENT
    message = r"cannot be written: .*File too large.*MINIDL_DATA"
    with full_disk, pytest.raises(DatasetNotFound, match=message):
        fetch(published(server.url("good")), tmp_path, progress=False)
    assert server.asked == ["good"]
    assert leftovers(tmp_path) == []


def test_progress(server, tmp_path, capsys, monkeypatch):
    server.files["good"] = CONTENT
    fetch(published(server.url("good")), tmp_path / "a", progress=False)
    assert capsys.readouterr() == ("", "")
    fetch(published(server.url("good")), tmp_path / "b")
    assert capsys.readouterr() == ("", f"downloading {server.url('good')} (0.5 MB)\n")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch(published(server.url("good")), tmp_path / "c")
    out, err = capsys.readouterr()
    assert out == ""
    assert "file.gz: 100%" in err
    server.behaviour["good"] = [503]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    fetch(published(server.url("good")), tmp_path / "d")
    said = capsys.readouterr().err.splitlines()
    assert said[1] == f"{server.url('good')}: HTTP status 503; asked again in 0 s"
    assert said[0] == said[2] == f"downloading {server.url('good')} (0.5 MB)"


# -- data sets --------------------------------------------------------------------------------


@pytest.fixture
def archive(server, cifar_archive, publish):
    """The archive of CIFAR-100 on the server, and what is in it."""
    content, made = cifar_archive
    server.files["archive"] = content
    return publish(content, server.url("archive")), made


def test_cifar_into_the_cache_once(server, archive, leftovers, tmp_path):
    _, made = archive
    dataset = load("cifar-100", progress=False)
    made.check(dataset)
    assert dataset.source == str(tmp_path / "cache" / "cifar-100-binary")
    made.check(load("cifar-100", progress=False))
    made.check(load("auto", progress=False))
    assert server.asked == ["archive"]
    assert ARCHIVE in leftovers(tmp_path / "cache")


def test_environment_variable_names_the_folder(archive, leftovers, tmp_path, monkeypatch):
    _, made = archive
    folder = tmp_path / "chosen"
    monkeypatch.setenv("MINIDL_DATA", str(folder))
    dataset = load("cifar-100", progress=False)
    made.check(dataset)
    assert dataset.source == str(folder / "cifar-100-binary")
    assert not (tmp_path / "cache").exists()
    monkeypatch.setattr(os, "access", lambda path, mode: os.fspath(path) != str(folder))
    folder.joinpath("cifar-100-binary", "test.bin").unlink()
    folder.joinpath(ARCHIVE).unlink()
    made.check(load("cifar-100", progress=False))  # it cannot be written, so the cache is used
    assert ARCHIVE in leftovers(tmp_path / "cache")


def test_wrong_archive_in_the_cache_is_an_error_even_for_auto(server, archive, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ARCHIVE).write_bytes(server.files["archive"][:-5])
    with pytest.raises(CorruptDataset, match=ARCHIVE):
        load("auto", progress=False)
    assert server.asked == []


@pytest.fixture
def mnist(server, make_idx, tmp_path, monkeypatch):
    """The files of MNIST, published on the server, also in a copy of a data folder; the images."""
    made = make_idx(tmp_path / "source", ".gz")
    files = []
    for file in PUBLISHED["mnist"].files:
        content = (tmp_path / "source" / file.name).read_bytes()
        server.files[file.name] = server.files[f"copy/MNIST/raw/{file.name}"] = content
        md5 = hashlib.md5(content).hexdigest()
        files.append(Published(file.path, len(content), md5, (server.url(file.name),)))
    monkeypatch.setitem(PUBLISHED, "mnist", replace(PUBLISHED["mnist"], files=tuple(files)))
    return files, made


def test_mnist_only_what_is_missing(server, mnist, leftovers, tmp_path):
    files, made = mnist
    place = tmp_path / "cache" / "MNIST" / "raw"
    place.mkdir(parents=True)
    plain = files[0].name.removesuffix(".gz")
    (place / plain).write_bytes(gzip.decompress(server.files[files[0].name]))
    made.check(load("mnist", progress=False))
    assert server.asked == [file.name for file in files[1:]]
    assert leftovers(place) == sorted([plain, *server.asked])


def test_a_custom_mirror_is_a_copy_of_a_data_folder(server, mnist, monkeypatch):
    files, made = mnist
    monkeypatch.setenv("MINIDL_MIRROR", server.url("copy/"))
    made.check(load("mnist", progress=False))
    assert server.asked == [f"copy/MNIST/raw/{file.name}" for file in files]


def test_a_custom_mirror_is_tried_first_but_not_trusted(server, tmp_path, monkeypatch):
    server.files |= {"own/file.gz": CONTENT[::-1], "good": CONTENT}
    monkeypatch.setenv("MINIDL_MIRROR", server.url("own"))
    path = fetch(published(server.url("good")), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["own/file.gz", "good"]


@pytest.mark.parametrize(
    "mirror",
    [
        *("/a/folder", "file:///a", "mirror.example", "http://", "http://["),
        *("https://me:secret@host/", "http://127.0.0.1:9/\x1b]0;x\x07", "http://host/\u202e"),
    ],
)
def test_a_mirror_that_is_not_an_address_is_refused_even_for_auto(mirror, monkeypatch):
    monkeypatch.setenv("MINIDL_MIRROR", mirror)
    with pytest.raises(DatasetError, match=r"^MINIDL_MIRROR: expected an address such as") as e:
        load("auto", progress=False)
    assert not isinstance(e.value, DatasetNotFound)
    assert "secret" not in str(e.value)
    assert str(e.value).isprintable()


def test_a_proxy_is_used_for_other_hosts(server, tmp_path, monkeypatch):
    """The test's server is the proxy: it gets the complete address."""
    server.files["http://data.example/file"] = CONTENT
    monkeypatch.setenv("http_proxy", server.url(""))
    path = fetch(published("http://data.example/file"), tmp_path, progress=False)
    assert path.read_bytes() == CONTENT
    assert server.asked == ["http://data.example/file"]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    path.unlink()
    with pytest.raises(DatasetNotFound, match="file: no connection through the proxy"):
        fetch(published("http://data.example/file"), tmp_path, progress=False)


# -- several processes, and killed ones --------------------------------------------------------


def test_of_two_at_once_one_downloads_and_the_other_waits(
    server, archive, leftovers, tmp_path, monkeypatch, capsys
):
    """Two threads, between which the lock is as between processes."""
    published, made = archive
    server.behaviour["archive"] = "held"
    folder, said = tmp_path / "shared", ""
    monkeypatch.setenv("MINIDL_DATA", str(folder))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(load, "cifar-100")
        assert server.started.wait(20)
        second = pool.submit(load, "cifar-100")
        end = time.monotonic() + 20
        while "waiting" not in said and time.monotonic() < end:
            said += capsys.readouterr().err
        server.go_on.set()
        for each in (first, second):
            made.check(each.result(20))
    assert (said + capsys.readouterr().err).splitlines()[:2] == [
        f"downloading {published.urls[0]} ({published.size / 1e6:.1f} MB)",
        f"waiting for another process that writes {folder / published.name}",
    ]
    assert server.asked == ["archive"]
    assert leftovers(folder) == [ARCHIVE, *(f"cifar-100-binary/{n}.bin" for n in ("test", "train"))]


@pytest.mark.slow
def test_killed_downloads_leave_no_wrong_file_and_the_next_one_cleans_up(tmp_path):
    """The long campaign is ``campaigns/faults_download.py``."""
    import faults_download

    counts = faults_download.campaign(2, tmp_path)
    assert counts["wrong file"] == counts["second failed"] == counts["left behind"] == 0
    assert sum(counts[f"killed {when}"] for when in ("before", "while writing", "after")) == 2


@pytest.mark.slow
def test_the_campaign_notices_files_left_behind(tmp_path, monkeypatch):
    import faults_download

    careless = "import minidl.data.turns as turns; turns.remove_parts = lambda *path: None\n"
    monkeypatch.setattr(faults_download, "DOWNLOAD", careless + faults_download.DOWNLOAD)
    monkeypatch.setattr(
        faults_download.random.Random, "uniform", lambda self, low, high: 0.1 * high
    )
    counts = faults_download.campaign(1, tmp_path)
    assert counts["killed while writing"] == counts["left behind"] == 1


def test_what_a_killed_download_left_is_removed_by_the_next_one(server, leftovers, tmp_path):
    """The fast form of the campaign: the part is there, its process is not."""
    server.files["good"] = CONTENT
    (tmp_path / ".file.gz.minidl-12-34.part").write_bytes(CONTENT[:1000])
    fetch(published(server.url("good")), tmp_path, progress=False)
    assert leftovers(tmp_path) == ["file.gz"]
