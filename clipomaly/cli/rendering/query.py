"""What ``clipomaly query`` prints."""

import base64
import csv
import json
import math
import sys
from datetime import date, datetime
from decimal import Decimal

from clipomaly.cli.arguments import Format
from clipomaly.cli.rendering.rows import print_rows
from tasks.tables.query import Answer


def print_answer(answer: Answer, output: Format) -> None:
    """A query's answer as a table for people, CSV, or a line of JSON a row."""
    match output:
        case Format.CSV:
            writer = csv.writer(sys.stdout, lineterminator="\n")
            writer.writerow(answer.columns)
            writer.writerows([[_field(value) for value in row] for row in answer.rows])
        case Format.JSON:
            for row in answer.rows:
                values = {name: _finite(value) for name, value in zip(answer.columns, row, strict=True)}
                print(json.dumps(values, ensure_ascii=False, separators=(",", ":"), default=_text))
        case Format.TABLE:
            numbers = [name for name, is_number in zip(answer.columns, answer.numbers, strict=True) if is_number]
            print_rows(answer.columns, [[_cell(value) for value in row] for row in answer.rows], right=numbers)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value)
        case float() | Decimal():
            return "" if math.isnan(value) else f"{value:.4g}" if isinstance(value, float) else f"{value:f}"
        case bytes() | bytearray():
            return f"{len(value)} bytes"
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)


def _field(value: object) -> object:
    """A value as CSV has it: nothing for NULL."""
    match value:
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=_text)
        case float() if math.isnan(value):
            return ""
        case bytes() | bytearray() | datetime() | date():
            return _text(value)
    return value


def _finite(value: object) -> object:
    """JSON has no NaN and no infinity."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case list() | tuple():
            return [_finite(part) for part in value]
        case dict():
            return {key: _finite(part) for key, part in value.items()}
    return value


def _text(value: object) -> str:
    match value:
        case bytes() | bytearray():
            # Run lengths of masks are letters; other bytes are not text.
            return value.decode() if value.isascii() else base64.b64encode(value).decode()
        case datetime() | date():
            return value.isoformat()
    return str(value)
