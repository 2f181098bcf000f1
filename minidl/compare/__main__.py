"""``python -m minidl.compare RUN RUN …``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minidl.compare.page import KIND, comparison
from minidl.compare.runs import read_runs
from minidl.storage.files import read_bytes, whole_file
from minidl.study.options import folder_name, new_parser
from minidl.study.report import LARGEST
from minidl.study.study import user_errors


def main(arguments: Sequence[str] | None = None) -> None:
    parser = new_parser("Several runs side by side: one page with curves, results and options.")
    parser.prog = "python -m minidl.compare"
    add = parser.add_argument
    add("runs", nargs="+", type=folder_name, metavar="RUN", help="the folder of a run")
    add("--output", type=folder_name, default="compare.html", metavar="FILE", help="the page")
    chosen = parser.parse_args(arguments)
    with user_errors("compare"):
        html = comparison(read_runs(chosen.runs)).html()
        expect_own(chosen.output)
        with whole_file(chosen.output) as file:
            file.write(html)
        print(f"written to {chosen.output}, {len(html.encode()) / 1e6:.1f} MB")


def expect_own(path: Path) -> None:
    """Raise ``FileExistsError`` where a file lies at ``path`` that is no page of this command."""
    try:
        is_own = not path.is_symlink() and f"<p>{KIND}</p>".encode() in read_bytes(path, LARGEST)
    except FileNotFoundError:
        return
    except ValueError:  # larger than any page
        is_own = False
    if not is_own:
        raise FileExistsError(
            f"{path}: expected no file, or a page that this command wrote, got another; "
            "choose another --output"
        )


if __name__ == "__main__":
    main()
