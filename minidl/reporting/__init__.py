"""What a run leaves behind: figures, tables, statistics, and the folder they lie in."""

from minidl.reporting.claims import NOT_REPORTED, Claim, Criterion, Evidence, Judged, count, judge
from minidl.reporting.conditions import Conditions, DataUsed
from minidl.reporting.folder import FolderInUse, RunFolder
from minidl.reporting.statistics import PairedTest, Trend, paired_test, trend
from minidl.reporting.tables import markdown_table, text_table

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
