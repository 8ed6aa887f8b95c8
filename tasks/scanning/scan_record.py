"""The description of a generation of rows, and the scan_id hashed from it."""

import hashlib
import json
import math
from dataclasses import asdict
from datetime import UTC, datetime

from clipomaly_core.errors import UserError
from schemas.records import ScanRecord
from schemas.tables import SCHEMA_VERSION
from schemas.version import VERSION, commit
from tasks.model import ModelDescription

_DIGITS = 12


def make_scan_record(
    model: ModelDescription, *, fps: float, keyframes: bool = False, decoder: str | None = None
) -> ScanRecord:
    """Describe a scan. ``scan_id`` is the letter s and 12 hex digits of the SHA-256 over canonical JSON of the model's
    description, ``fps`` and the schema version: everything that can change a row. Code version and time are
    told, not hashed. ``keyframes`` and ``decoder`` are hashed where they are set: without them the id is that of
    earlier versions. Another decoder converts colours a little differently, which may change a row at a threshold.

    Raises UserError when ``fps`` (frames a second to sample) is not a positive number, or PyAV is missing for
    ``keyframes``.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"--fps must be a number above 0, not {fps}.")
    options = dict(model.options)
    reference = model.reference
    if reference is not None and reference.fps != fps:
        raise UserError(
            f"The reference was made at {reference.fps:g} frames a second, this scan takes {fps:g}: "
            "make another with clipomaly reference build --fps, or scan at its rate."
        )
    hashed = asdict(model) | {"options": options, "fps": float(fps), "schema_version": SCHEMA_VERSION}
    del hashed["reference"]  # without a reference the id does not change, and the place of the file is not part of it
    if reference is not None:
        hashed["reference"] = reference.reference_id
    if keyframes:
        hashed["keyframes"] = True
    if decoder:
        hashed["decoder"] = decoder
    canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return ScanRecord(
        # Without the letter, engines read one in 150 as a number, as in ``scan=1977811083e4``.
        scan_id="s" + hashlib.sha256(canonical.encode()).hexdigest()[:_DIGITS],
        schema_version=SCHEMA_VERSION,
        model=model.model,
        weights_sha256=model.weights_sha256,
        embedding_dimension=model.embedding_dimension,
        vocabulary=model.vocabulary,
        vocabulary_sha256=model.vocabulary_sha256,
        known_classes=model.known_classes,
        fps=float(fps),
        options=options,
        code_version=VERSION,
        created=datetime.now(UTC),
        keyframes=keyframes,
        code_commit=commit(),
        reference=reference,
        decoder=decoder,
    )
