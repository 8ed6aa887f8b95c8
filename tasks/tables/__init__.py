"""The tables of a scan: part files, commit records, compaction, and the committed rows as one dataset."""

from tasks.tables.tables import Tables, open_table

__all__ = ["Tables", "open_table"]
