"""Lines before the first frame."""

from clipomaly_core.timing import SlowStart


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def run(caplog, seconds_a_part):
    clock = Clock()
    progress = SlowStart("embedding names", 10, clock=clock)
    for part in range(1, 11):
        clock.now += seconds_a_part
        progress.done(part)
    return [record.getMessage() for record in caplog.records]


def test_what_is_quick_says_nothing(caplog):
    assert run(caplog, 0.1) == []


def test_what_is_slow_says_now_and_then_how_far_it_is(caplog):
    assert run(caplog, 2.0) == [f"embedding names: {part} of 10" for part in (1, 4, 7)]
