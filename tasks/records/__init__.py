"""Files that say what was planned, done and merged: the only truth about it."""
