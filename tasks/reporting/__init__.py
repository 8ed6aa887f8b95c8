"""The parts of the nightly report: charts, page, comparison with the scan before, best finds."""
