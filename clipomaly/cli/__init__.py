"""The command ``clipomaly``: one file a verb, and what they share beside them."""
