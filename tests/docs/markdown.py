"""The documents of the project, and what stands in them: blocks, inline code, links."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"( *)(`{3,})([\w-]*)\s*")
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_LIST = re.compile(r"\s*(?:[-*+]|\d+[.)]) ")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: where it begins, its language, its text without the indentation of the fence."""

    file: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@cache
def documents() -> tuple[str, ...]:
    """List every Markdown file of the repository, or of an unpacked archive."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 0 and done.stdout:
        return tuple(sorted(name for name in done.stdout.split() if (ROOT / name).exists()))
    tops = ("agent", "checks", "dashboards", "deploy", "tests")
    files = [*ROOT.glob("*.md"), *(file for top in tops for file in (ROOT / top).rglob("*.md"))]
    return tuple(sorted(str(file.relative_to(ROOT)) for file in files))


def text(file: str) -> str:
    return (ROOT / file).read_text(encoding="utf-8")


@cache
def blocks() -> tuple[Block, ...]:
    """List all blocks of all documents."""
    return tuple(block for file in documents() for block in _blocks(file))


def _blocks(file: str) -> Iterator[Block]:
    begun: tuple[int, str, str, str] | None = None
    inside: list[str] = []
    for number, line in enumerate(text(file).splitlines(), start=1):
        fence = _FENCE.fullmatch(line)
        if begun is None and fence:
            begun, inside = (number, fence[1], fence[2], fence[3]), []
        elif begun is not None and line.strip() == begun[2]:
            yield Block(file, begun[0], begun[3], "".join(f"{one.removeprefix(begun[1])}\n" for one in inside))
            begun = None
        elif begun is not None:
            inside.append(line)
    assert begun is None, f"{file}:{begun[0]}: the block does not end"


def prose(file: str) -> str:
    """Return a document without its blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", text(file), flags=re.DOTALL | re.MULTILINE)


def inline(file: str) -> Iterator[str]:
    """Walk through the code that stands within sentences."""
    for found in _INLINE.findall(prose(file)):
        yield found.replace("\\|", "|")


def links(file: str) -> Iterator[tuple[str, str]]:
    """Walk through the links that lead to another place in the repository: the file, and the place in it."""
    for target, place in _LINK.findall(prose(file)):
        if "://" not in target and not target.startswith("mailto:"):
            yield target, place.removeprefix("#")


def indented(file: str) -> Iterator[int]:
    """Walk through the lines at which a block of code begins that has no fence."""
    lines = prose(file).splitlines()
    margin = ""
    for number, line in enumerate(lines):
        if line and not line.startswith(" "):
            margin = line
        if re.match(r" {4}\S", line) and (number == 0 or not lines[number - 1].strip()) and not _LIST.match(margin):
            yield number + 1
