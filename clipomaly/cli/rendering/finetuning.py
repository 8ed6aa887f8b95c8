"""What ``clipomaly finetune`` shows: how far it is, and how each epoch did on held-out frames."""

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from tasks.finetune import WEIGHTS, Epoch, Finetuned, FinetuneSettings, finetune

_LINE_SECONDS = 10.0  # a plain line so often where nobody sees a bar


def run_finetune(settings: FinetuneSettings) -> Finetuned:
    """Train, with a bar for people and lines for logs, and print the held-out IoU before and after.

    Raises:
        UserError: as ``tasks.finetune.finetune``.
    """
    console = Console(stderr=True, highlight=False)
    told = time.monotonic()
    with Progress(
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("training", total=None, loss=0.0)

        def on_step(done: int, total: int, loss: float) -> None:
            nonlocal told
            bar.update(task, completed=done, total=total, loss=loss)
            if not console.is_terminal and time.monotonic() - told >= _LINE_SECONDS:
                told = time.monotonic()
                print(f"step {done}/{total}, loss {loss:.3f}", file=sys.stderr, flush=True)

        def on_epoch(epoch: Epoch) -> None:
            loss = "" if epoch.loss is None else f", loss {epoch.loss:.3f}"
            title = f"epoch {epoch.epoch}" if epoch.epoch else "before"
            bar.console.print(f"{title}: held-out mIoU {epoch.miou:.2%}{loss}")

        result = finetune(settings, on_step, on_epoch)
    _print(result, settings)
    return result


def _print(result: Finetuned, settings: FinetuneSettings) -> None:
    console = Console(soft_wrap=True, highlight=False)
    before, after = result.epochs[0], result.epochs[-1]
    table = Table("held-out IoU, %", box=None, header_style="dim", pad_edge=False)
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name, value in before.iou.items():
        table.add_row(name, _percent(value), _percent(after.iou[name]))
    table.add_row("[bold]mean[/]", f"[bold]{_percent(before.miou)}[/]", f"[bold]{_percent(after.miou)}[/]")
    console.print(table)
    if result.not_covered:
        console.print(f"void, because no known class covers them: {', '.join(result.not_covered)}", markup=False)
    console.print(
        f"trained on {result.train_frames} frames, judged on {result.held_out_frames}; next: clipomaly scan ARCHIVE "
        f"--out TABLES --model {settings.model.model} --weights {settings.out / WEIGHTS}",
        markup=False,
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"
