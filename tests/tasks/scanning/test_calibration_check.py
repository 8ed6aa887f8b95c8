from dataclasses import replace
from datetime import UTC, datetime

from schemas.records import ReferenceNote, ScanRecord
from tasks.scanning.scan_record import calibration_misfit

PLAIN = ScanRecord(
    "a1", 5, "nano", "00", 8, ("road",), "00", 1, 1.0, {"finds_per_hour": 30.0}, "1", datetime(2026, 1, 1, tzinfo=UTC)
)
CALIBRATED = replace(PLAIN, reference=ReferenceNote("r1", "there", 256, 1.0))
HOUR = 3600


def test_a_scan_near_its_promise_fits():
    assert calibration_misfit(CALIBRATED, HOUR, 45) is None


def test_far_too_many_finds_are_said_with_numbers_and_the_command():
    told = calibration_misfit(CALIBRATED, HOUR, 900)
    assert told
    assert told.startswith("calibration does not fit: 900 finds an hour (900 in 3600 frames), where 30 were expected")
    assert "clipomaly reference build" in told


def test_far_too_few_finds_are_said():
    assert calibration_misfit(CALIBRATED, 10 * HOUR, 3)


def test_a_few_frames_tell_nothing():
    assert calibration_misfit(CALIBRATED, 20, 3) is None
    assert calibration_misfit(CALIBRATED, 20, 0) is None
    assert calibration_misfit(CALIBRATED, 0, 0) is None


def test_a_model_that_finds_something_everywhere_is_said_without_a_reference():
    assert calibration_misfit(PLAIN, 100, 100)
    assert calibration_misfit(PLAIN, 100, 20) is None
