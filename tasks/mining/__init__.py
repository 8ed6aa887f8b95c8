"""The parts of mining: candidates, how alike they are, what was there before, and items for the queue."""
