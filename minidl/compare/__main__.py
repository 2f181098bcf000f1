"""``python -m minidl.compare RUN RUN …``."""

from __future__ import annotations

from collections.abc import Sequence

from minidl.compare.page import comparison
from minidl.compare.runs import read_runs
from minidl.study.options import folder_name, new_parser
from minidl.study.study import user_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser("Several runs side by side: one page with curves, results and options.")
    parser.prog = "python -m minidl.compare"
    add = parser.add_argument
    add("runs", nargs="+", type=folder_name, metavar="RUN", help="the folder of a run")
    add("--output", type=folder_name, default="compare.html", metavar="FILE", help="the page")
    chosen = parser.parse_args(arguments)
    with user_errors("compare"):
        print(comparison(read_runs(chosen.runs)).write(chosen.output))


if __name__ == "__main__":
    main()
