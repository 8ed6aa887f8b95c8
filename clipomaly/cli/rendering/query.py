"""What ``clipomaly query`` prints."""

import base64
import csv
import json
import math
import re
import sys
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal

from clipomaly.cli.arguments import Format
from clipomaly.cli.rendering.console import print_rows
from tasks.tables.query import Answer

# How a formula begins, also after what spreadsheets skip.
_FORMULA = re.compile(r"[\s\x00]*[=+@-]|[\t\r\n]")


def print_answer(answer: Answer, output: Format, *, raw: bool = False) -> None:
    """A query's answer as a table for people, CSV, or a line of JSON a row.

    Names of files and labels hold what others wrote. In CSV such text gets a quote (') in front where a spreadsheet
    would run it as a formula, unless it is wanted ``raw``.
    """
    text = str if raw else _no_formula
    match output:
        case Format.CSV:
            for row in (answer.columns, *answer.rows):
                _write_csv([_field(value, text) for value in row])
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


def _field(value: object, text: Callable[[str], str]) -> object:
    """A value as CSV has it: nothing for NULL."""
    match value:
        case list() | tuple() | dict():
            return json.dumps(value, ensure_ascii=False, default=_text)
        case float() if math.isnan(value):
            return ""
        case bytes() | bytearray() | datetime() | date():
            return _text(value)  # a mask with a quote in front would be another mask
        case str():
            return text(value)
    return value


def _write_csv(row: list[object]) -> None:
    # A carriage return ends a row for many readers, and the module would not quote it.
    torn = any("\r" in value for value in row if isinstance(value, str))
    if torn:
        csv.writer(sys.stdout, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(row)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerow(row)


def _no_formula(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


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
