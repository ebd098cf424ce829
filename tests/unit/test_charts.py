"""Charts are read back as XML: what they draw must be what they were given, to the hundredth of a pixel."""

import itertools
import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packshot.web import charts
from packshot.web.charts import (
    BOTTOM_PX,
    TOP_PX,
    Bucket,
    Forecast,
    Interval,
    Level,
    Point,
    Scale,
    Series,
    Words,
)

WORDS = Words("What was found.", "Images by hour", "Hour", "No images yet")
COUNT = Scale(lambda number: f"{number:,}", lambda number: f"{number:g}", whole=True)
SHARE = Scale(lambda share: f"{share * 100:.1f}%", lambda share: f"{share * 100:.0f}%", low=0, high=1)
HEIGHT = 190
GROUND = HEIGHT - BOTTOM_PX
PROVIDERS = ("openai", "midjourney", "stability", "flux")


def hours(count: int) -> list[Bucket]:
    return [Bucket(f"{place:02}:00", f"hour {place}") for place in range(count)]


def by_provider(*columns: tuple[float | None, ...]) -> list[Series]:
    """One series a provider from one tuple a bucket."""
    rows = zip(*columns, strict=True)
    return [Series(name.title(), values, name) for name, values in zip(PROVIDERS, rows, strict=False)]


def read(drawing: charts.Drawing) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawing.svg))


def numbers(svg: ElementTree.Element) -> dict[str, float]:
    """Where each label of the axis stands, by its text, measured at the line that it names."""
    texts = [each for each in svg.iter("text") if each.get("x") == "-8"]
    return {str(each.text): float(each.get("y", "")) - 4 for each in texts}


def rects(svg: ElementTree.Element, provider: str) -> list[tuple[float, float, float, float]]:
    """x and width in percent, top and bottom in pixels of the bars of one series."""
    found = []
    for path in svg.iter("path"):
        if (path.get("class") or "").split()[:2] == ["stack", f"tone-{provider}"]:
            for bar in re.findall(r"M(\S+) (\S+)h([^v]+)v([^H]+)H(\S+?)z", path.get("d", "")):
                x, top, width, tall, back = map(float, bar)
                assert back == x
                found.append((x, width, top, top + tall))
    return found


def tips(svg: ElementTree.Element) -> list[str]:
    return [str(each.get("data-tip")) for each in svg.iter() if each.get("data-tip")]


def labels(svg: ElementTree.Element) -> list[str]:
    return [str(each.text) for each in svg.iter("text") if (each.get("x") or "").endswith("%")]


def paths(svg: ElementTree.Element, kind: str) -> list[list[tuple[float, float]]]:
    """The points of each path of one class: in percent across, and down from 0 to 100."""
    found = []
    for path in svg.iter("path"):
        if kind in (path.get("class") or "").split():
            flat = [float(each) for each in path.get("d", "")[1:].replace("h0", "").rstrip("z").split()]
            found.append(list(zip(flat[::2], flat[1::2], strict=True)))
    return found


# -- stacked bars ------------------------------------------------------------------------------------


def test_a_bar_is_as_tall_as_its_value_and_stands_on_the_one_before():
    svg = read(charts.bars(by_provider((30, 10, 0, 7), (60, 20, 15, 5)), hours(2), WORDS, COUNT))
    assert numbers(svg) == {"0": 168, "25": 129.5, "50": 91, "75": 52.5, "100": 14}
    pixel = (GROUND - TOP_PX) / 100
    first, second = rects(svg, "openai")
    assert first[3] == second[3] == GROUND
    assert first[2] == pytest.approx(GROUND - 30 * pixel + 0.8)  # a hair of ground below the next colour
    assert second[2] == pytest.approx(GROUND - 60 * pixel + 0.8)
    upper = rects(svg, "midjourney")[0]
    assert upper[3] == pytest.approx(GROUND - 30 * pixel)
    assert len(rects(svg, "stability")) == 1, "a zero draws nothing"
    assert rects(svg, "stability")[0][3] == pytest.approx(GROUND - 80 * pixel)
    assert rects(svg, "flux")[1][2] == pytest.approx(TOP_PX), "100 reaches the line that says 100"


def test_bars_stand_in_the_middle_of_their_bucket_and_never_touch():
    svg = read(charts.bars(by_provider(*[(1, 1, 1, 1)] * 24), hours(24), WORDS, COUNT))
    bars = rects(svg, "flux")
    for place, (x, width, _, _) in enumerate(bars):
        assert x + width / 2 == pytest.approx((place + 0.5) * 100 / 24, abs=0.02)
    assert all(a[0] + a[1] < b[0] for a, b in itertools.pairwise(bars))
    hits = [each for each in svg.iter("rect") if each.get("class") == "hit"]
    assert len(hits) == 24
    assert sum(float(each.get("width", "").removesuffix("%")) for each in hits) == pytest.approx(100, abs=0.2)


def test_providers_are_stacked_in_the_order_given_and_named_in_it():
    drawing = charts.bars(by_provider((1, 2, 3, 4)), hours(1), WORDS, COUNT)
    stacks = [path.get("class") for path in read(drawing).iter("path")]
    assert stacks == [f"stack tone-{name}" for name in PROVIDERS]
    assert [entry.provider for entry in drawing.legend] == list(PROVIDERS)
    bottoms = [rects(read(drawing), name)[0][3] for name in PROVIDERS]
    assert bottoms == sorted(bottoms, reverse=True)


def test_only_the_unfinished_bucket_is_paler_and_the_table_says_so():
    given_ = by_provider((3, 1, 1, 1), (3, 1, 1, 1))
    drawing = charts.bars(given_, hours(2), WORDS, COUNT, unfinished=True)
    whole, pale = [each for each in read(drawing).iter("path") if "tone-openai" in (each.get("class") or "")]
    assert (whole.get("class"), pale.get("class")) == ("stack tone-openai", "stack tone-openai unfinished")
    assert [x > 50 for x, *_ in rects(read(drawing), "openai")] == [False, True]
    assert whole.get("d", "").count("M") == pale.get("d", "").count("M") == 1
    assert [row[0] for row in drawing.table.rows] == ["hour 0", "hour 1, so far"]
    assert "unfinished" not in charts.bars(given_, hours(2), WORDS, COUNT).svg


def test_a_tooltip_says_each_value_and_their_sum_on_lines_of_their_own():
    drawing = charts.bars(by_provider((1200, 0, 3, 4)), hours(1), WORDS, COUNT)
    assert 'data-tip="hour 0&#10;Openai  1,200&#10;' in drawing.svg
    # An XML reader makes a space of a bare line break in an attribute; ours are references and survive.
    assert tips(read(drawing)) == [
        "hour 0\nOpenai  1,200\nMidjourney  0\nStability  3\nFlux  4\nTotal  1,207"
    ]


def test_the_table_holds_what_the_picture_shows():
    table = charts.bars(by_provider((1, 2, 3, 4), (5, 6, 7, 8)), hours(2), WORDS, COUNT).table
    assert table.caption == "Images by hour"
    assert table.columns == ("Hour", "Openai", "Midjourney", "Stability", "Flux", "Total")
    assert table.rows == (("hour 0", "1", "2", "3", "4", "10"), ("hour 1", "5", "6", "7", "8", "26"))


def test_a_budget_is_a_line_at_its_value_and_the_axis_reaches_it():
    svg = read(charts.bars(by_provider((10, 5, 5, 5)), hours(1), WORDS, COUNT, level=Level(80, "Budget 80")))
    (level,) = [each for each in svg.iter("line") if each.get("class") == "level"]
    assert float(level.get("y1", "")) == pytest.approx(numbers(svg)["80"])
    assert "Budget 80" in labels(svg)


def test_what_is_not_known_is_a_gap_and_is_said():
    drawing = charts.bars(by_provider((2, None, 1, 1), (None, None, None, None)), hours(2), WORDS, COUNT)
    assert len(rects(read(drawing), "openai")) == 1
    assert rects(read(drawing), "midjourney") == []
    assert tips(read(drawing))[0].endswith("Midjourney  unknown\nStability  1\nFlux  1\nTotal  at least 4")
    assert tips(read(drawing))[1].endswith("Total  unknown")
    assert drawing.table.rows[1] == ("hour 1", *["unknown"] * 5)
    assert drawing.note == "5 values are not known and left out."
    one = charts.bars(by_provider((2, None, 1, 1)), hours(1), WORDS, COUNT)
    assert one.note == "1 value is not known and left out."


def test_nothing_but_zeros_is_an_axis_and_not_an_empty_chart():
    svg = read(charts.bars(by_provider((0, 0, 0, 0)), hours(1), WORDS, COUNT))
    assert numbers(svg) == {"0": GROUND, "1": TOP_PX}
    assert not any(rects(svg, name) for name in PROVIDERS)
    assert len(tips(svg)) == 1


def test_one_bucket_is_a_bar_and_no_wall():
    ((x, width, _, bottom),) = rects(
        read(charts.bars([Series("All", (3,))], hours(1), WORDS, COUNT)), "plain"
    )
    assert (x + width / 2, bottom) == (50, GROUND)
    assert width <= 14


def test_money_that_comes_back_hangs_below_zero():
    svg = read(charts.bars(by_provider((40, -20, 0, 0), (0, 0, 0, 10)), hours(2), WORDS, COUNT))
    axis = numbers(svg)
    assert set(axis) == {"-20", "0", "20", "40"}
    (line,) = [each for each in svg.iter("line") if each.get("class") == "axis"]
    assert float(line.get("y1", "")) == pytest.approx(axis["0"], abs=0.01)
    (back,) = rects(svg, "midjourney")
    assert back[2] == pytest.approx(axis["0"], abs=0.02)
    assert back[3] == pytest.approx(axis["-20"], abs=0.02)
    assert rects(svg, "openai")[0][3] == pytest.approx(axis["0"], abs=0.02)


def test_huge_values_keep_to_the_paper():
    svg = read(charts.bars([Series("All", (9_876_543_210_987, 1))], hours(2), WORDS, COUNT))
    big, small = rects(svg, "plain")
    assert TOP_PX <= big[2] < big[3] == GROUND
    assert small[3] - small[2] >= 0.4, "1 is still something"
    assert len(numbers(svg)) <= 5


VALUE = st.one_of(st.none(), st.integers(-1_000, 1_000_000))


@given(st.integers(1, 9).flatmap(lambda n: st.lists(st.tuples(*[VALUE] * n), min_size=1, max_size=40)))
def test_no_bar_leaves_the_paper_whatever_its_values(columns):
    series = [Series(f"s{n}", values, f"p{n}") for n, values in enumerate(zip(*columns, strict=True))]
    drawing = charts.bars(series, hours(len(columns)), WORDS, COUNT, level=Level(500, "limit"))
    svg = read(drawing)
    bars = [bar for n in range(len(series)) for bar in rects(svg, f"p{n}")] + rects(svg, "other")
    assert bool(bars) == any(value for each in series for value in each.values)
    for _, _, top, bottom in bars:
        assert top < bottom
        assert top >= TOP_PX - 0.5
        assert bottom <= GROUND + 0.5
    assert 2 <= len(numbers(svg)) <= 5
    assert len(drawing.table.rows) == len(columns)


def test_the_top_eight_are_shown_and_the_others_together():
    series = [Series(f"model {n}", (n, 1), f"p{n}") for n in range(11)]
    drawing = charts.bars(series, hours(2), WORDS, COUNT)
    assert [each.label for each in drawing.legend] == [f"model {n}" for n in range(3, 11)] + ["other (3)"]
    assert drawing.table.rows[0] == ("hour 0", *map(str, range(3, 11)), "3", "55")
    assert drawing.table.rows[1][-2:] == ("3", "11")
    unknown = charts.most_important([*series[:8], Series("x", (None, 0)), Series("y", (0, 0))])
    assert unknown[-1].values == (None, 0), "a sum with an unknown part is unknown"


def test_as_many_labels_as_can_be_read_and_the_first_among_them():
    for count in (1, 7, 8, 23, 24, 25, 30, 31, 90, 365):
        svg = read(charts.bars([Series("All", (1,) * count)], hours(count), WORDS, COUNT))
        shown = labels(svg)
        assert 1 <= len(shown) <= 7, count
        assert shown[0] == "00:00"
    # A day on which clocks change has 23 or 25 hours, and each has its place.
    assert labels(read(charts.bars([Series("All", (1,) * 25)], hours(25), WORDS, COUNT)))[-1] == "24:00"


def test_names_are_text_wherever_they_stand():
    nasty = "<b>&\"'</text><script>alert(1)</script>"
    words = Words(nasty, nasty, nasty, nasty)
    scale = Scale(lambda _: nasty, lambda _: nasty)
    buckets = [Bucket(nasty, nasty)]
    level = Level(1, nasty)
    drawings = [
        charts.bars([Series(nasty, (1,), nasty)], buckets, words, scale, level=level),
        charts.line([Series(nasty, (1,), nasty)], buckets, words, scale, level=level, thresholds=[level]),
        charts.scatter(
            [Point(nasty, 1, 2, provider=nasty)], words, scale, scale, across_name=nasty, up_name=nasty
        ),
        charts.intervals([Interval(nasty, 2, 1, 3, nasty)], words, scale, level=level),
        charts.bars([], [], words, scale),
    ]
    for drawing in drawings:
        svg = read(drawing)
        assert svg.get("aria-label") == nasty
        assert {each.tag for each in svg.iter()} <= {"svg", "g", "line", "text", "rect", "path", "circle"}
        assert not any({"style", "onload"} & each.attrib.keys() for each in svg.iter())
    assert ElementTree.fromstring(str(charts.spark((1, 2), nasty))).get("aria-label") == nasty


def test_every_chart_is_an_image_with_its_finding_for_a_name():
    svg = read(charts.bars(by_provider((1, 2, 3, 4)), hours(1), WORDS, COUNT))
    assert (svg.get("role"), svg.get("aria-label")) == ("img", "What was found.")


@pytest.mark.parametrize("given_", [[], [Series("All", ())]])
def test_no_data_is_a_sentence_in_the_same_room(given_):
    empty = charts.bars(given_, [], WORDS, COUNT, height=200)
    assert read(empty).get("height") == "200"
    assert read(empty).get("aria-label") == "No images yet"
    assert [each.text for each in read(empty).iter("text")] == ["No images yet"]
    assert (empty.legend, empty.table) == ((), None)
    full = charts.bars(by_provider((1, 2, 3, 4)), hours(1), WORDS, COUNT, height=200)
    assert read(full).get("height") == read(empty).get("height")


def test_values_that_do_not_fit_their_buckets_are_a_mistake():
    with pytest.raises(ValueError, match="'All' has 2 values for 3 buckets"):
        charts.bars([Series("All", (1, 2))], hours(3), WORDS, COUNT)


def test_the_plot_leaves_room_for_its_longest_label():
    def gutter(value: float) -> int:
        kind = read(charts.bars([Series("All", (value,))], hours(1), WORDS, COUNT)).get("class") or ""
        return int(kind.rpartition("gutter-")[2])

    assert gutter(3) < gutter(4_000) < gutter(4_000_000)


# -- lines ----------------------------------------------------------------------------------------------


def test_a_line_goes_through_its_values():
    svg = read(charts.line([Series("Success", (0.5, 1, 0.75))], hours(3), WORDS, SHARE))
    assert paths(svg, "line") == [[(0, 50), (50, 0), (100, 25)]]
    (plot,) = [each for each in svg if each.get("class") == "plot"]
    assert (float(plot.get("y", "")), float(plot.get("height", ""))) == (TOP_PX, GROUND - TOP_PX)
    assert plot.get("preserveAspectRatio") == "none"
    assert not list(plot.iter("text")), "text is never stretched"


def test_what_is_missing_breaks_the_line_and_a_lonely_value_is_a_dot():
    drawing = charts.line(
        [Series("Success", (1, 1, None, 0.5, None, 0, 0))], hours(7), WORDS, SHARE, area=True
    )
    svg = read(drawing)
    assert [len(path) for path in paths(svg, "line")] == [2, 1, 2]
    assert paths(svg, "line")[1] == [(50, 50)]
    assert [len(path) for path in paths(svg, "area")] == [4, 4], "a dot has no area"
    assert drawing.note == "2 values are not known and left out."
    assert drawing.table.rows[2] == ("hour 2", "unknown")


def test_an_area_reaches_down_to_zero():
    (shape,) = paths(read(charts.line([Series("All", (2, 4))], hours(2), WORDS, COUNT, area=True)), "area")
    assert shape == [(0, 50), (100, 0), (100, 100), (0, 100)]


def test_the_unfinished_end_of_a_line_is_paler():
    svg = read(charts.line([Series("All", (1, 2, 3))], hours(3), WORDS, COUNT, unfinished=True))
    assert [len(path) for path in paths(svg, "line")] == [2, 2]
    assert paths(svg, "unfinished") == [paths(svg, "line")[1]]


def test_a_forecast_goes_on_from_the_last_value_with_a_fan_around_it():
    forecast = Forecast((30, 40), low=(25, 30), high=(35, 50))
    drawing = charts.line(
        [Series("Spent", (10, 20))], hours(4), WORDS, COUNT, forecast=forecast, level=Level(45, "Budget")
    )
    svg = read(drawing)
    assert numbers(svg)["50"] == TOP_PX, "the axis reaches the most that is likely"
    assert [round(y) for _, y in paths(svg, "forecast")[0]] == [60, 40, 20]
    (fan,) = paths(svg, "fan")
    assert [(round(x), round(y)) for x, y in fan] == [(33, 60), (67, 30), (100, 0), (100, 40), (67, 50)]
    assert drawing.table.columns == ("Hour", "Spent", "Likely", "At least", "At most")
    assert drawing.table.rows[1] == ("hour 1", "20", "", "", "")
    assert drawing.table.rows[3] == ("hour 3", "", "40", "30", "50")
    assert tips(svg)[3] == "hour 3\nabout 40\nplausibly 30 to 50"
    with pytest.raises(ValueError, match="as many lows"):
        charts.line([Series("Spent", (1,))], hours(2), WORDS, COUNT, forecast=Forecast((2,), (1,), ()))


def test_thresholds_are_ticks_at_their_value():
    svg = read(
        charts.line(
            [Series("All", (5, 9))], hours(2), WORDS, COUNT, thresholds=[Level(8, "80%"), Level(10, "all")]
        )
    )
    found = [float(each.get("y1", "")) for each in svg.iter("line") if each.get("class") == "threshold"]
    assert found == pytest.approx([TOP_PX + 0.2 * (GROUND - TOP_PX), TOP_PX])


@pytest.mark.parametrize("values", [(), (None, None)])
def test_a_line_of_nothing_known_is_empty(values):
    drawing = charts.line([Series("All", values)], hours(len(values)), WORDS, COUNT)
    assert [each.text for each in read(drawing).iter("text")] == ["No images yet"]


def test_one_value_is_a_dot_in_the_middle():
    svg = read(charts.line([Series("All", (3,))], hours(1), WORDS, COUNT))
    ((point,),) = paths(svg, "line")
    assert point[0] == 50
    (hit,) = [each for each in svg.iter("rect") if each.get("class") == "hit"]
    assert (hit.get("x"), hit.get("width")) == ("0%", "100%")


# -- sparklines --------------------------------------------------------------------------------------


def test_a_sparkline_keeps_to_its_fixed_range_so_that_calm_looks_calm():
    svg = ElementTree.fromstring(str(charts.spark((0.96, 0.97, 0.96), "calm", low=0.4, high=1)))
    heights = [y for _, y in paths(svg, "line")[0]]
    assert max(heights) - min(heights) == pytest.approx(92 / 60, abs=0.02)
    assert ElementTree.fromstring(str(charts.spark((0.1, 2), "out", low=0.4, high=1))).findall("path")
    for _, y in paths(ElementTree.fromstring(str(charts.spark((0.1, 2), "out", low=0.4, high=1))), "line")[0]:
        assert 4 <= y <= 96


def test_a_sparkline_breaks_and_may_be_empty():
    svg = ElementTree.fromstring(str(charts.spark((1, None, 3, 4), "x", low=0)))
    assert paths(svg, "line") == [[(0, 73)], [(66.67, 27), (100, 4)]]
    for values in ((), (None, None)):
        assert paths(ElementTree.fromstring(str(charts.spark(values, "x"))), "none") == [[(0, 96), (100, 96)]]
    flat = paths(ElementTree.fromstring(str(charts.spark((5, 5), "x"))), "line")[0]
    assert {y for _, y in flat} == {50}


# -- scatter and intervals -----------------------------------------------------------------------------


def scattered(*points: Point) -> charts.Drawing:
    money = Scale(lambda micros: f"${micros / 1e6:.3f}", lambda micros: f"${micros / 1e6:.3f}")
    return charts.scatter(
        points,
        WORDS,
        money,
        COUNT,
        across_name="cost per image",
        up_name="score",
        size_name="speed",
        show_size=str,
    )


def test_a_mark_stands_where_its_values_say_and_its_area_is_its_size():
    svg = read(
        scattered(
            Point("OpenAI", 40_000, 88, 4, "openai"),
            Point("Midjourney", 80_000, 91, 1, "midjourney", shape='<path d="M5 .4 9.9 9.4H.1z"/>'),
        )
    )
    marks = {(each.get("class") or "").split("-")[-1]: each for each in svg.iter("svg") if each is not svg}
    money = [
        (float(str(text.text)[1:]), float(str(text.get("x")).removesuffix("%")))
        for text in svg.iter("text")
        if str(text.text).startswith("$")
    ]
    (low, left), (high, right) = min(money), max(money)
    for name, cost in (("openai", 0.04), ("midjourney", 0.08)):
        x = float(str(marks[name].get("x")).removesuffix("%"))
        assert x == pytest.approx(left + (right - left) * (cost - low) / (high - low), abs=0.02)
    ys = {name: float(each.get("y", "")) for name, each in marks.items()}
    axis = {float(text): y for text, y in numbers(svg).items()}
    low, high = min(axis), max(axis)
    assert ys["openai"] == pytest.approx(
        axis[low] + (axis[high] - axis[low]) * (88 - low) / (high - low), abs=0.02
    )
    assert ys["midjourney"] < ys["openai"], "a better score stands higher"
    scales = {
        name: float(next(each.iter("g")).get("transform", "").split("(")[1].split(")")[0])
        for name, each in marks.items()
    }
    assert scales["openai"] == pytest.approx(2 * scales["midjourney"])
    assert next(marks["midjourney"].iter("path")).get("d") == "M5 .4 9.9 9.4H.1z"


def test_few_marks_carry_their_names_and_many_a_legend():
    few = scattered(*[Point(f"p{n}", n, n) for n in range(1, 7)])
    assert few.legend == ()
    assert [each.text for each in read(few).iter("text") if each.get("class") == "name"] == [
        f"p{n}" for n in range(1, 7)
    ]
    many = scattered(*[Point(f"p{n}", n, n) for n in range(1, 8)])
    assert len(many.legend) == 7
    assert not [each for each in read(many).iter("text") if each.get("class") == "name"]
    assert many.table.columns == ("Hour", "Score", "Cost per image", "Speed")
    assert len(many.table.rows) == 7
    assert charts.scatter([], WORDS, COUNT, COUNT, across_name="x", up_name="y").table is None


def test_names_of_marks_that_stand_together_do_not_cover_each_other():
    svg = read(scattered(Point("one", 50, 50), Point("two", 50, 50), Point("far", 100, 100)))
    ys = [
        float(mark.get("y", "")) + float(text.get("y", ""))
        for mark in svg.iter("svg")
        for text in mark.findall("text")
        if text.get("class") == "name" and text.text in ("one", "two")
    ]
    assert abs(ys[0] - ys[1]) >= 13


def test_an_interval_reaches_from_its_low_to_its_high_end():
    drawing = charts.intervals(
        [Interval("A", 3, 2, 4), Interval("B", None, None, None)], WORDS, COUNT, level=Level(3, "now")
    )
    svg = read(drawing)
    axis = {
        str(text.text): str(text.get("x"))
        for text in svg.iter("text")
        if text.text and text.text.replace(".", "").isdigit()
    }
    (group,) = [each for each in svg.iter("g") if (each.get("class") or "").startswith("interval")]
    whisker = group[0]
    assert (whisker.get("x1"), whisker.get("x2")) == (axis["2"], axis["4"])
    assert group[-1].get("cx") == axis["3"]
    (level,) = [each for each in svg.iter("line") if each.get("class") == "level"]
    assert level.get("x1") == axis["3"]
    assert drawing.table.rows == (("A", "3", "2", "4"), ("B", "unknown", "unknown", "unknown"))
    assert drawing.note == "1 of 2 with too few values yet."
    assert "not enough yet" in [text.text for text in svg.iter("text")]


def test_intervals_of_nothing_known_are_empty():
    drawing = charts.intervals([Interval("B", None, None, None)], WORDS, COUNT)
    assert drawing.table is None
    assert [each.text for each in read(drawing).iter("text")] == ["No images yet"]


# -- axes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 94, (0, 25, 50, 75, 100)),
        (0, 80, (0, 20, 40, 60, 80)),
        (0, 0.3, (0, 0.1, 0.2, 0.3)),
        (0, 50, (0, 25, 50)),
        (0, 0, (0, 0.25, 0.5, 0.75, 1)),
        (-20, 40, (-20, 0, 20, 40)),
        (0, 12_000_000, (0, 5_000_000, 10_000_000, 15_000_000)),
        (75, 95, (75, 80, 85, 90, 95)),
    ],
)
def test_ticks_are_round(low, high, expected):
    assert charts.ticks(low, high) == expected


def test_things_that_are_counted_have_no_halves():
    assert charts.ticks(0, 1, whole=True) == (0, 1)
    assert charts.ticks(0, 3, whole=True) == (0, 1, 2, 3)
    assert charts.ticks(0, 9, whole=True) == (0, 5, 10)


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e6))
def test_ticks_hold_the_values_between_them_and_are_at_most_five(low, times):
    high = low + max(1, abs(low)) * times
    marks = charts.ticks(low, high)
    assert 2 <= len(marks) <= 5
    assert marks[0] <= low
    assert marks[-1] >= high
    steps = [b - a for a, b in itertools.pairwise(marks)]
    assert steps == pytest.approx([steps[0]] * len(steps), rel=1e-3)
