"""The report as one HTML file that needs nothing else: no network, no script."""

from base64 import b64encode
from datetime import UTC, datetime
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from schemas.records import Outcome
from schemas.shares import in_percent, unusualness
from tasks.reporting.charts import names_chart, positions_chart, scores_chart
from tasks.reporting.comparison import Comparison
from tasks.reporting.report import WEEKS, Report, Shown

_MOST = 25  # rows of a table before "and n more"


def render_report(report: Report, review_url: str | None = None) -> str:
    """The page of one night.

    Args:
        report: the facts.
        review_url: where the review page is served; finds and names link there.
    """
    return (
        _environment(review_url)
        .get_template("report.html")
        .render(
            report=report,
            Outcome=Outcome,
            weeks=WEEKS,
            most=_MOST,
            names_chart=names_chart(report.names) if report.names else None,
            scores_chart=scores_chart(report.least_score, report.scores, report.scores_before)
            if report.scores
            else None,
            positions_chart=positions_chart(report.scanned_positions, report.found_positions)
            if report.scanned_positions
            else None,
            nano=any(scan.model == "nano" for scan in report.scans),
        )
    )


def render_comparison(comparison: Comparison) -> str:
    """The page that says what changed between two scans."""
    return (
        _environment(None)
        .get_template("comparison.html")
        .render(
            comparison=comparison,
            options=_changed_options(comparison),
            most=_MOST,
            nano="nano" in (comparison.before.model, comparison.after.model),
        )
    )


def _environment(review_url: str | None) -> Environment:
    environment = Environment(
        loader=PackageLoader("tasks.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "count": _count, "rate": _rate, "data_url": _data_url, "short": _short}
    environment.filters["in_percent"] = in_percent
    environment.globals["unusualness"] = unusualness
    address = review_url.rstrip("/") if review_url else None
    environment.globals["review_link"] = lambda **choice: f"{address}/?{urlencode(choice)}" if address else None
    environment.globals["review_url"] = address
    return environment


def _changed_options(comparison: Comparison) -> list[tuple[str, object, object]]:
    """The options that differ between the two scans, by name."""
    sides = []
    for scan in (comparison.before, comparison.after):
        facts = {
            "model": scan.model,
            "weights": scan.weights_sha256[:12],
            "vocabulary": scan.vocabulary_sha256[:12],
            "frames a second": scan.fps,
            "code": scan.code_version,
        }
        sides.append(facts | scan.options)
    before, after = sides
    return [
        (name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    ]


def _moment(when: datetime) -> str:
    return f"{when.astimezone(UTC):%d %b %Y %H:%M}"


def _count(number: int) -> str:
    return f"{number:,}"


def _rate(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.0f}" if value >= 10 or value == 0 else f"{value:.1f}"


def _data_url(shown: Shown) -> str:
    return f"data:image/jpeg;base64,{b64encode(shown.jpeg or b'').decode()}"


def _short(uri: str) -> str:
    """The end of an address, which is enough to identify a source of an archive."""
    return uri if len(uri) <= 70 else "…" + uri[-69:]
