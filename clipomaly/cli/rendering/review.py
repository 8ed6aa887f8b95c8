"""What the review commands print: tables for people, or the JSON of the page's API."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, TypeAdapter
from rich.table import Table

from clipomaly.cli.rendering.console import print_block, print_rows, stdout
from review.audit import Audit
from review.names import KnownName, unclear_reason
from review.opinions import Agreement, Disagreement
from review.queue import Cluster
from review.reviewers import Reviewer
from review.statistics import Stats
from review.web.messages import DecisionAnswer, event_answer, item_answer
from schemas.review import JUDGED, Decision, Event, ItemStatus, QueuedItem, State, Verdict
from schemas.shares import in_percent, place_of, unusualness
from tasks.evaluation.precision import Calibration

_MOST_NAMES = 15


def print_items(queued: Sequence[QueuedItem], as_json: bool) -> None:
    """Items, a line each."""
    if as_json:
        _dump([item_answer(item, has_frames=True) for item in queued])
        return
    _print(
        ("item", "name", "likely", "anomaly", "drive", "captured (UTC)", "state"),
        [
            (
                item.item.item_id,
                item.item.name
                if item.item.is_clear or not item.item.suggestion
                else f"{item.item.name} ({item.item.suggestion}?)",
                _share(item.item.name_score),
                place_of(item.item.anomaly_percentile, item.item.anomaly_of),
                item.item.drive,
                f"{item.item.timestamp:%Y-%m-%d %H:%M:%S}" + " (file time)" * (item.item.timestamp_source == "mtime"),
                _told(item.status),
            )
            for item in queued
        ],
        "nothing waits",
    )


def print_item(queued: QueuedItem, events: Sequence[Event], as_json: bool) -> None:
    """One item with its history."""
    if as_json:
        history = [event_answer(event).model_dump(mode="json") for event in events]
        print(json.dumps(item_answer(queued, has_frames=True).model_dump(mode="json") | {"events": history}, indent=2))
        return
    item = queued.item
    names = ", ".join(f"{name.name} {_share(name.score)}" for name in item.names)
    rank = f"{unusualness(item.anomaly_percentile, item.anomaly_of)} (score {item.score:.3f})"
    place = "not recorded" if item.latitude is None else f"{item.latitude:.5f}, {item.longitude:.5f}"
    facts = (
        ("item", item.item_id),
        ("name", item.name),
        ("suggested", names),
        *((("no clear name", reason),) if (reason := unclear_reason(item)) else ()),
        ("anomaly", rank),
        ("drive", item.drive),
        ("when", f"{item.timestamp:%Y-%m-%d %H:%M:%S} UTC, from: {item.timestamp_source or 'not recorded'}"),
        ("where", place),
        ("footage", f"frame {item.frame_index} of {item.source_uri}"),
        ("track", f"{len(item.track)} frame{'' if len(item.track) == 1 else 's'}"),
        ("now", _told(queued.status)),
    )
    print_block(facts)
    print()
    _print(
        ("when (UTC)", "what", "who", "before", "after"),
        [
            (
                f"{event.at:%Y-%m-%d %H:%M:%S}",
                event.kind.value,
                event.actor,
                _told(event.before) if event.before else "",
                event.note or _told(event.after),
            )
            for event in events
        ],
    )


def print_decisions(decisions: Sequence[Decision], as_json: bool) -> None:
    """What was recorded."""
    if as_json:
        _dump([DecisionAnswer.model_validate(decision, from_attributes=True) for decision in decisions])
        return
    for decision in decisions:
        print(f"{decision.item_id}: {decision.verdict.value}{f', {decision.name}' if decision.name else ''}")


def print_groups(groups: Sequence[Cluster], as_json: bool) -> None:
    """Groups of look-alikes, a line each."""
    if as_json:
        print(json.dumps([asdict(group) | {"name": group.name, "items": group.items} for group in groups], indent=2))
        return
    _print(
        ("cluster", "names", "items", "one of them"),
        [
            (
                group.cluster,
                ", ".join(f"{count} {name}" for name, count in group.names),
                str(group.items),
                group.example,
            )
            for group in groups
        ],
        "no look-alikes are waiting",
    )


def print_names(names: Sequence[KnownName], as_json: bool) -> None:
    """Names, a line each."""
    if as_json:
        _dump_records(names)
        return
    for offered in names:
        print(f"{offered.name}{' (known class)' if offered.known else ''}")


def print_reviewers(reviewers: Sequence[Reviewer], as_json: bool) -> None:
    """Who may sign in."""
    if as_json:
        print(
            json.dumps(
                [{"name": reviewer.name, "created_at": reviewer.created_at.isoformat()} for reviewer in reviewers],
                indent=2,
            )
        )
        return
    _print(
        ("reviewer", "since (UTC)"),
        [(reviewer.name, f"{reviewer.created_at:%Y-%m-%d %H:%M}") for reviewer in reviewers],
        "there are no reviewers: whoever opens the page on this machine can judge",
    )


def print_audit(found: Audit, as_json: bool) -> None:
    """What should be looked at before a dataset is built."""
    if as_json:
        unnamed = [
            asdict(unnamed.decision) | {"suggestion": unnamed.queued.item.suggestion} for unnamed in found.unnamed
        ]
        print(
            json.dumps(
                {"unnamed": unnamed, "spellings": [asdict(spelling) for spelling in found.spellings]},
                indent=2,
                default=str,
            )
        )
        return
    if found.is_clean:
        print("every decision has a name, and no name looks misspelt")
        return
    if found.unnamed:
        print(f"{len(found.unnamed)} decisions have no real name, and no dataset takes them. Judge them again:")
        print('  clipomaly review reopen ITEM… --note "it has no name"')
        _print(
            ("item", "recorded as", "by", "first suggestion"),
            [
                (
                    unnamed.decision.item_id,
                    unnamed.decision.name or "",
                    unnamed.decision.reviewer,
                    unnamed.queued.item.suggestion or "-",
                )
                for unnamed in found.unnamed
            ],
        )
    if found.spellings:
        print(f"{len(found.spellings)} names may be misspelt. If they are, merge them:")
        print("  clipomaly review names merge NAME… --into NAME")
        _print(
            ("name", "items", "may be", "of which"),
            [
                (spelling.name, f"{spelling.items:,}", spelling.likely, f"{spelling.likely_items:,}")
                for spelling in found.spellings
            ],
        )


def print_disagreements(found: Sequence[Disagreement], as_json: bool) -> None:
    """What reviewers disagree on, a line each."""
    if as_json:
        told = [
            {
                "item_id": disagreement.queued.item.item_id,
                "status": asdict(disagreement.queued.status),
                "opinions": [asdict(said) for said in disagreement.opinions],
            }
            for disagreement in found
        ]
        print(json.dumps(told, indent=2, default=str))
        return
    _print(
        ("item", "decided", "by", "others say"),
        [
            (
                disagreement.queued.item.item_id,
                _verdict(disagreement.queued.status.verdict, disagreement.queued.status.name),
                disagreement.queued.status.decided_by or "",
                "; ".join(f"{said.reviewer}: {_verdict(said.verdict, said.name)}" for said in disagreement.opinions),
            )
            for disagreement in found
        ],
        "nobody disagrees",
    )


def print_agreement(told: Agreement, as_json: bool) -> None:
    """How far reviewers agree."""
    if as_json:
        print(json.dumps(asdict(told), indent=2))
        return
    print(f"{told.waiting:,} wait for a second opinion; {told.open_disagreements:,} disagreements are open")
    if told.items:
        alpha = "not defined yet" if told.alpha is None else f"{told.alpha:.2f}"
        print(f"{told.agreed:,} of {told.items:,} items judged twice agree; Krippendorff's alpha: {alpha}")


def _verdict(verdict: Verdict | None, name: str | None) -> str:
    return f"{verdict.value if verdict else ''}{f': {name}' if name else ''}"


def print_stats(stats: Stats, as_json: bool) -> None:
    """How far the review is."""
    if as_json:
        print(TypeAdapter(Stats).dump_json(stats, indent=2).decode())
        return
    waiting, judged = stats.items(State.PENDING, State.LEASED), stats.items(*JUDGED)
    away, duplicates = stats.items(State.SNOOZED), stats.items(State.DUPLICATE)
    print(f"{waiting:,} waiting, {judged:,} judged, {away:,} snoozed, {duplicates:,} duplicates")
    share = stats.precision
    if share.share is not None and share.low is not None and share.high is not None:
        print(
            f"real unknown objects: {100 * share.share:.0f} % ({100 * share.low:.0f} to {100 * share.high:.0f} %, "
            f"from {share.judged} judged item{'' if share.judged == 1 else 's'} drawn at random)"
        )
    nights = [(night.night, f"{night.items:,}", f"{night.judged:,}") for night in stats.nights[:_MOST_NAMES]]
    reviewers = [(reviewer.reviewer, f"{reviewer.today:,}", f"{reviewer.judged:,}") for reviewer in stats.reviewers]
    verdicts = [(verdict.verdict.value, f"{verdict.items:,}") for verdict in stats.verdicts if verdict.items]
    names = [(used.name, f"{used.open:,}", f"{used.judged:,}") for used in stats.names[:_MOST_NAMES]]
    for columns, rows in (
        (("night", "items", "judged"), nights),
        (("reviewer", "today", "in all"), reviewers),
        (("verdict", "items"), verdicts),
        (("name", "open", "judged"), names),
    ):
        if rows:
            print()
            _print(columns, rows)
    if len(stats.names) > _MOST_NAMES:
        print(f"… and {len(stats.names) - _MOST_NAMES:,} more names")


def _share(share: float | None) -> str:
    return "-" if share is None else in_percent(share)


def _told(status: ItemStatus) -> str:
    parts = [status.state.value]
    if status.holder:
        parts.append(f"by {status.holder}")
    if status.until:
        parts.append(f"until {status.until:%d %b %H:%M}")
    if status.verdict:
        parts.append(f"{status.verdict.value}{f' {status.name}' if status.name else ''} by {status.decided_by}")
    if status.duplicate_of:
        parts.append(f"of {status.duplicate_of}")
    return " ".join(parts)


def _print(columns: Sequence[str], rows: Sequence[Sequence[str]], empty: str | None = None) -> None:
    if not rows and empty:
        print(empty)
        return
    print_rows(columns, rows, right=("likely", "anomaly", "items", "judged", "open", "today", "in all"))


def _dump(answers: Sequence[BaseModel]) -> None:
    print(json.dumps([answer.model_dump(mode="json") for answer in answers], indent=2))


def _dump_records(records: Sequence[KnownName]) -> None:
    print(json.dumps([asdict(record) for record in records], indent=2))


def print_precision(found: Calibration, wished: float) -> None:
    """How often each band of scores is right, and the threshold for the wished precision."""
    console = stdout()
    if not found.judged:
        console.print("none of the judged items was drawn at random: nothing can be estimated yet")
        return
    table = Table("score", "judged", "real", "precision", "95 % interval", box=None, header_style="dim", pad_edge=False)
    for band in found.bands:
        score = f"{band.low:.3f} to {band.high:.3f}"
        if band.share is None:
            table.add_row(score, "0", "0", "-", "-")
        else:
            interval = f"{band.least:.0%} to {band.most:.0%}"
            table.add_row(score, str(band.judged), str(band.real), f"{band.share:.0%}", interval)
    console.print(table)
    if found.threshold is None:
        console.print(
            f"no score is shown to have a precision of {wished:.0%}: the {found.judged} items drawn at random are too "
            "few or too often wrong"
        )
    else:
        cut = found.threshold
        console.print(
            f"from score {cut.score:.3f} on {cut.share:.0%} are real, at least {cut.least:.0%} with 97.5 % confidence "
            f"({cut.judged} judged); that keeps {cut.kept:.0%} of the real objects among the judged"
        )
