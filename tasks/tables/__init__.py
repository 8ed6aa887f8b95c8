"""The tables of a scan: part files, commit records, compaction, and the committed rows as one dataset."""

from tasks.tables.parts import open_table

__all__ = ["open_table"]
