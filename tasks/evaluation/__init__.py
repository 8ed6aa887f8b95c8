"""The parts of an evaluation: datasets and their truth, score maps, curves, names."""
