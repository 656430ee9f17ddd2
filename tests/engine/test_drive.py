"""The driver's loop: kinds of failure, retries, cancelling, priority, time left."""

from __future__ import annotations

from pathlib import Path

import pytest

from daybreak.config.engine import load_engine
from daybreak.engine.attempt import write_note
from daybreak.engine.control import Control
from daybreak.engine.execute import execute
from daybreak.engine.pools.carrier import Trouble
from daybreak.engine.progress import eta_s
from daybreak.engine.run import clear_abandoned, run_plan
from daybreak.engine.schedulers.jobs import JobEnd
from daybreak.engine.stop import StopReason, StopToken
from daybreak.errors import InterruptedByUser, RequestCancelled, SchedulerError, WorkerLostError
from daybreak.ledger import reading as ledger_view
from daybreak.ledger.step import Plan, Resources, StepState


def _states(results):
    return {name: r.state.value for name, r in results.items()}


def test_everything_there_starts_no_engine(here, step, root, monkeypatch):
    plan = Plan((step("a"), step("b", inputs=["a.txt"])))
    run_plan(plan, root)

    def refuse(*_, **__):
        pytest.fail("the engine was started")

    monkeypatch.setattr("daybreak.engine.run.open_pools", refuse)
    assert all(r.cached for r in run_plan(plan, root).values())
    assert {v.name: v.state for v in ledger_view.steps(root, "plan")} == {"a": "DONE", "b": "DONE"}


def test_a_changed_parameter_remakes_what_follows(here, step, root):
    plan = [step("a", params={"text": "1"}), step("b", inputs=["a.txt"]), step("c")]
    run_plan(Plan(tuple(plan)), root)
    plan[0] = step("a", params={"text": "2"})
    results = run_plan(Plan(tuple(plan)), root)
    assert {n for n, r in results.items() if r.cached} == {"c"}
    assert (root / "b.txt").read_text() == "2"


def test_products_of_a_step_that_now_fails_are_gone(here, step, root):
    run_plan(Plan((step("a"),)), root)
    results = run_plan(Plan((step("a", "fail"),)), root)
    assert results["a"].state is StepState.FAILED and not (root / "a.txt").exists()
    (view,) = ledger_view.steps(root, "plan")
    assert view.state == "FAILED" and view.reason == "ValueError: a number is odd"


def test_an_interruption_in_this_process_is_named(here, step, root):
    def stop(event):
        if event.result is not None:
            raise KeyboardInterrupt

    plan = Plan((step("a"), step("b", inputs=["a.txt"])))
    with pytest.raises(InterruptedByUser, match="what was finished is kept"):
        run_plan(plan, root, control=Control(progress=stop))
    assert (root / "a.txt").exists()
    states = {v.name: v.state for v in ledger_view.steps(root, "plan")}
    assert states == {"a": "DONE", "b": "PENDING"}


@pytest.mark.parametrize(
    ("state", "kind", "memory_mb"),
    [
        ("TIMEOUT", "walltime", [900, 900]),
        ("OUT_OF_MEMORY", "memory", [900, 1800, 3600]),
        ("NODE_FAIL", "lost", [900, 900, 900]),
    ],
)
def test_what_the_scheduler_says_decides(here, step, root, state, kind, memory_mb):
    """What is tried again, how often and with how much, follows from how the job ended."""
    here.ends = {"7": JobEnd(state)}

    def lose(payload):
        write_note(Path(payload["note"]), {"job": "7", "host": "n1", "started": 1.0})
        raise WorkerLostError("gone")

    here.run = lose
    results = run_plan(Plan((step("a", resources=Resources(memory_mb=900)),)), root)
    assert results["a"].kind == kind and "on n1 (job 7" in results["a"].reason
    assert [mb for _, mb in here.taken] == memory_mb
    kinds = [a["kind"] for a in ledger_view.history(root, "plan", "a")["attempts"]]
    assert kinds == [kind] * len(memory_mb)


def test_a_memory_error_is_tried_with_more(here, step, root):
    results = run_plan(Plan((step("a", "no_memory", resources=Resources(memory_mb=900)),)), root)
    assert results["a"].exit_code == 22
    assert [mb for _, mb in here.taken] == [900, 1800, 3600]


def test_code_errors_are_not_tried_again(here, step, root):
    results = run_plan(Plan((step("a", "fail"), step("b", "full"))), root)
    assert [name for name, _ in here.taken] == ["a", "b"]
    assert (results["a"].kind, results["b"].kind) == ("code", "disk")


def test_a_step_that_no_pool_holds_fails_at_once(here, step, root):
    plan = Plan((step("huge", resources=Resources(memory_mb=10**6)), step("a")))
    results = run_plan(plan, root)
    assert _states(results) == {"huge": "FAILED", "a": "DONE"}
    assert results["huge"].exit_code == 22 and "1000000 MB" in results["huge"].reason


def test_a_result_whose_answer_was_lost_counts(here, step, root):
    """The worker had finished, only its answer did not arrive."""

    def lose_answer(payload):
        execute(payload)
        raise WorkerLostError("gone")

    here.run = lose_answer
    results = run_plan(Plan((step("a"),)), root)
    assert results["a"].state is StepState.DONE and len(here.taken) == 1


def test_a_scheduler_that_refuses_ends_the_plan_with_its_words(here, step, root):
    here.trouble = Trouble("sbatch: invalid account", fatal=True)
    with pytest.raises(SchedulerError, match="invalid account"):
        run_plan(Plan((step("a"),)), root)
    (view,) = ledger_view.steps(root, "plan")
    assert view.state == "PENDING", "it was not begun, or it is begun again"


def test_a_scheduler_that_does_not_answer_costs_no_attempt(here, step, root, monkeypatch):
    """The step never began: it waits until the scheduler is back, however often that is."""
    monkeypatch.setattr("daybreak.engine.driver._LOOK_AROUND_S", 0.05)
    calls = []

    def unavailable_then_fine(payload):
        calls.append(1)
        if len(calls) < 6:
            raise WorkerLostError("the pool is gone")
        here.trouble = None
        return execute(payload)

    here.trouble = Trouble("slurmctld does not answer", fatal=False)
    here.run = unavailable_then_fine
    heard = []
    results = run_plan(Plan((step("a"), step("b"))), root, control=Control(progress=heard.append))
    assert _states(results) == {"a": "DONE", "b": "DONE"} and len(calls) >= 7
    kinds = [a["kind"] for a in ledger_view.history(root, "plan", "a")["attempts"]]
    assert set(kinds[:-1]) == {"scheduler"} and kinds[-1] == ""


def test_asked_to_end_by_another_thread(here, step, root):
    """What is finished is kept; the next run goes on from there."""
    token = StopToken()

    def cancel(payload):
        token.request(StopReason.CANCEL)
        return execute(payload)

    here.run = cancel
    plan = Plan((step("a"), step("b", inputs=["a.txt"]), step("c", inputs=["b.txt"])))
    with pytest.raises(RequestCancelled):
        run_plan(plan, root, control=Control(stop=token))
    states = [v.state for v in ledger_view.steps(root, "plan")]
    assert states.count("PENDING") >= 1
    here.run = execute
    assert set(_states(run_plan(plan, root)).values()) == {"DONE"}


def test_a_wish_from_elsewhere_is_asked_for(here, step, root):
    asked = []
    token = StopToken(lambda: asked.append(1) or StopReason.SHUTDOWN)
    with pytest.raises(InterruptedByUser):
        run_plan(Plan((step("a"),)), root, control=Control(stop=token))
    assert asked == [1] and token.reason is StopReason.SHUTDOWN


def test_urgent_requests_go_first(here, step, root, monkeypatch):
    """A nightly run holds its steps back while an alert's run on the same host."""
    monkeypatch.setattr("daybreak.engine.driver._LOOK_AROUND_S", 0.0)
    looks, heard = [], []

    def urgent() -> str:
        looks.append(len(here.taken))
        return "alert" if len(looks) < 4 else ""

    control = Control(urgent=urgent, progress=heard.append)
    run_plan(Plan((step("a"), step("b"))), root, control=control)
    assert looks[:4] == [0, 0, 0, 0] and len(here.taken) == 2
    assert any("waits for the more urgent alert" in event.message for event in heard)


def test_the_time_left_is_told(here, step, root):
    known = {"sample_steps:write": 15.0, "sample_steps:slow": 100.0}
    steps = [step("a"), step("b"), step("c", "slow")]
    assert eta_s(steps, known, 1) == pytest.approx(130.0)
    assert eta_s(steps, known, 2, running_s=10.0) == pytest.approx(60.0)
    assert eta_s(steps[2:], known, 8) == pytest.approx(100.0)
    assert eta_s([step("x", "fail")], known, 1) is None and eta_s([], known, 1) == 0.0


def test_who_asked_is_told_how_many_steps_are_in_which_state(here, step, root):
    noted = []
    control = Control(note=lambda steps, message, eta: noted.append(steps))
    run_plan(Plan((step("a"), step("b", "fail"))), root, control=control)
    assert noted[-1] == {"DONE": 1, "FAILED": 1}
    assert set(control.seen) == {"sample_steps:write"}


def test_many_steps_in_a_chain_and_side_by_side(here, step, root):
    """The order is the plan's, and the cost does not grow with its square."""
    steps = [step("s0")]
    steps += [step(f"s{i}", inputs=[f"s{i - 1}.txt"]) for i in range(1, 150)]
    steps += [step(f"p{i}") for i in range(150)]
    results = run_plan(Plan(tuple(steps)), root)
    assert set(_states(results).values()) == {"DONE"} and len(results) == 300


def test_what_a_killed_driver_left_is_taken_away(root, tmp_path, monkeypatch):
    monkeypatch.setattr("daybreak.engine.pools.sizing._short_tmp", lambda: str(tmp_path))
    left = tmp_path / "daybreak-engine-left"
    left.mkdir()
    (left / ".owner").touch()
    assert clear_abandoned(load_engine(None), "plan", root) == []
    assert not left.exists()
