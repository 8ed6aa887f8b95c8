"""Every score of the method on open photos of unusual things on roads: the rows of docs/evaluation.md.

``python -m benchmarks.open_photos`` judges one option after the other with ``evaluate``, prints a row of the table for
each and writes them to ``results/open_photos.json``; ``--names FILE`` judges names, ``--only NAME`` takes one option.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.results import write_results
from clipomaly_core.scores import SCORES
from tasks.evaluation.evaluate import EvaluationSettings, evaluate
from tasks.evaluation.results import Evaluation
from tasks.model_settings import ModelSettings, Value

Method = tuple[tuple[str, Value], ...]

OPTIONS: dict[str, Method] = {
    **{f"score={score}": (("score", score),) for score in SCORES},
    "score=candidate_probability, edges=guided": (("edges", "guided"), ("score", "candidate_probability")),
    "score=candidate_probability, candidates=clip-tagger": (
        ("candidates", "clip-tagger"),
        ("score", "candidate_probability"),
    ),
}
_COLUMNS = ("AuPRC exact / harness", "FPR95 exact / harness", "best F1", "sIoU_gt", "PPV", "F1*", "hit@1", "hit@5")


def row(name: str, evaluation: Evaluation) -> str:
    """A row of the table, rates in per cent."""
    pixels, segments, naming = evaluation.pixels, evaluation.segments, evaluation.naming
    assert pixels and segments and segments.anomaly
    cells = [f"{100 * pixels.exact[key]:.2f} / {100 * pixels.smiyc[key]:.2f}" for key in ("auprc", "fpr95")]
    found = segments.anomaly
    cells += [f"{100 * v:.2f}" for v in (pixels.smiyc["best_f1"], found["siou_gt"], found["ppv"], found["f1_mean"])]
    hits = (naming.overall.hit1, naming.overall.hit5) if naming else (None, None)
    cells += ["-" if hit is None else f"{100 * hit:.1f}" for hit in hits]
    return f"| `{name}` | {' | '.join(cells)} |"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, default=Path("../shared/data/roadanomaly-open"))
    parser.add_argument("--format", default="roadanomaly")
    parser.add_argument("--names", type=Path, default=Path("tests/data/roadanomaly_open_names.yaml"))
    parser.add_argument("--model", default="nano")
    parser.add_argument("--weights")
    parser.add_argument("--only", action="append", choices=OPTIONS, help="repeatable")
    arguments = parser.parse_args()
    rows: dict[str, str] = {}
    told: dict[str, object] = {"dataset": arguments.dataset.name, "columns": ["option", *_COLUMNS], "rows": rows}
    for name in arguments.only or OPTIONS:
        model = ModelSettings(arguments.model, arguments.weights, method=OPTIONS[name])
        with tempfile.TemporaryDirectory() as folder:
            settings = EvaluationSettings(
                arguments.dataset, arguments.format, Path(folder) / "report", model, names=arguments.names
            )
            evaluation = evaluate(settings)
        facts = evaluation.model
        assert facts
        if not rows:
            told |= {"model": facts.name, "weights": facts.weights_sha256, "frames": evaluation.dataset.frames}
            print(f"{evaluation.created[:10]}, {facts.name}, weights {facts.weights_sha256[:12]}, "
                  f"{evaluation.dataset.frames} frames\n\n| option | {' | '.join(_COLUMNS)} |")  # fmt: skip
            print("|---" * (len(_COLUMNS) + 1) + "|")
        rows[name] = row(name, evaluation)
        print(rows[name], flush=True)
        write_results("open_photos", told)  # after each: one more may take minutes


if __name__ == "__main__":
    main()
