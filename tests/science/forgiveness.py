"""A good run's file with one keyword or column changed, and what a reduction makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.io import fits

from daybreak.config.analysis import QualityConfig
from daybreak.errors import RunDataError
from daybreak.requests.analysis.request import analysis_request
from daybreak.requests.run import first_stage
from daybreak.science.dl3.files import HduLocation
from daybreak.science.dl3.locate import with_hints
from daybreak.science.observation import Reading, load_run
from daybreak.science.quality import run_flags
from daybreak.science.reduce import reduce_run
from daybreak.science.run import ReducedRun, ReductionSetup
from daybreak.science.stack import total_counts
from daybreak.simulate import simulate_night

BLOCK, CARD = 2880, 80
CHANGES = ("removed", "renamed", "NaN", "zero", "empty", "a text", "huge")
NAMES = ("EVENTS", "GTI", "AEFF", "EDISP", "PSF", "BKG")
#: what a card's value becomes; a header can't hold NaN, a careless writer's text is tried
_VALUES = {"NaN": "'NaN     '", "zero": "0", "empty": "", "a text": "'abc     '", "huge": "1E+30"}


@dataclass(frozen=True)
class Case:
    """One change of one keyword or column."""

    hdu: str
    item: str
    change: str
    is_column: bool

    def __str__(self) -> str:
        return f"{self.hdu} {'column' if self.is_column else 'keyword'} {self.item} {self.change}"


@dataclass(frozen=True)
class Outcome:
    """What became of the run: flags that it has now, or why it was left out."""

    flux: float
    flags: tuple[str, ...] = ()
    said: str = ""
    reason: str = ""


@dataclass(frozen=True)
class _Raw:
    """An HDU as bytes."""

    cards: tuple[bytes, ...]
    data: bytes

    def key(self, number: int) -> str:
        return self.cards[number][:8].decode().strip()

    @property
    def name(self) -> str:
        card = next((c for c in self.cards if c.startswith(b"EXTNAME ")), b"")
        return card[10:].split(b"/")[0].strip().strip(b"'").strip().decode()

    def to_bytes(self) -> bytes:
        head = b"".join([*self.cards, b"END".ljust(CARD)])
        return head + b" " * (-len(head) % BLOCK) + self.data


def _split(content: bytes) -> list[_Raw]:
    out, at = [], 0
    with fits.open(BytesIO(content), memmap=False) as hdus:
        for hdu in hdus:
            info = hdu.fileinfo()
            head = content[at : info["datLoc"]]
            cards = [head[i : i + CARD] for i in range(0, len(head), CARD)]
            end = next(i for i, card in enumerate(cards) if card.startswith(b"END "))
            data = content[info["datLoc"] : info["datLoc"] + info["datSpan"]]
            out.append(_Raw(tuple(cards[:end]), data))
            at = info["datLoc"] + info["datSpan"]
    return out


def _changed_card(raw: _Raw, item: str, change: str) -> _Raw:
    number = next(i for i in range(len(raw.cards)) if raw.key(i) == item)
    cards = list(raw.cards)
    if change == "removed":
        del cards[number]
    elif change == "renamed":
        cards[number] = b"Q" + cards[number][1:]
    else:
        cards[number] = f"{item:<8}= {_VALUES[change]:>20}".ljust(CARD).encode()
    return replace(raw, cards=tuple(cards))


def _changed_column(raw: _Raw, item: str, change: str) -> _Raw:
    with fits.open(BytesIO(_PRIMARY + raw.to_bytes()), memmap=False) as hdus:
        table = hdus[1]
        columns = []
        for column in table.columns:
            if column.name != item:
                columns.append(column)
            elif change != "removed":
                columns.append(_other_column(table, column, change))
        made = fits.BinTableHDU.from_columns(columns, nrows=len(table.data))
        for card in table.header.cards:
            structural = card.keyword[:5] in ("TTYPE", "TFORM", "TUNIT", "TDIM", "NAXIS")
            if card.keyword and not structural and card.keyword not in made.header:
                made.header.append(card)
    stream = BytesIO()
    fits.HDUList([fits.PrimaryHDU(), made]).writeto(stream)
    return _split(stream.getvalue())[1]


def _other_column(table: fits.BinTableHDU, column: fits.Column, change: str) -> fits.Column:
    n, name = len(table.data), column.name
    if change == "renamed":
        return fits.Column("Q" + name[1:], column.format, column.unit, dim=column.dim,
                           array=table.data[name])  # fmt: skip
    if change == "empty":
        return fits.Column(name, "0E", column.unit, array=np.zeros((n, 0), np.float32))
    if change == "a text":
        return fits.Column(name, "3A", array=np.array(["abc"] * n))
    value = {"NaN": np.nan, "zero": 0.0, "huge": 1e30}[change]
    values = np.full(np.shape(table.data[name]), value)
    form = column.format if change == "zero" else f"{max(values.size // max(n, 1), 1)}D"
    return fits.Column(name, form, column.unit, dim=column.dim, array=values)


_PRIMARY = _Raw(
    tuple(
        f"{key:<8}= {value:>20}".ljust(CARD).encode()
        for key, value in (("SIMPLE", "T"), ("BITPIX", "8"), ("NAXIS", "0"))
    ),
    b"",
).to_bytes()


class Forgiveness:
    """A good run, reduced again and again with one thing changed.

    Parameters
    ----------
    folder
        For its files.
    """

    def __init__(self, folder: Path) -> None:
        store = folder / "store"
        simulate_night(store, seed=5, n_runs=1, ontime=15 * u.min, sampler="direct")
        request = analysis_request("Crab", store=store, out=folder / "out")
        (step,) = (s for s in first_stage(request).plan.steps if s.name.startswith("reduce-"))
        setup = ReductionSetup.from_dict(step.params["setup"])
        self.setup = replace(setup, maps=None)
        self.obs_id = step.params["obs_id"]
        self.reading = Reading.from_dict(step.params["reading"])
        self.hints = with_hints(step.params["hdus"])
        path = self.hints["events"].path
        with fits.open(path) as hdus:
            stream = BytesIO()
            hdus.writeto(stream)
        self.raw = _split(stream.getvalue())
        self.file = folder / "run.fits"
        self.good = self.outcome(None)

    def _locations(self) -> dict[str, HduLocation]:
        return {kind: replace(hint, path=self.file) for kind, hint in self.hints.items()}

    def cases(self) -> Iterator[Case]:
        """All of them: each keyword and each column, in each way."""
        for raw in self.raw:
            if raw.name not in NAMES:
                continue
            keys = dict.fromkeys(raw.key(i) for i in range(len(raw.cards)))
            columns = [k for k in keys if k.startswith("TTYPE")]
            for key in keys:
                if key and key not in ("COMMENT", "HISTORY"):
                    yield from (Case(raw.name, key, change, False) for change in CHANGES)
            for key in columns:
                name = self._value(raw, key)
                yield from (Case(raw.name, name, change, True) for change in CHANGES)

    @staticmethod
    def _value(raw: _Raw, key: str) -> str:
        card = next(c for c in raw.cards if c[:8].decode().strip() == key)
        return card[10:].split(b"/")[0].strip().strip(b"'").strip().decode()

    def write(self, case: Case | None) -> None:
        """Write the run's file with a change.

        Parameters
        ----------
        case
            None: as it is.
        """
        parts = []
        for raw in self.raw:
            if case is not None and raw.name == case.hdu:
                change = _changed_column if case.is_column else _changed_card
                raw = change(raw, case.item, case.change)
            parts.append(raw.to_bytes())
        self.file.write_bytes(b"".join(parts))

    def outcome(self, case: Case | None) -> Outcome:
        """Reduce the run with a change.

        Parameters
        ----------
        case
            None: without a change.
        """
        self.write(case)
        try:
            loaded = load_run(self.obs_id, self._locations(), self.reading)
            run = reduce_run(loaded, self.setup)
        except RunDataError as error:
            return Outcome(float("nan"), reason=error.what)
        flags = list(run_flags(run.info, QualityConfig()))
        if "reflected" not in run.backgrounds:
            flags.append("NO_OFF_REGION")
        said = str(run.info["threshold_method"])
        return Outcome(self.flux(run), tuple(flags), said)

    @staticmethod
    def flux(run: ReducedRun) -> float:
        """Excess over what a source of the Crab's kind would give; NaN without OFF regions.

        Parameters
        ----------
        run
            The reduced run.
        """
        if "reflected" not in run.backgrounds:
            return float("nan")
        edges = run.true_edges_tev
        flux = 3.5e-11 / 1.6 * (edges[:-1] ** -1.6 - edges[1:] ** -1.6)
        expected = ((run.exposure_cm2_s * flux) @ run.edisp)[run.mask_safe].sum()
        excess = total_counts([run], "reflected").excess
        return float(excess / expected) if expected > 0 else float("nan")


def verdict(good: Outcome, found: Outcome) -> str:
    """What became of the run in a few words: ``same``, flags, or ``left out``.

    Parameters
    ----------
    good, found
        Without and with the change.
    """
    if found.reason:
        return "left out"
    new = [flag for flag in found.flags if flag not in good.flags]
    if found.said != good.said and not new:
        new = ["threshold by area"]
    return ", ".join(new) or "same"


def table(good: Outcome, outcomes: dict[Case, Outcome]) -> list[str]:
    """The rows of the table in the docs: what has the same verdicts stands in one row.

    Parameters
    ----------
    good
        Without a change.
    outcomes
        By case.
    """
    found: dict[tuple[str, bool, str], dict[str, str]] = {}
    for case, outcome in outcomes.items():
        key = (case.hdu, case.is_column, case.item)
        found.setdefault(key, {})[case.change] = verdict(good, outcome)
    merged: dict[tuple[str, bool, tuple[str, ...]], list[str]] = {}
    for (hdu, is_column, item), verdicts in found.items():
        pattern = tuple(verdicts[change] for change in CHANGES)
        merged.setdefault((hdu, is_column, pattern), []).append(item)
    rows = []
    for (hdu, is_column, pattern), items in sorted(merged.items()):
        what = "column" if is_column else "keyword"
        names = ", ".join(f"`{item}`" for item in sorted(items))
        cells = (word if " " in word or word == "same" else f"`{word}`" for word in pattern)
        rows.append(f"| {hdu} {what} | {names} | {' | '.join(cells)} |")
    return sorted(rows, key=lambda row: NAMES.index(row.split()[1]))
