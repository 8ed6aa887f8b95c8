"""The fenced blocks of README and documentation."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^```([\w-]*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_NOT_RUN = re.compile(r"\*Not run here: ([^*]+)\*\s*\Z")


@dataclass(frozen=True)
class Block:
    """A fenced block; ``not_run`` is what the line above it says of why it is not run."""

    page: Path
    line: int
    language: str
    text: str
    not_run: str | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str, pages: list[Path] = PAGES) -> list[Block]:
    """Every block of these languages ("" for none), in order."""
    found = []
    for page in pages:
        text = page.read_text("utf-8")
        for match in _FENCE.finditer(text):
            above = _NOT_RUN.search(text[: match.start()])
            block = Block(
                page,
                text.count("\n", 0, match.start()) + 1,
                match[1],
                match[2],
                " ".join(above[1].split()) if above else None,
            )
            if block.language in languages:
                found.append(block)
    return found
