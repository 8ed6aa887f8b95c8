"""What ``clipomaly finetune`` shows: how far it is, and how each epoch did on held-out frames."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.progress import Progress, TaskID, TextColumn
from rich.table import Table

from clipomaly.cli.rendering.console import percent, progress_bar, stdout
from tasks.finetune import WEIGHTS, Epoch, Finetuned, FinetuneSettings

_LINE_SECONDS = 10.0  # between plain lines, if there is no terminal for a bar


@dataclass(slots=True)
class Training:
    """Shows the steps and epochs of a training: a bar for people, lines for logs."""

    bar: Progress
    task: TaskID
    told: float

    def on_step(self, done: int, total: int, loss: float) -> None:
        """A step is done."""
        self.bar.update(self.task, completed=done, total=total, loss=loss)
        if not self.bar.console.is_terminal and time.monotonic() - self.told >= _LINE_SECONDS:
            self.told = time.monotonic()
            print(f"step {done}/{total}, loss {loss:.3f}", file=sys.stderr, flush=True)

    def on_epoch(self, epoch: Epoch) -> None:
        """An epoch is done and judged; the one numbered 0 is before any training."""
        loss = "" if epoch.loss is None else f", loss {epoch.loss:.3f}"
        title = f"epoch {epoch.epoch}" if epoch.epoch else "before"
        self.bar.console.print(f"{title}: held-out mIoU {epoch.miou:.2%}{loss}")


@contextmanager
def show_training() -> Iterator[Training]:
    """Show a training while it runs."""
    with progress_bar("training", TextColumn("loss {task.fields[loss]:.3f}")) as bar:
        yield Training(bar, bar.add_task("training", total=None, loss=0.0), time.monotonic())


def print_finetuned(result: Finetuned, settings: FinetuneSettings) -> None:
    """The IoU of each class before and after, in per cent."""
    console = stdout()
    before, after = result.epochs[0], result.epochs[-1]
    table = Table("held-out IoU, %", box=None, header_style="dim", pad_edge=False)
    table.add_column("before", justify="right")
    table.add_column("after", justify="right")
    for name, value in before.iou.items():
        table.add_row(name, percent(value), percent(after.iou[name]))
    table.add_row("[bold]mean[/]", f"[bold]{percent(before.miou)}[/]", f"[bold]{percent(after.miou)}[/]")
    console.print(table)
    if result.not_covered:
        console.print(f"void, because no known class covers them: {', '.join(result.not_covered)}", markup=False)
    console.print(
        f"trained on {result.train_frames} frames, judged on {result.held_out_frames}; next: clipomaly scan ARCHIVE "
        f"--out TABLES --model {settings.model.model} --weights {settings.out / WEIGHTS}",
        markup=False,
    )
