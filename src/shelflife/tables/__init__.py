"""Any table in: sorted by time into one file (`ordered`), or handed out in batches as it lies (`rows`)."""

from shelflife.tables.doors import ROW, TIME, WRITTEN
from shelflife.tables.ordered import SortedTable, open_sorted, sort_by_time
from shelflife.tables.rows import Rows, open_rows

__all__ = ["ROW", "TIME", "WRITTEN", "Rows", "SortedTable", "open_rows", "open_sorted", "sort_by_time"]
