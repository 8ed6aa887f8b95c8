"""What ``clipomaly report`` does, and the artifact that the nightly flow leaves."""

from collections.abc import Iterator
from urllib.parse import quote

from schemas.review import Verdict
from tasks.footage.archive import Listing, find_sources
from tasks.reporting.comparison import Judged, compare_scans
from tasks.reporting.page import render_comparison, render_report
from tasks.reporting.report import Report, make_report
from tasks.storage import is_local, locate, replace_file
from tasks.tables import Tables


def write_report(
    tables: str,
    out: str,
    *,
    hours: float = 20,
    finds: int = 24,
    archive: str | None = None,
    listing: Listing | None = None,
    review_url: str | None = None,
) -> str:
    """Write the report of the last night into ``out``; the URL of its file.

    Args:
        tables: where the tables are.
        out: folder or any fsspec URL; the file is ``night-YYYY-MM-DD.html``, the UTC date of the newest commit.
        hours: length of the night before the newest commit.
        finds: how many of the best finds to show.
        archive: listed again to find what is not scanned, unless there is a ``listing`` of it.
        review_url: where the review page is served.

    Raises:
        UserError: nothing scanned, or a folder that cannot be written.
    """
    if listing is None and archive is not None:
        listing = find_sources(archive)
    return place_report(make_report(Tables.at(tables), hours=hours, finds=finds, listing=listing), out, review_url)


def place_report(report: Report, out: str, review_url: str | None) -> str:
    """Write a report into the folder ``out``; returns the URL of its file. Raises UserError if it cannot be written."""
    place = locate(out).child(f"night-{report.ended:%Y-%m-%d}.html")
    replace_file(place, render_report(report, review_url).encode())
    return place.path if is_local(place.fs) else place.url


def write_comparison(tables: str, out: str, before: str, after: str, queue: str | None) -> str:
    """Write ``compare-BEFORE-AFTER.html`` into ``out``; its URL. Decisions of the review queue say what was false.

    Raises:
        UserError: scans that do not exist or have nothing in common; ReviewError if the address is not a queue.
    """
    comparison = compare_scans(Tables.at(tables), before, after, _judged(queue) if queue else ())
    place = locate(out).child(f"compare-{before}-{after}.html")
    replace_file(place, render_comparison(comparison).encode())
    return place.path if is_local(place.fs) else place.url


def gist_of(report: Report, url: str) -> str:
    """The report in a few lines of Markdown, with a link to it."""
    lines = [
        f"# Night of {report.ended:%Y-%m-%d}",
        f"{report.frames} frames of {report.outcomes.total()} sources, {report.instances} instances, "
        f"{len(report.names)} names. [Report]({link_to(url)})",
        "",
        f"**New kinds:** {', '.join(_plain(line.name) for line in report.new_names[:20]) or 'none'}",
        "",
        "| name | instances | in 1,000 frames | weeks before |",
        "|---|---:|---:|---:|",
    ]
    for line in report.names[:20]:
        usual = "—" if line.usual is None else f"{line.usual:.1f}"
        lines.append(f"| {_plain(line.name)} | {line.instances} | {line.rate:.1f} | {usual} |")
    return "\n".join(lines)


def link_to(url: str) -> str:
    """The address under which a browser opens a report."""
    return url if "://" in url else f"file://{quote(url)}"


def _plain(text: str) -> str:
    """Names come from a vocabulary file, so their characters are escaped: they are not markup."""
    return "".join(f"\\{letter}" if letter in r"\`*_{}[]()<>#+-.!|" else letter for letter in text)


def _judged(url: str) -> Iterator[Judged]:
    from review.queue import Queue
    from schemas.review import JUDGED

    with Queue.open(url, create=False) as queue:
        for queued in queue.walk(JUDGED, with_pictures=False):
            item, verdict = queued.item, queued.status.verdict
            if verdict is None or verdict is Verdict.UNSURE:
                continue
            seen = {item.frame_index: item.box} | {frame.frame_index: frame.box for frame in item.track}
            for frame_index, box in seen.items():
                yield Judged(item.item_id, item.source_uri, frame_index, box, verdict.is_real)
