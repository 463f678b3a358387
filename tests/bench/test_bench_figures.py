from bench.figures import Figures, Spread


def test_ratios_are_taken_round_by_round_and_not_of_medians() -> None:
    figures = Figures()
    for bridge, ceiling in ((20.0, 10.0), (40.0, 10.0), (30.0, 30.0)):
        figures.add("bridge", bridge)
        figures.add("ceiling", ceiling)
    assert figures.ratios("bridge", ("ceiling",)) == [2.0, 4.0, 1.0]


def test_a_ratio_to_several_is_a_ratio_to_the_best_of_the_same_round() -> None:
    figures = Figures()
    for eight, thirty_two in ((10.0, 5.0), (4.0, 8.0)):
        figures.add("bridge", 40.0)
        figures.add("8 clients", eight)
        figures.add("32 clients", thirty_two)
    assert figures.ratios("bridge", ("8 clients", "32 clients")) == [4.0, 5.0]


def test_there_is_no_ratio_where_a_part_was_not_measured() -> None:
    figures = Figures()
    figures.add("bridge", 1.0)
    assert figures.ratios("bridge", ("ceiling",)) == []
    assert figures.spread("ceiling") is None


def test_a_spread_is_the_median_with_the_lowest_and_the_highest() -> None:
    assert Spread.of([3.0, 1.0, 8.0]) == Spread(3.0, 1.0, 8.0)
