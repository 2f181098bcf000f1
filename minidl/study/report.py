"""The report of a run: one list of parts, rendered as Markdown and as an HTML page.

It is made from the files in the folder of a run alone, so it can be made again without training,
with ``experiments/report_page.py``.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidl.pages import Chart, Page, Picture, Prose, Table, Told, told
from minidl.pages import Section as PageSection
from minidl.storage.files import own_folder, read_bytes, read_json, whole_file
from minidl.study.conditions import Conditions
from minidl.study.figures import drawn, write_figure
from minidl.study.tables import counted

KIND = "minidl · report of a run"
FOOTER = "Made by minidl from the summary of the run. The page asks for nothing: "
FOOTER += "it can be kept, sent and opened without a network."
LARGEST = 64 << 20  # bytes at most of a file that a report is made from
# The errors that a file of another form can cause while the report is made.
MISFITS = (
    *(ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError),
    csv.Error,
)


def read_summary(folder: Path) -> dict[str, Any]:
    """``summary.json``, with NaN for every ``null`` in a list, which JSON has in its place."""
    return _with_nan(read_json(folder / "summary.json", "the summary of a run", LARGEST))


def read_rows(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a CSV file; empty if the folder has no such file."""
    path = folder / name
    if not path.exists():
        return []
    text = read_bytes(path, LARGEST).decode("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _with_nan(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _with_nan(value) for key, value in data.items()}
    if isinstance(data, list):
        return [math.nan if value is None else _with_nan(value) for value in data]
    return data


@dataclass(frozen=True)
class Work:
    """The published work that a study examines, with title and names as printed there."""

    title: str
    authors: str
    year: int
    link: str = ""  # empty if there is none
    more: str = ""  # where it appeared

    def __str__(self) -> str:
        title = f"[{self.title}]({self.link})" if self.link else self.title
        return ", ".join(filter(None, (self.authors, title, self.more, str(self.year))))


@dataclass(frozen=True)
class Section:
    """Parts under a common heading."""

    title: str
    parts: Sequence[Told]


@dataclass(frozen=True)
class Report:
    """What a run has shown: the first screen has the answer, the sections say how and why.

    ``answer`` is one sentence: yes, no, not decided or not judged, with one reason and the figures
    of the run; ``opening`` is the picture that shows it; ``counted`` says how many claims hold.
    """

    title: str
    work: Work
    question: str
    answer: str
    opening: Sequence[Told]
    counted: str
    sections: Sequence[Section]
    warning: str | Told = ""
    stamp: str = ""  # in the title of each figure, for example that the data are not the study's

    def _opening(self) -> list[Told]:
        return [*self.opening, Prose([f"{self.counted}.", f"Published: {self.work}."])]

    def markdown(self) -> str:
        """``report.md``."""
        parts = [f"# {told(self.title)}", told(self.warning)]
        parts += [told(self.question), f"**{told(self.answer)}**"]
        parts += [part.markdown() for part in self._opening()]
        for section in self.sections:
            parts += [f"## {told(section.title)}", *(part.markdown() for part in section.parts)]
        return "\n\n".join(filter(None, parts)) + "\n"

    def html(self) -> str:
        """``report.html``."""
        sections = [PageSection(section.title, section.parts) for section in self.sections]
        page = Page(
            *(self.title, KIND, self.question, self.answer, self._opening(), sections),
            *(self.warning, FOOTER),
        )
        return page.html()

    def charts(self) -> Iterator[Chart]:
        """Every chart of the report."""
        for part in (*self.opening, *(part for s in self.sections for part in s.parts)):
            if isinstance(part, Chart):
                yield part

    def write(self, folder: Path) -> None:
        """Write ``report.md`` with a PNG and an SVG of each chart, and ``report.html``."""
        texts = {"report.md": self.markdown(), "report.html": self.html()}
        for text in texts.values():
            text.encode()  # raises for a lone surrogate, which cannot be written
        for chart in self.charts():
            write_figure(own_folder(folder / "figures") / chart.file, drawn(chart, self.stamp))
        for name, text in texts.items():
            with whole_file(folder / name) as file:
                file.write(text)


# -- parts of reports --------------------------------------------------------------------------


def sentence(text: str) -> str:
    """``text`` with a capital letter first."""
    return text[:1].upper() + text[1:]


def shorter(epochs: int, published: int) -> str:
    """The remark above the report of a run that has another number of epochs than the study."""
    if epochs == published:
        return ""
    return f"{counted(epochs, 'epoch')} instead of the study's {published}."


def percent(share: float, digits: int = 1) -> str:
    """``20.9%``."""
    return "–" if math.isnan(share) else f"{100 * share:.{digits}f}%"


def set_up_section(
    rows: Sequence[Sequence[str | Told]],
    summary: Mapping[str, Any],
    before: Sequence[Told] = (),
    note: str = "",
) -> Section:
    """What was run; then machine, versions, time and command, if the summary has them."""
    machine = Conditions.of(summary).rows() if "versions" in summary else []
    table = Table("What was run, and on what", [], [*rows, *machine])
    return Section("Set-up", [*before, table, *([Prose([note])] if note else [])])


def pictures(folder: Path, shown: Mapping[str, str]) -> list[Picture]:
    """Those figures of ``shown`` (a description by name) that the folder of the run has."""
    paths = {name: folder / "figures" / f"{name}.png" for name in shown}
    return [
        Picture(read_bytes(path, LARGEST), shown[name], shown[name], name)
        for name, path in paths.items()
        if path.exists()
    ]
