from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipomaly_core.errors import UserError
from schemas.records import (
    CommitRecord,
    Outcome,
    Shard,
    Source,
    SourceOutcome,
    Stages,
    TimestampSource,
)
from tasks.scanning.plan import plan

START = datetime(2026, 11, 22, 22, 0, tzinfo=UTC)
MINUTES = 3.0


def source(number: int, minute: int, seconds: float, drive: str = "a", etag: str = "1") -> Source:
    return Source(
        uri=f"file:///{drive}/{number:04d}.mp4",
        size=1000 + number,
        etag=etag,
        drive=drive,
        captured=START + timedelta(minutes=minute),
        captured_from=TimestampSource.FILENAME,
        footage_seconds=seconds,
    )


def commit(shard: Shard) -> CommitRecord:
    outcomes = tuple(SourceOutcome(s.uri, s.etag, Outcome.OK, None, 1, 0, 0) for s in shard.sources)
    return CommitRecord("scan", shard.shard_id, START, (), outcomes, Stages(0, 0, 0))


drives = st.sampled_from("ab")
# Minutes 0 … 240 from 22:00 reach over midnight.
facts = st.lists(st.tuples(st.integers(0, 240), st.one_of(st.just(0.0), st.floats(0, 400)), drives), max_size=30)


def sources_of(listed: list[tuple[int, float, str]], first: int = 0) -> list[Source]:
    return [source(first + n, minute, seconds, drive) for n, (minute, seconds, drive) in enumerate(listed)]


@given(facts)
def test_every_source_once_and_shards_are_short(listed: list[tuple[int, float, str]]) -> None:
    sources = sources_of(listed)
    shards = plan(sources, [], MINUTES)
    assert sorted(s.uri for shard in shards for s in shard.sources) == sorted(s.uri for s in sources)
    assert len({shard.shard_id for shard in shards}) == len(shards)
    for shard in shards:
        assert len({(s.drive, s.day) for s in shard.sources}) == 1
        assert len(shard.sources) == 1 or sum(s.footage_seconds for s in shard.sources) <= MINUTES * 60
        assert list(shard.sources) == sorted(shard.sources, key=lambda s: (s.captured, s.uri))
    # Greedy: the first source of a shard would not have fitted into the one before.
    for before, after in pairwise(shards):
        joined = (*before.sources, after.sources[0])
        if len({(s.drive, s.day) for s in joined}) == 1:
            assert sum(max(s.footage_seconds, 1) for s in joined) > MINUTES * 60


@given(facts, st.randoms())
def test_order_of_listing_does_not_matter(listed: list[tuple[int, float, str]], random: Random) -> None:
    sources = sources_of(listed)
    shuffled = sources.copy()
    random.shuffle(shuffled)
    assert plan(shuffled, [], MINUTES) == plan(sources, [], MINUTES)


@given(facts, st.data())
def test_a_scan_cut_off_plans_the_same_shards_again(listed: list[tuple[int, float, str]], data: st.DataObject) -> None:
    sources = sources_of(listed)
    shards = plan(sources, [], MINUTES)
    done = [shard for shard in shards if data.draw(st.booleans())]
    assert plan(sources, map(commit, done), MINUTES) == [shard for shard in shards if shard not in done]


@given(facts, facts, st.data())
def test_later_sources_leave_what_is_done_alone(
    listed: list[tuple[int, float, str]], later: list[tuple[int, float, str]], data: st.DataObject
) -> None:
    sources = sources_of(listed)
    done = [shard for shard in plan(sources, [], MINUTES) if data.draw(st.booleans())]
    commits = [commit(shard) for shard in done]
    everything = sources + sources_of(later, first=len(sources))
    second = plan(everything, commits, MINUTES)
    once = [s.uri for shard in (*done, *second) for s in shard.sources]
    assert sorted(once) == sorted(s.uri for s in everything)
    # And the second night, cut off in its turn, is as stable as the first.
    commits += [commit(shard) for shard in second if data.draw(st.booleans())]
    third = plan(everything, commits, MINUTES)
    committed = {c.shard_id for c in commits}
    assert third == [shard for shard in second if shard.shard_id not in committed]


def test_later_sources_start_new_shards() -> None:
    first = [source(0, 0, 60), source(1, 1, 60)]
    [done] = plan(first, [], MINUTES)
    [new] = plan([*first, source(2, 2, 30)], [commit(done)], MINUTES)
    assert [s.uri for s in new.sources] == ["file:///a/0002.mp4"]


def test_changed_source_is_planned_again() -> None:
    [done] = plan([source(0, 0, 60), source(1, 1, 60)], [], MINUTES)
    [again] = plan([source(0, 0, 60, etag="2"), source(1, 1, 60)], [commit(done)], MINUTES)
    assert [s.etag for s in again.sources] == ["2"]
    assert again.shard_id != done.shard_id


def test_broken_sources_do_not_pile_up_in_one_shard() -> None:
    shards = plan([source(n, 0, 0) for n in range(500)], [], MINUTES)
    assert max(len(shard.sources) for shard in shards) == 180


@pytest.mark.parametrize("minutes", [0.0, -1.0, float("nan"), float("inf")])
def test_senseless_length(minutes: float) -> None:
    with pytest.raises(UserError, match="--shard-minutes"):
        plan([], [], minutes)
