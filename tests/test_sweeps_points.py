import ast
import math

import pytest
from hypothesis import given, strategies as st

from common.errors import UsageError
from common.runs import keys
from common.runs.sweeps import constraints, points, request
from toy_book import add_paper, edit

WHERE = "sweep.yml"
NAMES = {"n_cases": 4, "rate": 0.5, "loss": "dice", "widths": (8, 16), "limit": None}


@pytest.fixture
def toy(book):
    """A planner of a miniature chapter that has a seed."""
    edit(add_paper(book), "n_cases = 4", "seed = 7  # first\nn_cases = 4")
    return keys.planner("toy")


def planned(planner, **content):
    asked = request.make({"chapter": "toy", **content}, WHERE)
    return points.plan(asked, planner, WHERE)


def found(planner, **content):
    return list(planned(planner, **content).sweep.points)


def random(n=20, **draws):
    return {"n": n, "seed": 1, "parameters": draws}


# splitting

LITERALS = st.recursive(
    st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6)
    | st.none()
    | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(st.lists(LITERALS, min_size=1, max_size=5), st.sampled_from([",", ", ", " ,  "]))
def test_written_literals_are_split_into_what_was_written(values, comma):
    pieces = points.split(comma.join(repr(value) for value in values))
    assert [ast.literal_eval(piece) for piece in pieces] == values


@given(st.text(alphabet="ab,()[]{}'\"\\ ", max_size=12))
def test_a_split_loses_no_character_but_commas_and_space_between_values(text):
    try:
        pieces = points.split(text)
    except ValueError:
        return
    assert ",".join(pieces).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize("text", ["(1,2", "[1,2)", "1)", "'a", '"a,b', "{1"])
def test_an_open_bracket_or_quote_cannot_be_split(text):
    with pytest.raises(ValueError, match=r"missing|closes nothing"):
        points.split(text)


# the grid of a command line


def test_values_are_read_by_the_kind_of_their_parameter(toy):
    given_ = ["rate=0,0.3,1", "loss=dice,bce", "widths=(8,16),(16,32)", "limit=None,3"]
    grid = points.parse_grid(toy.declared, given_)
    assert grid == {
        "rate": [0, 0.3, 1],
        "loss": ["dice", "bce"],
        "widths": [(8, 16), (16, 32)],
        "limit": [None, 3],
    }


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        (["rat=1,2"], "unknown parameter `rat`. Did you mean `rate`?"),
        (["rate"], "must be given as name=value, got 'rate'"),
        (["rate=1", "rate=2"], "parameter `rate` is given twice"),
        (["rate=1,,2"], "value 2 of `rate` is empty in '1,,2'"),
        (["rate="], "value 1 of `rate` is empty"),
        (["widths=(8,16"], r"the values of `widths` cannot be told apart: ) is missing"),
    ],
)
def test_a_grid_that_cannot_be_read_is_refused_by_name(toy, pairs, message):
    with pytest.raises(UsageError) as error:
        points.parse_grid(toy.declared, pairs)
    assert message in str(error.value)


# points


def test_a_grid_is_every_combination_with_the_last_parameter_fastest(toy):
    grid = {"rate": [0.1, 0.2], "loss": ["dice", "bce"]}
    pairs = [(point["rate"], point["loss"]) for point in found(toy, parameters=grid)]
    assert pairs == [(0.1, "dice"), (0.1, "bce"), (0.2, "dice"), (0.2, "bce")]


def test_seeds_repeat_each_point_and_count_from_the_chapters_seed(toy):
    made = planned(toy, parameters={"rate": [0.1, 0.2]}, seeds=2).sweep
    assert [(point["rate"], point["seed"]) for point in made.points] == [
        (0.1, 7),
        (0.1, 8),
        (0.2, 7),
        (0.2, 8),
    ]
    assert made.varied == ("rate", "seed")


def test_seeds_count_from_the_profiles_seed(toy, book):
    edit(
        book / "data_manifests/papers/toy/paper.yml",
        "standard: {parameters: {n_cases: 9}",
        "standard: {parameters: {n_cases: 9, seed: 20}",
    )
    seeds = [point["seed"] for point in found(keys.planner("toy", "standard"), seeds=3)]
    assert seeds == [20, 21, 22]


def test_runs_that_train_several_seeds_share_none(book):
    path = add_paper(book)
    edit(path, "n_cases = 4", "seed = 3  # first\nn_seeds = 2  # trainings\nn_cases = 4")
    points = found(keys.planner("toy"), parameters={"n_seeds": [2, 5]}, seeds=3)
    assert [(one["n_seeds"], one["seed"]) for one in points] == [
        *((2, seed) for seed in (3, 5, 7)),
        *((5, seed) for seed in (3, 8, 13)),
    ]


def test_seeds_need_a_parameter_of_that_name(book):
    add_paper(book)
    with pytest.raises(UsageError, match="toy has no parameter `seed`"):
        found(keys.planner("toy"), seeds=3)


def test_the_seed_is_not_given_in_two_ways(toy):
    with pytest.raises(UsageError, match="`seed` is given as a parameter and by the number"):
        found(toy, parameters={"seed": [1, 2]}, seeds=3)


def test_points_need_not_name_the_same_parameters(toy):
    made = planned(toy, points=[{"rate": 0.1}, {}, {"loss": "bce", "rate": 0.2}])
    assert made.sweep.varied == ("rate", "loss")
    assert [plan.parameters["loss"] for plan in made.plans] == ["dice", "dice", "bce"]


def test_plans_are_those_of_single_runs(toy):
    made = planned(toy, parameters={"widths": [[8], [8, 16, 32]]})
    single = keys.plan("toy", given={"widths": (8,)})
    assert made.plans[0].id == single.id
    assert made.plans[0].parameters["widths"] == (8,)
    assert made.sweep.points[0] == {"widths": [8]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"parameters": {"rat": [1]}}, "point 1 (rat=1): unknown parameter `rat`. Did you mean"),
        ({"parameters": {"rate": [1, "x"]}}, "point 2 (rate='x'): parameter `rate` must be float"),
        ({"parameters": {"n_cases": [1, 99]}}, "`n_cases` must be in [1, 50], got 99"),
        ({"points": [{"loss": "dise"}]}, "`loss` must be one of 'dice', 'bce', got 'dise'"),
        ({"parameters": {}}, "the sweep has no points"),
        ({"points": []}, "the sweep has no points"),
        ({"parameters": {"rate": []}}, "the grid is empty: `rate` has no value"),
        ({"parameters": {"rate": [1, 2, 1.0]}}, "points 1 and 3 are the same run: rate=1.0"),
        ({"points": [{}, {"rate": 0.5}]}, "points 1 and 2 are the same run: rate=0.5"),
        ({"parameters": {"limit": [math.nan]}}, "must be a finite number, a text"),
        ({"random": random(n=100_001, rate={"min": 0, "max": 1})}, "at most 100,000 points"),
        ({"random": random(loss={"min": 0, "max": 1})}, "`loss` is str, which cannot be drawn"),
        ({"random": random(n_cases={"min": 1, "max": 2.5})}, "`n_cases` is int, so min and max"),
        ({"random": random(rat={"min": 0, "max": 1})}, "Did you mean `rate`?"),
    ],
)
def test_points_that_cannot_be_meant_are_refused(toy, content, message):
    with pytest.raises(UsageError) as error:
        planned(toy, **content)
    assert message in str(error.value)


def test_a_grid_that_is_too_large_is_refused_before_it_is_made(toy):
    many = list(range(10_000))
    with pytest.raises(UsageError, match="got 1,000,000,000,000,000"):
        planned(toy, parameters={"rate": many, "limit": many, "n_cases": many}, seeds=1000)


# random points


def test_the_same_seed_draws_the_same_points_and_more_go_on_there(toy):
    draws = {"rate": {"min": 1e-4, "max": 1e-1, "scale": "log"}, "loss": {"choices": ["dice"]}}
    few, again = (found(toy, random=random(10, **draws)) for _ in range(2))
    assert few == again
    assert found(toy, random=random(30, **draws))[:10] == few
    assert found(toy, random={**random(10, **draws), "seed": 2}) != few


def test_whole_parameters_draw_whole_numbers_that_reach_both_bounds(toy):
    for scale in ("linear", "log"):
        drawn = random(200, n_cases={"min": 2, "max": 5, "scale": scale})
        values = [point["n_cases"] for point in found(toy, random=drawn)]
        assert sorted(values) == [2, 3, 4, 5]
        assert all(type(value) is int for value in values)


def test_a_log_scale_draws_evenly_over_the_decades(toy):
    drawn = random(2000, rate={"min": 1e-4, "max": 1e-1, "scale": "log"})
    values = [point["rate"] for point in found(toy, random=drawn)]
    assert min(values) >= 1e-4
    assert max(values) <= 1e-1
    # 3 decades, 2000 draws: each holds a third, within 4 standard errors of 21
    decades = [sum(low <= value < 10 * low for value in values) for low in (1e-4, 1e-3, 1e-2)]
    assert all(abs(n - len(values) / 3) < 85 for n in decades)


def test_repeated_draws_are_left_out_and_told(toy):
    made = planned(toy, random=random(50, loss={"choices": ["dice", "bce"]}))
    assert len(made.plans) == 2
    assert made.notes == ("50 runs drawn, 48 of them repeat others and are left out.",)


# constraints


def test_points_that_break_a_constraint_are_left_out_and_told(toy):
    made = planned(
        toy,
        parameters={"rate": [0.1, 0.2, 0.9], "n_cases": [2, 8]},
        constraints=["rate * n_cases <= 1", "loss == 'dice'"],
    )
    assert [(p["rate"], p["n_cases"]) for p in made.sweep.points] == [(0.1, 2), (0.1, 8), (0.2, 2)]
    assert made.notes == (
        "sweep.yml, constraint 1, `rate * n_cases <= 1`: 3 of 6 points are left out.",
    )


def test_no_point_left_is_an_error_that_says_which_constraint_it_was(toy):
    with pytest.raises(UsageError, match=r"no point is left of 2: .*constraint 1, `rate > 3`"):
        planned(toy, parameters={"rate": [0.1, 0.2]}, constraints=["rate > 3"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rate < n_cases", True),
        ("0 < rate < 0.4", False),
        ("loss in ('dice', 'bce')", True),
        ("loss not in ['bce']", True),
        ("8 in widths and widths == (8, 16)", True),
        ("widths == [8, 16]", True),
        ("limit == None or limit > 3", True),
        ("not (n_cases % 2 == 0)", False),
        ("-n_cases + 10 // 3 == -1 and n_cases / 8 == rate", True),
    ],
)
def test_a_constraint_means_what_it_means_in_python(text, expected):
    assert constraints.parse(text, NAMES, WHERE).holds(NAMES) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate ** 2 < 1", "`rate ** 2` in `rate ** 2 < 1` is not allowed"),
        ("rat < 1", "`rat` in `rat < 1` is an unknown parameter. Did you mean `rate`?"),
        ("abs(rate) < 1", "`abs(rate)` in"),
        ("rate.real < 1", "`rate.real` in"),
        ("widths[0] < 1", "`widths[0]` in"),
        ("[x for x in widths]", "is not allowed"),
        ("(lambda: 1)() == 1", "is not allowed"),
        ("f'{rate}' == 'a'", "is not allowed"),
        ("rate == 1j", "`1j` in"),
        ("limit is None", "compares identity. Write == or !="),
        ("rate = 1", "is no expression"),
        ("", "is no expression"),
        ("rate <", "is no expression"),
        ("not " * 60 + "True", "is nested deeper than 50"),
        ("(" * 500 + "1" + ")" * 500, "sweep.yml"),
        ("\0", "sweep.yml"),
    ],
)
def test_a_piece_that_is_not_allowed_is_quoted_with_the_file(text, message):
    with pytest.raises(UsageError) as error:
        constraints.parse(text, NAMES, WHERE)
    assert message in str(error.value)
    assert str(error.value).startswith(WHERE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_cases + 1", "`n_cases + 1` is 5, neither true nor false"),
        ("rate < 1 and n_cases", "`n_cases` in `rate < 1 and n_cases` is 4, neither"),
        ("limit < 3", "has no value for None and 3"),
        ("rate < loss", "has no value for 0.5 and 'dice'"),
        ("n_cases // 0 == 1", "`n_cases // 0` in"),
        ("loss * 1000000000 == 'a'", "`loss` in `loss * 1000000000 == 'a'` must be a number"),
        ("loss in 'dice'", "must be a tuple or list behind `in`, got 'dice'"),
        ("-loss == 1", "`loss` in `-loss == 1` must be a number"),
    ],
)
def test_a_constraint_without_a_truth_value_says_which_piece_has_none(text, message):
    rule = constraints.parse(text, NAMES, WHERE)
    with pytest.raises(UsageError) as error:
        rule.holds(NAMES)
    assert message in str(error.value)


NUMBERS = st.recursive(
    st.sampled_from(["n_cases", "rate", "3", "0.25", "7"]),
    lambda inner: st.builds(
        "({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/", "//", "%"]), inner
    ),
    max_leaves=6,
)
CONDITIONS = st.recursive(
    st.builds(
        "{} {} {}".format, NUMBERS, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), NUMBERS
    )
    | st.builds("{} in ({}, {})".format, NUMBERS, NUMBERS, NUMBERS),
    lambda inner: (
        st.builds("not ({})".format, inner)
        | st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner)
    ),
    max_leaves=5,
)


@given(CONDITIONS, st.integers(1, 50), st.floats(0, 1))
def test_conditions_agree_with_the_interpreter(text, n_cases, rate):
    values = {**NAMES, "n_cases": n_cases, "rate": rate}
    rule = constraints.parse(text, NAMES, WHERE)
    try:
        expected = eval(text, {}, values)  # the reference; the text is generated above
    except ArithmeticError:
        with pytest.raises(UsageError, match="has no value for"):
            rule.holds(values)
        return
    assert rule.holds(values) is expected


@given(st.text(max_size=20) | st.text(alphabet="rate<>=()[]+-*/% 0123'\"andornt,.\\", max_size=20))
def test_no_text_does_anything_but_hold_fail_or_be_refused(text):
    try:
        answer = constraints.parse(text, NAMES, WHERE).holds(NAMES)
    except UsageError:
        return
    assert answer in (True, False)
