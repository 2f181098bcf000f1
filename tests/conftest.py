"""Shared by all tests: the devices, and Hypothesis settings that always draw the same examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import browser
import host_kernels
import hypothesis
import pretended_cupy
import pytest
from skips import pytest_terminal_summary

from minidl import DeviceError, get_device
from minidl.backend import Device

__all__ = ["pytest_terminal_summary"]  # a hook, called by pytest

hypothesis.settings.register_profile(
    "minidl", deadline=None, derandomize=True, database=None, max_examples=50
)
hypothesis.settings.load_profile("minidl")


def _device(name: str, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The device of that name; without it, skip the test and give the reason."""
    if name == "pretended cuda":
        if host_kernels.COMPILER is None:
            pytest.skip("no C++ compiler to run the kernels with")
        pretended_cupy.install(monkeypatch)
        return get_device("cuda")
    try:
        return get_device(name)
    except DeviceError as error:
        pytest.skip(str(error))


@pytest.fixture(params=["cpu", "pretended cuda", "cuda"])
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """Every device in turn."""
    return _device(request.param, monkeypatch)


@pytest.fixture(params=["cpu", "cuda"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The devices that differ in their arithmetic, for the long tables."""
    return _device(request.param, monkeypatch)


@pytest.fixture(params=["pretended cuda", "cuda"])
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Device:
    """The devices whose kernels and graphs are compared with the CPU."""
    return _device(request.param, monkeypatch)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests; without one, skip and say how to install it."""
    reason = browser.missing()
    if reason is not None:
        pytest.skip(reason)
    with browser.chromium() as started:
        yield started


@pytest.fixture
def watch(chromium: Any) -> Iterator[browser.Watch]:
    """Opens pages, which must have reported no error and sent no request by the end."""
    watch = browser.Watch(chromium)
    yield watch
    watch.close()
    assert watch.complaints == []
    assert watch.requests == []
