"""The driver's loop: kinds of failure, retries, cancelling, priority, time left."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from daybreak.engine.attempt import write_note
from daybreak.engine.execute import execute
from daybreak.engine.pools.carrier import Trouble
from daybreak.engine.progress import eta_s
from daybreak.engine.run import run_plan
from daybreak.engine.schedulers.jobs import JobEnd
from daybreak.errors import InterruptedByUser, RequestCancelled, SchedulerError, WorkerLostError
from daybreak.ledger import inbox as registry
from daybreak.ledger import reading as ledger_view
from daybreak.ledger.ledger import Ledger
from daybreak.ledger.request import RequestInfo, RequestState
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
    (view,) = ledger_view.requests(root)
    assert view.state == "DONE" and not view.driver and not view.interrupted


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
    (view,) = ledger_view.requests(root)
    assert view.state == "FAILED" and view.reason == "a: ValueError: a number is odd"


def test_an_interruption_in_this_process_is_named(here, step, root):
    def stop(event):
        if event.result is not None:
            raise KeyboardInterrupt

    plan = Plan((step("a"), step("b", inputs=["a.txt"])))
    with pytest.raises(InterruptedByUser, match="what was finished is kept"):
        run_plan(plan, root, progress=stop)
    assert (root / "a.txt").exists()
    (view,) = ledger_view.requests(root)
    assert view.state == "PLANNED" and view.interrupted and "stopped" in view.reason


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
    (view,) = ledger_view.requests(root)
    assert view.state == "FAILED" and "invalid account" in view.reason


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
    results = run_plan(Plan((step("a"), step("b"))), root, progress=heard.append)
    assert _states(results) == {"a": "DONE", "b": "DONE"} and len(calls) >= 7
    kinds = [a["kind"] for a in ledger_view.history(root, "plan", "a")["attempts"]]
    assert set(kinds[:-1]) == {"scheduler"} and kinds[-1] == ""


def test_cancelled_from_outside(here, step, root, monkeypatch):
    monkeypatch.setattr("daybreak.engine.driver._LOOK_AROUND_S", 0.0)

    def cancel(payload):
        with Ledger(root) as ledger:
            ledger.want("cancel")
        return execute(payload)

    here.run = cancel
    plan = Plan((step("a"), step("b", inputs=["a.txt"]), step("c", inputs=["b.txt"])))
    with pytest.raises(RequestCancelled):
        run_plan(plan, root)
    (view,) = ledger_view.requests(root)
    assert view.state == "CANCELLED" and view.steps["DONE"] >= 1 and view.steps["PENDING"] >= 1
    here.run = execute
    assert set(_states(run_plan(plan, root)).values()) == {"DONE"}
    assert ledger_view.requests(root)[0].state == "DONE"


def test_urgent_requests_go_first(here, step, root, tmp_path, monkeypatch):
    """A nightly run holds its steps back while an alert's run on the same host."""
    monkeypatch.setattr("daybreak.engine.driver._LOOK_AROUND_S", 0.0)
    alert = RequestInfo(id="alert", kind="scan", priority=10)
    nightly = RequestInfo(id="nightly", kind="daily", priority=-10)
    heard = []

    def forget():
        with registry._open() as db:
            db.execute("DELETE FROM drivers WHERE request = 'alert'")

    with registry.driving(alert, tmp_path):
        assert registry.more_urgent(nightly) == "alert" and not registry.more_urgent(alert)
        threading.Timer(0.7, forget).start()
        started = time.monotonic()
        run_plan(Plan((step("a"), step("b"))), root, request=nightly, progress=heard.append)
        assert time.monotonic() - started > 0.6
    assert not registry.more_urgent(nightly)


def test_a_dead_driver_is_not_waited_for(tmp_path):
    alert = RequestInfo(id="alert", priority=10)
    with registry.driving(alert, tmp_path):
        with registry._open() as db:
            db.execute("UPDATE drivers SET pid = 4194303 WHERE request = 'alert'")
        assert not registry.more_urgent(RequestInfo(id="nightly"))


def test_the_time_left_is_told(here, step, root):
    registry.learn_durations({"sample_steps:write": [10.0, 20.0], "sample_steps:slow": [100.0]})
    known = {"sample_steps:write": 15.0, "sample_steps:slow": 100.0}
    steps = [step("a"), step("b"), step("c", "slow")]
    assert eta_s(steps, known, 1) == pytest.approx(130.0)
    assert eta_s(steps, known, 2, running_s=10.0) == pytest.approx(60.0)
    assert eta_s(steps[2:], known, 8) == pytest.approx(100.0)
    assert eta_s([step("x", "fail")], known, 1) is None and eta_s([], known, 1) == 0.0
    assert set(known) <= set(registry.durations())


def test_without_a_place_for_the_registry(here, step, root, monkeypatch, tmp_path):
    """Nothing depends on the registry: a home that can't be written to is no obstacle."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "file" / "state"))
    assert run_plan(Plan((step("a"),)), root)["a"].state is StepState.DONE
    assert registry.known_requests() == [] and registry.durations() == {}
    assert registry.more_urgent(RequestInfo()) == ""


def test_many_steps_in_a_chain_and_side_by_side(here, step, root):
    """The order is the plan's, and the cost does not grow with its square."""
    steps = [step("s0")]
    steps += [step(f"s{i}", inputs=[f"s{i - 1}.txt"]) for i in range(1, 150)]
    steps += [step(f"p{i}") for i in range(150)]
    results = run_plan(Plan(tuple(steps)), root)
    assert set(_states(results).values()) == {"DONE"} and len(results) == 300


def test_the_folder_of_a_driver_killed_at_its_very_end_goes(
    here, step, root, tmp_path, monkeypatch
):
    """Nothing is left to do, so no engine is started whose folder would replace it."""
    monkeypatch.setattr("daybreak.engine.pools.sizing._short_tmp", lambda: str(tmp_path))
    plan = Plan((step("a"),))
    run_plan(plan, root)
    with Ledger(root, RequestInfo()) as ledger:
        ledger.receive()
        ledger.move(RequestState.PLANNED, "")
        ledger.move(RequestState.RUNNING)
    left = tmp_path / "daybreak-engine-left"
    left.mkdir()
    (left / ".owner").touch()
    assert all(result.cached for result in run_plan(plan, root).values())
    assert not left.exists()
    (view,) = ledger_view.requests(root)
    assert view.state == "DONE"
