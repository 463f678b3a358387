"""The size check, run as `make sizes` runs it, on packages made for the purpose."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[2] / "tools" / "check_sizes.py"


def check(package: Path) -> tuple[int, list[str]]:
    ran = subprocess.run(
        [sys.executable, TOOL, package], capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    return ran.returncode, ran.stdout.splitlines()


def function(name: str, lines: int) -> str:
    return f"def {name}():\n" + "    pass\n" * (lines - 1)


def package(tmp_path: Path, **modules: str) -> Path:
    directory = tmp_path / "bridge"
    directory.mkdir()
    for name, text in modules.items():
        (directory / f"{name}.py").write_text(text)
    return directory


def test_small_functions_in_small_modules_pass_with_their_figures(tmp_path: Path) -> None:
    text = "".join(function(f"f{lines}", lines) for lines in range(2, 12))
    assert check(package(tmp_path, a=text, b=function("g", 3))) == (
        0,
        [
            "functions: 11, median 6 (at most 8), 90th percentile 10, largest 11 (at most 70)",
            "modules: 2, median 34 (at most 120), 90th percentile 65, largest 65 (at most 400)",
        ],
    )


def test_a_function_over_the_limit_is_named_with_its_place_and_a_remedy(tmp_path: Path) -> None:
    text = function("fits", 2) * 2 + "@decorated\nasync " + function("sprawls", 71)
    status, said = check(package(tmp_path, a=text))
    assert status == 1
    (complaint,) = said[2:]
    assert complaint == (
        "bridge/a.py:6: function sprawls has 71 lines, at most 70 fit in the eye; "
        "give its paragraphs names of their own"
    )


def test_the_limits_themselves_are_allowed(tmp_path: Path) -> None:
    text = function("f", 8) * 2 + function("g", 70)
    assert check(package(tmp_path, a=text, b="x = 1\n" * 120, c="x = 1\n" * 400))[0] == 0


def test_many_middling_functions_are_too_many_and_the_longest_are_named(tmp_path: Path) -> None:
    text = "".join(function(f"f{lines}", lines) for lines in range(6, 14))
    status, said = check(package(tmp_path, a=text))
    assert status == 1
    assert len(said[2:]) == 5
    assert said[2].startswith("bridge/a.py:64: function f13 has 13 lines and is among the longest")
    assert "the median of all functions is 9.5, at most 8" in said[2]


def test_a_module_over_the_limit_is_named(tmp_path: Path) -> None:
    status, said = check(package(tmp_path, a="x = 1\n" * 401, b=function("f", 2), c=""))
    assert status == 1
    (complaint,) = said[2:]
    assert complaint == (
        "bridge/a.py:1: module has 401 lines, at most 400 fit in the eye; "
        "move one of its concepts into a module of its own"
    )


def test_many_middling_modules_are_too_many(tmp_path: Path) -> None:
    status, said = check(package(tmp_path, a="x = 1\n" * 119 + function("f", 2)))
    assert status == 1
    assert "the median of all modules is 121, at most 120" in said[2]


def test_nested_functions_count_and_migrations_do_not(tmp_path: Path) -> None:
    directory = package(tmp_path, a="def outer():\n    def inner():\n        pass\n")
    versions = directory / "store" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_first.py").write_text(function("upgrade", 500))
    status, said = check(directory)
    assert status == 0
    assert said[0].startswith("functions: 2, median 2.5 ")


def test_a_directory_without_a_program_is_a_mistake_and_not_a_success(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, TOOL, tmp_path / "brigde"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    assert "has no functions to measure; name the directory of a package" in ran.stderr
