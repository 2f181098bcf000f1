"""The list of planted errors fits the source, and one of them is caught as all would be."""

from __future__ import annotations

import shutil

import planted_errors
import pytest


def test_each_text_to_change_is_in_its_file_once():
    errors = list(planted_errors.planted([]))
    assert len(errors) > 150
    assert [str(error) for error in errors if error.count(planted_errors.ROOT) != 1] == []


def test_each_error_has_tests_of_its_area():
    """Tests that are not there would fail, and count as having caught it."""
    errors = list(planted_errors.planted([]))
    assert {error.path.partition("/")[0] for error in errors} == {*planted_errors.AREAS}
    for tests in planted_errors.AREAS.values():
        assert [test for test in tests if not (planted_errors.ROOT / test).exists()] == []


@pytest.mark.slow
def test_an_error_is_caught_and_a_change_that_is_none_is_not(tmp_path):
    for folder in ("minidl", "tests", "tools", "experiments"):
        shutil.copytree(planted_errors.ROOT / folder, tmp_path / folder)
    shutil.copy(planted_errors.ROOT / "setup.cfg", tmp_path)
    (error, *_) = planted_errors.planted(["initializers.py"])
    tests = ["tests/test_initializers.py"]
    assert error.caught(tmp_path, tests).startswith("FAILED tests/test_initializers.py::")
    assert error._replace(new=error.old).caught(tmp_path, tests) is None
    assert error.count(tmp_path) == 1  # the copy is as it was
