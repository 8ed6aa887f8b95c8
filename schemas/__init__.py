"""What crosses rooms: the Arrow schema of every table, and the records that tasks hand to each other."""
