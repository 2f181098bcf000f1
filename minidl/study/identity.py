"""Which run of which study a file belongs to: the name, the options and the data, as text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from minidl.training.checkpoint import Checkpoint
from minidl.training.start import difference

DATA = "data "  # before the name of a data set


def identity_of(options: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, str]:
    """The options, and the digest of each data set by its name, each value as JSON."""
    named = {DATA + name: digest for name, digest in data.items()}
    return as_json({**options, **named})


def as_json(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: json.dumps(value) for name, value in values.items()}


def compare(expected: Mapping[str, str], got: Mapping[str, str]) -> tuple[str, str] | None:
    """Where two identities differ, both as text; None if they do not.

    Data sets that only one of them has used are not compared: a later command of the same run may
    use more of them.
    """
    in_one = expected.keys() ^ got.keys()
    left_out = {name for name in in_one if name.startswith(DATA)}
    ours, theirs = ({n: v for n, v in one.items() if n not in left_out} for one in (expected, got))
    return difference(ours, theirs)


class RunCheckpoint(Checkpoint):
    """The checkpoint of one training run of a study."""

    def compare(self, identity: Mapping[str, str]) -> tuple[str, str] | None:
        return compare(self.identity, identity)
