"""A kind of request that is quick: two stages, the second made from what the first has made."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from daybreak.errors import NoDataError
from daybreak.ledger.step import Place, Plan, Step
from daybreak.products.layout import product_folder
from daybreak.requests.base import Request, RequestKind
from daybreak.requests.kind import Kind
from daybreak.requests.kinds import register
from daybreak.requests.result import Result
from daybreak.requests.stages import Stage, Stages


class ToyRequest(Request):
    kind: Literal[RequestKind.DAILY] = RequestKind.DAILY
    count: int = 2
    #: a file that has to be there
    needs: Path | None = None


def split(inputs: Mapping[str, Any], outputs: Mapping[str, Path], params: Any, host: Any) -> None:
    """Make as many files as nobody could know before."""
    for number in range(params["count"]):
        (outputs["parts"] / f"{number}.txt").write_text(str(number))
    with (host.root / "log.txt").open("a") as stream:
        stream.write(f"{os.getpid()} {host.request}\n")


def double(inputs: Mapping[str, Any], outputs: Mapping[str, Path], params: Any, host: Any) -> None:
    """Twice a number."""
    outputs["out"].write_text(str(2 * int(inputs["part"].read_text())))


def stages(request: ToyRequest) -> Stages:
    if request.needs is not None and not request.needs.is_file():
        raise NoDataError(f"{request.needs.name} is not there yet")
    parts = request.out / "parts"
    first = Step(
        "split", "toy:split", {}, {"parts": parts}, {"count": request.count},
        folders=frozenset({"parts"}), place=Place.DRIVER,
    )  # fmt: skip
    done = yield Stage(Plan((first,), products={"parts": parts}))
    (folder,) = done.there("parts")
    steps = []
    for path in sorted(folder.glob("*.txt")):
        out = product_folder(request.out, "toy", "2026-11-27", f"part {path.stem}", "tel_001")
        steps.append(
            Step(
                f"double-{path.stem}",
                "toy:double",
                {"part": path},
                {"out": out / "double.txt"},
                place=Place.DRIVER,
            )
        )
    yield Stage(Plan(tuple(steps)))


def result(request: ToyRequest, steps: Any) -> Result:
    return Result(request.out, {}, steps)


TOY = Kind(ToyRequest, stages, result, Result, lambda result: ["done"])
register(RequestKind.DAILY, TOY)
