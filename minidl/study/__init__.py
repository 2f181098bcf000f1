"""The parts that every published comparison shares: options, seeds, resumable runs, claims, report.

A study is a :class:`TrainedStudy` (or a :class:`Study`) that declares only what is specific to it;
see the folders in ``experiments/studies`` for examples.
"""

from minidl.pages.markdown import markdown_table
from minidl.study.claims import (
    NOT_REPORTED,
    Claim,
    Criterion,
    Evidence,
    NotJudged,
    Statement,
    count,
    judge,
)
from minidl.study.cluster import ClusterError, FailedRuns
from minidl.study.conditions import Conditions, DataUsed
from minidl.study.folder import FolderInUse, RunFolder
from minidl.study.pools import Task
from minidl.study.report import Report, Section, Work
from minidl.study.run import Run
from minidl.study.signals import Interrupted
from minidl.study.statistics import PairedTest, Trend, paired_test, trend
from minidl.study.study import Rows, Study, TrainedStudy
from minidl.study.sweep import Outcome, sweep
from minidl.study.tables import text_list, text_table
from minidl.study.verdicts import Verdicts

__all__ = [
    "NOT_REPORTED",
    "Claim",
    "ClusterError",
    "Conditions",
    "Criterion",
    "DataUsed",
    "Evidence",
    "FailedRuns",
    "FolderInUse",
    "Interrupted",
    "NotJudged",
    "Outcome",
    "PairedTest",
    "Report",
    "Rows",
    "Run",
    "RunFolder",
    "Section",
    "Statement",
    "Study",
    "Task",
    "TrainedStudy",
    "Trend",
    "Verdicts",
    "Work",
    "count",
    "judge",
    "markdown_table",
    "paired_test",
    "sweep",
    "text_list",
    "text_table",
    "trend",
]
