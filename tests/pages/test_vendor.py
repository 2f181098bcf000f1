"""Third-party JavaScript is as published, byte for byte; ``sources.json`` says where."""

from __future__ import annotations

import hashlib
import json

from minidl.pages.page import HERE, SCRIPTS

VENDOR = HERE / "vendor"
SOURCES = json.loads((VENDOR / "sources.json").read_text("utf-8"))


def test_every_file_has_its_source_and_every_source_its_file():
    licences = {source["licence_file"] for source in SOURCES.values()}
    assert {path.name for path in VENDOR.iterdir()} == {"sources.json", *SOURCES, *licences}
    used = {name.removeprefix("vendor/") for name in SCRIPTS if name.startswith("vendor/")}
    assert used == set(SOURCES)
    for name in licences:
        assert "Permission to use, copy, modify" in (VENDOR / name).read_text("utf-8")


def test_the_bytes_are_the_published_ones():
    for name, source in SOURCES.items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == source["sha256"], name
        assert source["tarball"].startswith(f"https://registry.npmjs.org/{source['package']}/-/")
        assert source["tarball"].endswith(f"-{source['version']}.tgz")
        assert f"-{source['version']}." in name
        assert f" v{source['version']} Copyright" in (VENDOR / name).read_text("utf-8")[:100]
