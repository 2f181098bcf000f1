"""What a run leaves behind: figures, tables, statistics, and the folder they lie in."""

from minidl.study.claims import NOT_REPORTED, Claim, Criterion, Evidence, Judged, count, judge
from minidl.study.conditions import Conditions, DataUsed
from minidl.study.folder import FolderInUse, RunFolder
from minidl.study.statistics import PairedTest, Trend, paired_test, trend
from minidl.study.tables import markdown_table, text_table

__all__ = [
    "NOT_REPORTED",
    "Claim",
    "Conditions",
    "Criterion",
    "DataUsed",
    "Evidence",
    "FolderInUse",
    "Judged",
    "PairedTest",
    "RunFolder",
    "Trend",
    "count",
    "judge",
    "markdown_table",
    "paired_test",
    "text_table",
    "trend",
]
