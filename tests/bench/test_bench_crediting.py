"""Crediting on a small scale: what is measured is what bridge does, and it is checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import crediting
from bench.checks import SumCheckError
from bench.figures import Figures
from bench.homes import SQLITE, Files
from bench.installation import prepare
from bench.world import QUICK, World
from bridge.sandbox import Sandbox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    home = Files(tmp_path)
    with Sandbox() as sandbox:
        scale = QUICK._replace(rounds=2, orders_swept=2 * crediting.PAGE_SIZE)
        yield World(tmp_path, (home,), {SQLITE: prepare(home)}, sandbox, scale, Figures())


def test_every_order_is_credited_once_and_a_sweep_changes_nothing(world: World) -> None:
    crediting.measure(world)
    found = {
        name: world.figures.values(f"{crediting.named(SQLITE)} {name}")
        for name in crediting.FIGURES
    }
    assert len(found[crediting.NEW]) == len(found[crediting.KNOWN]) == 2
    assert found[crediting.CHANGED] == [0]


@pytest.mark.parametrize("credited", [(199, 199 * crediting.TOTAL), (200, 1), (0, None)])
def test_orders_that_are_not_credited_in_full_end_the_bench(
    credited: tuple[int, int | None],
) -> None:
    with pytest.raises(SumCheckError, match="200 orders"):
        crediting.check(lambda _query: [credited], 200)
