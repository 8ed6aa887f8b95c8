"""``clipomaly evaluate``."""

from pathlib import Path
from typing import Annotated

import typer

from clipomaly.cli.arguments import Device, Method, Model, Preset, VocabularyFile, Weights

_NOT_OF_SCAN = {"archive", "tables", "queue", "model", "weights", "vocabulary", "device", "preset", "method"}


def evaluate(
    dataset: Annotated[Path | None, typer.Option("--dataset", help="The dataset's folder, as it was unpacked.")] = None,
    dataset_format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="roadanomaly, smiyc, fishyscapes, cityscapes, streethazards or bdd-anomaly; with --calibrate also "
            "footage: an archive as scan reads it, assumed to hold no anomaly.",
        ),
    ] = None,
    suite: Annotated[
        Path | None,
        typer.Option(help="A folder of datasets: evaluate every row of the paper's table that has data there."),
    ] = None,
    model: Model = None,
    weights: Weights = None,
    vocabulary: VocabularyFile = None,
    scores: Annotated[
        Path | None,
        typer.Option(
            help="Evaluate maps on disk instead of a model: NAME.png (16 bits for 0 to 1) or NAME.npy for every frame."
        ),
    ] = None,
    names: Annotated[
        Path | None, typer.Option(help="YAML file with the words that name each frame's anomalies.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split of cityscapes (default val) or streethazards (default test).")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many frames by name.")] = None,
    calibrate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE", help="Find the threshold for this false-positive rate on frames without anomalies."
        ),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second of video, for --format footage.")] = None,
    device: Device = None,
    preset: Preset = None,
    method: Method = None,
    config: Annotated[Path | None, typer.Option(help="TOML file as for scan; flags win over it.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for the report.")] = Path("evaluation"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Judge a model, or score maps on disk, against a benchmark's truth, or against all of a folder with --suite.

    Writes metrics.json, precision_recall.png, roc.png, frames.png (best and worst
    frames) and, with --calibrate, config.toml for scan --config.

    Example: clipomaly evaluate --dataset RoadAnomaly --format roadanomaly --set score=entropy --out report
    """
    from clipomaly.cli.rendering.console import progress_bar, say_nano
    from clipomaly.cli.rendering.evaluate import print_evaluation
    from clipomaly.cli.settings import scan_parameters
    from tasks.errors import UsageError
    from tasks.evaluation.evaluate import EvaluationSettings
    from tasks.evaluation.evaluate import evaluate as judge

    if scores and (method or model or weights or vocabulary or device):
        raise UsageError("--scores judges maps on disk: leave out --model, --weights, --vocabulary and --set.")
    if suite and (dataset or dataset_format or scores or calibrate or split or names):
        raise UsageError("--suite judges whole datasets with a model: give it model, options and --limit only.")
    if not suite and not (dataset and dataset_format):
        raise UsageError("Give --dataset and --format, or --suite.")
    given = {
        "preset": preset,
        "model": model,
        "weights": weights,
        "vocabulary": vocabulary,
        "device": device,
        "fps": fps,
    }
    parameters = scan_parameters(str(dataset or suite), str(out), given, method or [], config)
    # What a scan reads back with --config, beside the threshold that calibration finds.
    of_scan = parameters.model_dump(mode="json", exclude_unset=True, exclude=_NOT_OF_SCAN)
    settings = EvaluationSettings(
        dataset or Path(),
        dataset_format or "",
        out,
        parameters.model_settings(),
        scores=scores,
        names=names,
        split=split,
        limit=limit,
        calibrate=calibrate,
        fps=parameters.fps,
        config=tuple(sorted(of_scan.items())),
    )
    if scores is None:
        say_nano(parameters.model, parameters.weights)
    if suite:
        from clipomaly.cli.rendering.evaluate import print_suite
        from tasks.evaluation.suite import run_suite

        with progress_bar("judging") as bar:
            task = bar.add_task("judging", total=None)
            results = run_suite(
                suite,
                settings,
                lambda row: bar.reset(task, description=row.name, total=None),
                lambda done, total: bar.update(task, completed=done, total=total),
            )
        print_suite(results, out, as_json)
        if any(result.failed for result in results):
            raise typer.Exit(1)
        return
    with progress_bar("judging") as bar:
        task = bar.add_task("judging", total=None)
        evaluation = judge(settings, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print(evaluation.to_json())
    else:
        print_evaluation(evaluation, out)
