"""One message a night, by Apprise: mail, Slack, Teams, webhooks and a hundred more."""

from collections.abc import Sequence
from dataclasses import dataclass

from flows.night import Summary, Verdict
from schemas.records import Outcome
from tasks.errors import UserError

_MOST = 10


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent: a title, a text of a few lines, and how the night ended."""

    title: str
    text: str
    verdict: Verdict


def night_message(
    archive: str, summary: Summary, verdict: Verdict, new_names: Sequence[str], link: str | None
) -> Message:
    """The message of a night: what was done, left and failed, the new kinds, and a link to the report."""
    failed = summary.outcomes[Outcome.FAILED]
    lines = [
        f"{summary.finished} of {summary.planned} shards done, {summary.left} left; {summary.frames} frames of "
        f"{summary.outcomes.total()} sources, {failed} of them failed; {summary.instances} finds",
    ]
    lines += [f"lost: {loss.what}: {loss.reason}" for loss in list(summary.lost.values())[:_MOST]]
    if len(summary.lost) > _MOST:
        lines.append(f"and {len(summary.lost) - _MOST} more shards lost")
    lines += [f"{step.name} failed: {step.detail}" for step in summary.steps if not step.ok]
    lines += summary.notes
    if new_names:
        more = f" and {len(new_names) - _MOST} more" if len(new_names) > _MOST else ""
        lines.append(f"new kinds: {', '.join(new_names[:_MOST])}{more}")
    if link:
        lines.append(f"report: {link}")
    return Message(f"Clipomaly: night {verdict.value}: {archive}", "\n".join(lines), verdict)


def failure_message(archive: str, reason: str) -> Message:
    """The message of a night that could not begin, or was interrupted."""
    return Message(f"Clipomaly: night failed: {archive}", reason, Verdict.FAILED)


def send(urls: Sequence[str], message: Message) -> str:
    """Send a message to every URL; returns one line that says what was done.

    Raises:
        UserError: Apprise does not know a URL, or a message was refused. The error names no secret.
    """
    from apprise import Apprise, NotifyFormat, NotifyType

    kinds = {Verdict.DONE: NotifyType.SUCCESS, Verdict.PARTIAL: NotifyType.WARNING, Verdict.FAILED: NotifyType.FAILURE}
    refused = []
    for number, url in enumerate(urls, start=1):
        one = Apprise()
        name = f"{number} ({url.partition('://')[0]}://…)"
        if not one.add(url):
            refused.append(f"{name} is not an address that Apprise knows")
        elif not one.notify(message.text, message.title, kinds[message.verdict], body_format=NotifyFormat.TEXT):
            refused.append(f"{name} refused it")
    if refused:
        raise UserError(f"Of {len(urls)} messages: {'; '.join(refused)}. Check --notify.")
    return f"{len(urls)} message{'' if len(urls) == 1 else 's'} sent"
