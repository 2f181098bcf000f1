"""One thread for the small networks of the studies: more of them only wait for one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from minidl.backend.threads import using_threads


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    with using_threads(1):
        yield
