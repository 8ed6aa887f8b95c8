"""Whether a scan found about as much as its calibration predicts."""

from schemas.records import ScanRecord

_FACTOR = 4.0
"""Finds an hour may differ from the prediction by this factor."""
_LEAST_FINDS = 10
"""With fewer finds, found or predicted, the check is not reliable."""
_UNCALIBRATED = 0.5
"""From this many finds a frame on, a model without a reference does not fit."""
_MEND = (
    "make a reference of ordinary footage like this: clipomaly reference build ARCHIVE --out FILE, and scan with "
    "--reference FILE"
)


def calibration_misfit(record: ScanRecord, frames: int, instances: int) -> str | None:
    """A warning if a scan found far more or far less than its calibration predicts.

    Args:
        record: of the scan.
        frames: scanned.
        instances: found in them.

    Returns:
        One line with the numbers and the command that solves it; ``None`` if it fits, or finds are too few.
    """
    if not frames:
        return None
    hours = frames / record.fps / 3600
    found = instances / hours
    if record.reference is None:
        if instances < _LEAST_FINDS or instances < _UNCALIBRATED * frames:
            return None
        return f"calibration does not fit: {instances} finds in {frames} frames; {_MEND}"
    promised = record.options.get("finds_per_hour")
    if not isinstance(promised, int | float):
        return None
    expected = promised * hours
    too_many = instances >= _LEAST_FINDS and found > _FACTOR * promised
    too_few = expected >= _LEAST_FINDS and found < promised / _FACTOR
    if not (too_many or too_few):
        return None
    return (
        f"calibration does not fit: {found:.0f} finds an hour ({instances} in {frames} frames), where "
        f"{promised:g} were expected with reference {record.reference.reference_id}; {_MEND}"
    )
