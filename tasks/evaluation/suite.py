"""All rows of the paper's table that have data below one folder, judged one after the other."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from tasks.errors import UsageError, UserError
from tasks.evaluation.evaluate import EvaluationSettings, OnFrame, evaluate, ignore
from tasks.evaluation.results import Evaluation
from tasks.model_settings import Value

SUITE_FILES: Final = ("suite.md", "suite.json")


@dataclass(frozen=True, slots=True)
class Row:
    """A row: the folder of its dataset is the first below the suite's whose name holds ``folder``.

    ``method`` are options that the row changes. ``paper_miou`` and ``paper_auprc`` are the paper's, in per cent.
    """

    name: str
    folder: str
    format: str
    method: tuple[tuple[str, Value], ...] = ()
    paper_miou: float | None = None
    paper_auprc: float | None = None


ROWS: Final = (
    Row("RoadAnomaly", "roadanomaly", "roadanomaly", paper_miou=57.8, paper_auprc=84.74),
    Row("SMIYC AnomalyTrack, validation", "anomalytrack", "smiyc", paper_miou=75.1, paper_auprc=94.74),
    Row("SMIYC ObstacleTrack, validation", "obstacletrack", "smiyc"),
    Row("Fishyscapes Lost & Found", "fishyscapes", "fishyscapes"),
    Row("StreetHazards, test", "streethazards", "streethazards"),
    Row("BDD-Anomaly, test", "bdd", "bdd-anomaly"),
    Row("Cityscapes, open world", "cityscapes", "cityscapes"),
    Row("Cityscapes, closed set", "cityscapes", "cityscapes", method=(("threshold", 1.0),)),
)


@dataclass(frozen=True, slots=True)
class RowResult:
    """The results of a row. All rates are in per cent, ``None`` where the dataset has no such truth.

    ``miou`` is the mean IoU of unknown and of all else, from the model's label maps at the model's own threshold.
    ``known_miou`` is that of the known classes. ``why_not`` says in one line why the row has no numbers.
    """

    row: Row
    auprc: float | None = None
    fpr95: float | None = None
    miou: float | None = None
    known_miou: float | None = None
    frames: int | None = None
    why_not: str | None = None
    failed: bool = False


def run_suite(
    folder: Path,
    settings: EvaluationSettings,
    on_row: Callable[[Row], None] = lambda row: None,
    on_frame: OnFrame = ignore,
) -> list[RowResult]:
    """Judge every row that has data, and write ``SUITE_FILES`` and a folder for each row into ``settings.out``.

    A row whose data cannot be read says why; the others go on.

    Args:
        folder: the datasets, each in a folder of its own as it was unpacked.
        settings: model, options and where the report goes; dataset, format and split are those of each row.
        on_row: called before each row that has data.
        on_frame: see ``evaluate``.

    Raises:
        UsageError: a folder with no data of any row.
        UserError: a report that cannot be written.
    """
    found = dict(_with_data(folder))
    if not found:
        names = ", ".join(sorted({row.folder for row in ROWS}))
        raise UsageError(f"{folder} has no dataset of the suite: give a folder with folders named like {names}.")
    results = []
    for row in ROWS:
        if row not in found:
            results.append(RowResult(row, why_not="no data"))
            continue
        on_row(row)
        results.append(_judged(row, found[row], settings, on_frame))
    _write(settings.out, results)
    return results


def _with_data(folder: Path) -> Iterator[tuple[Row, Path]]:
    try:
        below = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError as error:
        raise UsageError(f"The suite {folder} cannot be read ({error.strerror}).") from error
    for row in ROWS:
        for path in below:
            if row.folder in "".join(letter for letter in path.name.lower() if letter.isalnum()):
                yield row, path
                break


def _judged(row: Row, dataset: Path, settings: EvaluationSettings, on_frame: OnFrame) -> RowResult:
    method = dict(settings.model.method) | dict(row.method)
    model = replace(settings.model, method=tuple(sorted(method.items())))
    out = settings.out / "".join(letter if letter.isalnum() else "-" for letter in row.name.lower())
    try:
        evaluation = evaluate(
            replace(settings, dataset=dataset, format=row.format, out=out, model=model, split=None), on_frame
        )
    except UserError as error:
        return RowResult(row, why_not=str(error), failed=True)
    return _result(row, evaluation)


def _result(row: Row, evaluation: Evaluation) -> RowResult:
    pixels = evaluation.pixels.smiyc if evaluation.pixels else None
    return RowResult(
        row,
        auprc=100 * pixels["auprc"] if pixels else None,
        fpr95=100 * pixels["fpr95"] if pixels else None,
        miou=100 * evaluation.unknown["two_class_miou"] if evaluation.unknown else None,
        known_miou=100 * evaluation.known.miou if evaluation.known else None,
        frames=evaluation.dataset.frames,
    )


def markdown(results: list[RowResult]) -> str:
    """The table of a suite; rates in per cent."""
    lines = [
        "| row | the paper: mIoU, AuPRC | frames | AuPRC | FPR95 | mIoU at the model's threshold | known mIoU |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        paper = f"{_rate(result.row.paper_miou)}, {_rate(result.row.paper_auprc)}" if result.row.paper_auprc else "-"
        if result.why_not is not None:
            cells = [f"{'failed: ' if result.failed else ''}{result.why_not}", *["-"] * 4]
        else:
            rates = (result.auprc, result.fpr95, result.miou, result.known_miou)
            cells = [str(result.frames), *map(_rate, rates)]
        lines.append(f"| {result.row.name} | {paper} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _rate(value: float | None) -> str:
    return "-" if value is None or value != value else f"{value:.2f}"


def _write(out: Path, results: list[RowResult]) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / SUITE_FILES[0]).write_text(markdown(results), encoding="utf-8")
        rows = [{**asdict(result), "row": asdict(result.row)} for result in results]
        (out / SUITE_FILES[1]).write_text(json.dumps(rows, indent=2, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"{out} cannot be written ({error.strerror}); give --out another folder.") from error
