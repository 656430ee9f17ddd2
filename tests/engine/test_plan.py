"""A plan is checked when it is made."""

from __future__ import annotations

import pytest

from daybreak.errors import EngineError
from daybreak.ledger.step import Plan, StepState


def test_dependencies_follow_from_files(step, root):
    plan = Plan((
        step("a"),
        step("b", inputs=["a.txt", "outside.txt"], outputs=["b.txt", "c.txt"]),
        step("d", inputs=["c.txt", "b.txt", "a.txt"]),
    ))  # fmt: skip
    assert plan.dependencies() == {"a": (), "b": ("a",), "d": ("b", "a")}
    assert plan.makers[root / "c.txt"] == "b"
    rows = plan.describe()
    assert rows[1] == ("b", "sample_steps:write", ("a",), ["b.txt", "c.txt"])


def test_two_steps_of_one_name(step):
    with pytest.raises(EngineError, match="two steps are named 'a'"):
        Plan((step("a"), step("a", outputs=["other.txt"])))


def test_two_makers_of_one_file(step):
    with pytest.raises(EngineError, match=r"same\.txt is made by 'a' and 'b'"):
        Plan((step("a", outputs=["same.txt"]), step("b", outputs=["same.txt"])))
    with pytest.raises(EngineError, match="is made by 'a' and 'a'"):
        Plan((step("a", outputs=["same.txt", "same.txt"]),))


def test_cycles_and_wrong_orders(step):
    with pytest.raises(EngineError, match=r"'a' needs .*b\.txt before it is made"):
        Plan((step("a", inputs=["b.txt"]), step("b", inputs=["a.txt"])))
    with pytest.raises(EngineError, match="'a' needs"):
        Plan((step("a", inputs=["a.txt"]),))
    with pytest.raises(EngineError, match="'b' needs"):
        Plan((step("b", inputs=["a.txt"]), step("a")))


def test_lists_of_inputs_count(step, root):
    from dataclasses import replace

    many = replace(step("b"), inputs={"all": (root / "a.txt", root / "x.txt")})
    assert Plan((step("a"), many)).dependencies()["b"] == ("a",)


def test_states():
    ended = {StepState.DONE, StepState.FAILED, StepState.SKIPPED}
    assert {s for s in StepState if s.ended} == ended
    assert Plan(()).dependencies() == {}
