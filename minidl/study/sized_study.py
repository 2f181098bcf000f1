"""Studies of networks that are too large for a CPU, as run and as described."""

from __future__ import annotations

import argparse
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

from minidl.pages import Table
from minidl.study.claims import Claim
from minidl.study.run import Run
from minidl.study.study import TrainedStudy
from minidl.study.verdicts import Verdicts

SET_UPS = {"as_run": "as run", "as_described": "as described"}


class SizedStudy(TrainedStudy):
    """A study that is smaller than the published one unless ``--full`` is given.

    Its ``summary.json`` has the size, and the claims by set-up.
    """

    full: ClassVar[Any]  # how large the published one is: a dataclass
    reduced: ClassVar[Any]
    sized_by: ClassVar[Sequence[tuple[str, str]]]  # options, and the field that each sets

    @abstractmethod
    def judged(self, summary: Mapping[str, Any], results: Any, key: str) -> list[Claim]:
        """The claims, judged in one set-up of a run."""

    def size(self, chosen: argparse.Namespace) -> Any:
        """The size that the command line asks for."""
        given = {
            field: getattr(chosen, option)
            for option, field in self.sized_by
            if getattr(chosen, option)
        }
        return replace(self.full if chosen.full else self.reduced, **given)

    def size_block(self, run: Run) -> dict[str, Any]:
        """What the summary says about the size."""
        size = self.size(run.chosen)
        return {"size": asdict(size), "is_full_size": size == self.full}

    def size_of(self, summary: Mapping[str, Any]) -> Any:
        """The size of the run that a summary describes."""
        return type(self.full)(**summary["size"])

    def sizes(self, summary: Mapping[str, Any], rows: Mapping[str, Callable[[Any], str]]) -> Table:
        """A table with a row for each of ``rows``, functions of the study's size and of ours."""
        both = self.full, self.size_of(summary)
        return Table(
            "Sizes", ["", "study", "here"], [[name, *map(say, both)] for name, say in rows.items()]
        )

    def judge(self, summary: dict[str, Any], results: Mapping[str, Any]) -> None:
        summary["claims"] = {
            key: [claim.as_dict() for claim in self.judged(summary, results, key)]
            for key in SET_UPS
        }

    def verdicts(self, summary: Mapping[str, Any]) -> Verdicts:
        return Verdicts({title: summary["claims"][key] for key, title in SET_UPS.items()})

    def results(self, summary: Mapping[str, Any]) -> str:
        return self.verdicts(summary).text()
