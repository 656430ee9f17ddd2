"""Plans in stages, and the states of a request on its way, with a kind that is quick."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daybreak.engine.stop import StopReason, StopToken
from daybreak.errors import InterruptedByUser, NoDataError, OutputError, RequestCancelled
from daybreak.ledger import reading
from daybreak.ledger.inbox import Inbox
from daybreak.requests import look, manage
from daybreak.requests import run as run_module
from daybreak.requests.run import run
from daybreak.requests.target import TargetSpec

from toy import ToyRequest  # isort: skip

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("DAYBREAK_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def toy(out: Path, **values) -> ToyRequest:
    return ToyRequest(target=TargetSpec(name=out.name), out=out, **values)


def states(name: str) -> list[str]:
    with Inbox() as inbox:
        return [row["new"] for row in inbox.history(name)]


def test_the_second_plan_is_made_from_what_the_first_has_made(tmp_path):
    request = toy(tmp_path / "out", count=3)
    result = run(request)
    assert list(result.steps) == ["split", "double-0", "double-1", "double-2"]
    last = request.out / "toy" / "2026-11-27" / "part_2" / "tel_001" / "double.txt"
    assert last.read_text() == "4"
    view = look.find(request.out)
    assert [s.name for s in look.steps(view)] == list(result.steps)
    assert view.state == "DONE" and dict(view.steps) == {"DONE": 3}
    assert states(view.id) == ["RECEIVED", "PLANNED", "RUNNING", "DONE"]


def test_again_only_what_is_missing_is_made(tmp_path):
    request = toy(tmp_path / "out", count=2)
    run(request)
    assert run(request).cached and len((request.out / "log.txt").read_text().split("\n")) == 2
    (request.out / "toy" / "2026-11-27" / "part_1" / "tel_001" / "double.txt").unlink()
    again = run(request)
    assert [name for name, step in again.steps.items() if not step.cached] == ["double-1"]
    view = look.find(request.out)
    assert states(view.id)[-3:] == ["PLANNED", "RUNNING", "DONE"]


def test_a_stage_that_changes_makes_the_later_ones_void(tmp_path):
    """Steps of a plan that there is no more are not shown among those of the new ones."""
    out = tmp_path / "out"
    key = {"idempotency_key": "the same"}
    run(toy(out, count=3, **key))
    result = run(toy(out, count=1, **key))
    view = look.find(out)
    names = [s.name for s in look.steps(view)]
    assert names == ["split", "double-0"] == list(result.steps)


def test_rejected_and_known(tmp_path):
    request = toy(tmp_path / "out", needs=tmp_path / "night.txt")
    with pytest.raises(NoDataError):
        run(request)
    (view,) = look.status()
    assert view.state == "REJECTED" and "night.txt is not there" in view.reason
    assert not request.out.exists(), "who is rejected makes no folder"
    request.needs.write_text("")
    run(request)
    assert states(view.id) == ["RECEIVED", "REJECTED", "RECEIVED", "PLANNED", "RUNNING", "DONE"]


def test_waits_for_its_data(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "LOOK_EVERY_S", 0.2)
    request = toy(tmp_path / "out", needs=tmp_path / "night.txt", wait_until=time.time() + 60)

    def bring():
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if [v.state for v in look.status()] == ["WAITING_FOR_DATA"]:
                break
            time.sleep(0.05)
        request.needs.write_text("")

    thread = threading.Thread(target=bring)
    thread.start()
    result = run(request)
    thread.join()
    assert len(result.steps) == 3
    assert states(request.name)[:3] == ["RECEIVED", "WAITING_FOR_DATA", "PLANNED"]


def test_waits_no_longer_than_it_may(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "LOOK_EVERY_S", 0.1)
    request = toy(tmp_path / "out", needs=tmp_path / "night.txt", wait_until=time.time() + 0.5)
    with pytest.raises(NoDataError):
        run(request)
    assert states(request.name) == ["RECEIVED", "WAITING_FOR_DATA", "REJECTED"]


def test_a_waiting_request_is_cancelled_and_one_left_waiting_is_taken_up(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "LOOK_EVERY_S", 0.0)
    request = toy(tmp_path / "out", needs=tmp_path / "night.txt", wait_until=time.time() + 60)
    with Inbox() as inbox:
        inbox.submit(request.info())
        assert manage.work_off(inbox, stop=_after(2)) == [request.name] * 2
    view = look.find(request.name)
    assert view.state == "WAITING_FOR_DATA" and view.deadline > time.time()
    request.needs.write_text("")
    with Inbox() as inbox:
        assert manage.work_off(inbox) == [request.name]
    assert look.find(request.name).state == "DONE"
    other = toy(tmp_path / "two", needs=tmp_path / "no.txt", wait_until=time.time() + 60)
    with Inbox() as inbox:
        inbox.submit(other.info())
        manage.work_off(inbox, stop=_after(1))
    assert manage.cancel(look.find(other.name)).state == "CANCELLED"
    with Inbox() as inbox:
        assert manage.work_off(inbox) == []


def _after(count: int) -> StopToken:
    """A token that asks for the end at the look after so many."""
    token, looks = StopToken(), []

    def look() -> bool:
        looks.append(1)
        if len(looks) > count:
            token.request(StopReason.SHUTDOWN)
        return token.requested

    token.look = look  # type: ignore[method-assign]
    return token


def test_nobody_runs_what_another_one_runs(tmp_path):
    request = toy(tmp_path / "out")
    with Inbox() as inbox:
        inbox.submit(request.info())
        inbox.claim(request.name)
    with pytest.raises(OutputError, match=f"process {os.getpid()}"):
        run(request)
    with Inbox() as inbox:
        assert inbox.take() == ""
        inbox.release(request.name)
    run(request)


def test_a_claim_of_a_process_that_is_gone_counts_for_nothing(tmp_path):
    request = toy(tmp_path / "out")
    with Inbox() as inbox:
        inbox.submit(request.info())
        inbox.claim(request.name)
        inbox.db.execute("UPDATE requests SET driver_born=1, state='RUNNING'")
    view = look.find(request.name)
    assert view.driver_alive is False and view.interrupted
    run(request)
    assert look.find(request.name).state == "DONE"


def test_one_key_one_request(tmp_path):
    first = toy(tmp_path / "out", idempotency_key="<1@mail>", origin="mail", requester="ada")
    again = toy(tmp_path / "out", idempotency_key="<1@mail>", origin="cli", requester="bob")
    run(first)
    assert run(again).cached
    (view,) = look.status()
    assert (view.origin, view.requester) == ("mail", "ada")


@pytest.mark.parametrize(
    ("reason", "error", "state"),
    [
        (StopReason.USER, InterruptedByUser, "PLANNED"),
        (StopReason.SHUTDOWN, InterruptedByUser, "PLANNED"),
        (StopReason.CANCEL, RequestCancelled, "CANCELLED"),
    ],
)
def test_asked_to_stop(tmp_path, reason, error, state):
    token = StopToken()
    token.request(reason)
    request = toy(tmp_path / "out")
    with pytest.raises(error):
        run(request, stop=token)
    view = look.find(request.name)
    assert view.state == state and not view.driver
    assert manage.resume(view).steps["split"].state == "DONE"


def test_the_priority_can_be_changed(tmp_path):
    low, high = toy(tmp_path / "low"), toy(tmp_path / "high")
    with Inbox() as inbox:
        inbox.submit(low.info())
        inbox.submit(high.info())
        manage.prioritise(look.find(high.name), 50)
        assert manage.work_off(inbox) == [high.name, low.name]


@pytest.mark.slow
def test_eight_processes_submit_the_same_200_requests_and_each_runs_once(tmp_path, home):
    program = (
        "import sys; from pathlib import Path\n"
        "from toy import ToyRequest\n"
        "from daybreak.ledger.inbox import Inbox\n"
        "from daybreak.requests.manage import work_off\n"
        "from daybreak.requests.target import TargetSpec\n"
        "base = Path(sys.argv[1])\n"
        "with Inbox() as inbox:\n"
        "    for n in range(200):\n"
        "        name = f'r{n:03d}'\n"
        "        request = ToyRequest(target=TargetSpec(name=name), out=base / name, count=1)\n"
        "        inbox.submit(request.info())\n"
        "    work_off(inbox)\n"
    )
    base = tmp_path / "base"
    everybody = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(base)],
            env=os.environ
            | {"PYTHONPATH": f"{HERE}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in everybody:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
    views = look.status()
    assert len(views) == 200 and {v.state for v in views} == {"DONE"}
    lines = [(base / f"r{n:03d}" / "log.txt").read_text().splitlines() for n in range(200)]
    assert {len(found) for found in lines} == {1}, "each has run once"
    workers = {found[0].split()[0] for found in lines}
    assert len(workers) > 1, "and not all in one process"
    for n in range(200):
        (step, _) = reading.steps(base / f"r{n:03d}", views_by_target(views)[f"r{n:03d}"])
        assert step.attempts == 1


def views_by_target(views):
    return {view.target: view.id for view in views}
