"""What was promised: the maintenance plan of one system, read, checked and compared."""

from shelflife.plan.diff import Change, differences
from shelflife.plan.json_schema import schema
from shelflife.plan.lint import Remark, remarks
from shelflife.plan.loading import PlanError, Problem
from shelflife.plan.reader import Written, parse, read, recalled
from shelflife.plan.spec import Plan

__all__ = [
    "Change",
    "Plan",
    "PlanError",
    "Problem",
    "Remark",
    "Written",
    "differences",
    "parse",
    "read",
    "recalled",
    "remarks",
    "schema",
]
