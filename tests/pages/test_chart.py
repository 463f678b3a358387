"""The picture of a balance."""

from bridge.api.pages.chart import HEIGHT, WIDTH, chart


def test_a_balance_is_drawn_in_steps_from_edge_to_edge() -> None:
    drawn = chart([(0, 100), (50, 0), (100, 0)])
    assert drawn
    assert drawn.line == f"M0 6H{WIDTH // 2}V{HEIGHT - 6}H{WIDTH}V{HEIGHT - 6}"
    assert drawn.area == f"{drawn.line}V{HEIGHT - 6}H0Z"
    assert (drawn.first, drawn.last, drawn.lowest, drawn.highest) == (100, 0, 0, 100)


def test_a_debt_is_drawn_below_zero() -> None:
    drawn = chart([(0, 100), (50, -100), (100, -100)])
    assert drawn
    assert drawn.zero == HEIGHT // 2
    assert (drawn.lowest, drawn.highest) == (-100, 100)


def test_amounts_of_any_size_stay_within_the_picture() -> None:
    drawn = chart([(0, 0), (1, 2**63 - 1), (2, -(2**63)), (3, 0)])
    assert drawn
    heights = [int(step.split("V")[1]) for step in drawn.line.split("H")[1:]]
    assert all(0 <= height <= HEIGHT for height in heights)


def test_one_entry_alone_makes_no_picture() -> None:
    assert chart([]) is None
    assert chart([(5, 100), (9, 100)]) is None
    assert chart([(5, 100), (5, 200), (5, 200)]) is None


def test_times_and_amounts_are_found_where_they_are_drawn() -> None:
    drawn = chart([(0, 100), (50, -100), (200, -100)])
    assert drawn
    assert (drawn.percent(0), drawn.percent(50), drawn.percent(200)) == (0, 25, 100)
    assert (drawn.depth(100), drawn.depth(0), drawn.depth(-100)) == (6, drawn.zero, HEIGHT - 6)
