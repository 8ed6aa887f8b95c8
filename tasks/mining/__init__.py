"""The parts of mining: candidates, their similarity, what the queue holds already, and new items for it."""
