"""Scan an archive: what to do (shards), one shard, its rows, object tracks, and what was done."""
