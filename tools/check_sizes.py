"""Print how large the functions and modules of bridge/ are, and fail when they outgrow the eye.

Usage: check_sizes.py [DIRECTORY]. A function's lines run from its `def` to its end, docstring
included; a nested function counts for itself and within its parent. Migrations are exempt: they
are written once and never read as part of the program.
"""

import ast
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
EXEMPT = ("migrations", "versions")
LONGEST_NAMED = 5


class Limit(NamedTuple):
    """What one sort of thing may measure, and what to do when it measures more."""

    median: int
    largest: int
    remedy: str


class Size(NamedTuple):
    """A thing, where it begins, and how many lines it has."""

    lines: int
    place: str
    name: str


FUNCTIONS = Limit(8, 70, "give its paragraphs names of their own")
MODULES = Limit(120, 400, "move one of its concepts into a module of its own")


def main(arguments: Sequence[str]) -> int:
    """Print the figures and the complaints; return 1 if there are any of the latter."""
    directory = Path(arguments[0]).resolve() if arguments else ROOT / "bridge"
    modules, functions = measure(directory)
    if not functions:
        sys.exit(f"{directory} has no functions to measure; name the directory of a package")
    print(figures("functions", functions, FUNCTIONS))
    print(figures("modules", modules, MODULES))
    found = [
        *complaints("functions", functions, FUNCTIONS),
        *complaints("modules", modules, MODULES),
    ]
    for complaint in found:
        print(complaint)
    return 1 if found else 0


def measure(directory: Path) -> tuple[list[Size], list[Size]]:
    """Return the sizes of all modules and of all functions below a directory, largest first."""
    modules: list[Size] = []
    functions: list[Size] = []
    for path in sorted(directory.rglob("*.py")):
        if path.parts[-3:-1] == EXEMPT:
            continue
        text = path.read_text(encoding="utf-8")
        place = str(path.relative_to(directory.parent))
        modules.append(Size(len(text.splitlines()), f"{place}:1", "module"))
        functions.extend(functions_of(ast.parse(text, place), place))
    return sorted(modules, reverse=True), sorted(functions, reverse=True)


def functions_of(tree: ast.Module, place: str) -> Iterator[Size]:
    """Yield every function and method of a module."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Size(lines, f"{place}:{node.lineno}", f"function {node.name}")


def figures(what: str, sizes: Sequence[Size], limit: Limit) -> str:
    """Return one line about all sizes, the largest of which comes first."""
    lines = [size.lines for size in sizes]
    ninetieth = lines[len(lines) - math.ceil(len(lines) * 0.9)]
    return (
        f"{what}: {len(lines)}, median {statistics.median(lines):g} (at most {limit.median}), "
        f"90th percentile {ninetieth}, largest {lines[0]} (at most {limit.largest})"
    )


def complaints(what: str, sizes: Sequence[Size], limit: Limit) -> Iterator[str]:
    """Yield what is too large, and the largest few where the median is."""
    for size in sizes:
        if size.lines > limit.largest:
            yield (
                f"{size.place}: {size.name} has {size.lines} lines, at most {limit.largest} "
                f"fit in the eye; {limit.remedy}"
            )
    median = statistics.median(size.lines for size in sizes)
    if median > limit.median:
        for size in sizes[:LONGEST_NAMED]:
            yield (
                f"{size.place}: {size.name} has {size.lines} lines and is among the longest, while "
                f"the median of all {what} is {median:g}, at most {limit.median}; {limit.remedy}"
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
