"""From verdicts to the changes of a vocabulary."""
