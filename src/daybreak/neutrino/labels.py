"""What a reader of a scan must know before the numbers."""

from __future__ import annotations

from daybreak.neutrino.event import Event
from daybreak.neutrino.result import ScanOutcome

FEW_DOMS = 60

_CALIBRATIONS = {
    "wilks": (
        "uncalibrated",
        "The contours assume Wilks' theorem and are too small for real events.",
    ),
    "millipede": (
        "foreign-calibration",
        "The contours use levels that were found for another likelihood (Millipede).",
    ),
}
_OWN = {
    "contained": "The event starts or ends inside the detector; a track scan may be far off.",
    "few-doms": f"Fewer than {FEW_DOMS} DOMs are left after the alert's cleaning: the direction "
    "may be off by many degrees.",
}


def labels(
    event: Event, n_doms: int, result: ScanOutcome, *, forced: str, region: bool
) -> list[tuple[str, str]]:
    """Short names, and a sentence each.

    Parameters
    ----------
    event
        The event, with its own labels.
    n_doms
        DOMs with pulses that the likelihood uses.
    result
        The scan.
    forced
        Why the event should not have been scanned, where that was asked for; else empty.
    region
        Only a part of the sky was looked at.
    """
    found = []
    if not result.complete:
        found.append(
            (
                "partial",
                "The scan was stopped before its end: best fit, contours and maps are those of the "
                "pixels so far. The same command goes on from there.",
            )
        )
    if forced:
        found.append(
            (
                "contained",
                f"This is no track that can be scanned: {forced}. It was scanned on request; "
                "direction and contours mean nothing for such an event.",
            )
        )
    if n_doms < FEW_DOMS:
        found.append(
            (
                "few-doms",
                f"Only {n_doms} DOMs were hit (fewer than {FEW_DOMS}): the direction may be off by "
                "many degrees.",
            )
        )
    if region:
        found.append(
            ("region", "Only a part of the sky was scanned; minima outside it are not seen.")
        )
    if result.complete and any(not c.closed for c in result.contours):
        found.append(
            (
                "open-contour",
                "A contour reaches pixels that were not looked at with the finest nside; its "
                "outline is rough there, or ends where the scan did.",
            )
        )
    if result.calibration.name in _CALIBRATIONS:
        found.append(_CALIBRATIONS[result.calibration.name])
    known = {name for name, _ in found}
    own = [label for label in event.labels if label not in known]
    return found + [
        (label, _OWN.get(label, f"The event carries this label: {label}.")) for label in own
    ]
