"""What a run leaves behind: figures, tables, statistics, and the folder they lie in."""

from minidl.reporting.folder import RunFolder
from minidl.reporting.statistics import PairedTest, Trend, paired_test, trend
from minidl.reporting.tables import markdown_table, text_table

__all__ = [
    "PairedTest",
    "RunFolder",
    "Trend",
    "markdown_table",
    "paired_test",
    "text_table",
    "trend",
]
