"""What a run leaves behind: figures, tables, statistics, and the folder they lie in."""

from minidl.reporting.claims import NOT_REPORTED, Claim, Judged, judge, verdict
from minidl.reporting.conditions import Conditions, DataUsed
from minidl.reporting.folder import FolderInUse, RunFolder
from minidl.reporting.statistics import PairedTest, Trend, paired_test, trend
from minidl.reporting.tables import markdown_table, text_table

__all__ = [
    "NOT_REPORTED",
    "Claim",
    "Conditions",
    "DataUsed",
    "FolderInUse",
    "Judged",
    "PairedTest",
    "RunFolder",
    "Trend",
    "judge",
    "markdown_table",
    "paired_test",
    "text_table",
    "trend",
    "verdict",
]
