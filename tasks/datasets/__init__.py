"""The parts of a training dataset: which frames it has, their pictures, and a file for each format."""
