"""Events of one telescope, gathered until there are enough for a batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import RunDataError


@dataclass
class TelescopeBuffer:
    """Calibrated waveforms of one telescope's events, with what is still to be applied to them.

    Attributes
    ----------
    tel_id
        Of the telescope.
    obs_ids, event_ids
        Of the events.
    waveforms
        One array per event, shape (pixels, samples), in photo-electrons per ns.
    time_shift_ns, factor
        Per event and pixel: subtracted from times, multiplied to charges; None where there is
        nothing to do.
    broken
        Pixels that gave no signal, per event.
    channel
        Gain channel that was selected, per event and pixel; None where there is one only.
    """

    tel_id: int
    obs_ids: list[int] = field(default_factory=list)
    event_ids: list[int] = field(default_factory=list)
    waveforms: list[NDArray[np.float32]] = field(default_factory=list)
    time_shift_ns: list[NDArray[np.float32] | None] = field(default_factory=list)
    factor: list[NDArray[np.float32] | None] = field(default_factory=list)
    broken: list[NDArray[np.bool_]] = field(default_factory=list)
    channel: list[NDArray[np.int8] | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.event_ids)

    def take(self, event: Any) -> None:
        """Add an event's waveforms.

        Parameters
        ----------
        event
            Of a ctapipe EventSource, with R1 or DL0 data of this telescope.

        Raises
        ------
        RunDataError
            If two gain channels are left: which one counts has to be chosen before.
        """
        data = event.r1.tel.get(self.tel_id) or event.dl0.tel.get(self.tel_id)
        waveform = np.asarray(data.waveform)
        if waveform.ndim == 3 and len(waveform) > 1:
            raise RunDataError(
                f"telescope {self.tel_id} has {len(waveform)} gain channels in each event",
                "Use an event source that selects one.",
            )
        waveform = waveform[0] if waveform.ndim == 3 else waveform
        n_pixels = len(waveform)
        calibration = event.monitoring.tel[self.tel_id].camera.coefficients
        channel, pixel = data.selected_gain_channel, np.arange(n_pixels)

        def chosen(values: Any) -> NDArray[np.float32] | None:
            if values is None:
                return None
            values = np.asarray(values, dtype=np.float32)
            if values.ndim == 2:
                values = values[channel, pixel] if channel is not None else values[0]
            return np.asarray(values, dtype=np.float32)

        pedestal = chosen(calibration.pedestal_offset)
        if pedestal is not None:
            waveform = waveform - pedestal[:, None]
        mask = calibration.outlier_mask
        broken = np.zeros(n_pixels, dtype=bool)
        if mask is not None:
            rows = np.atleast_2d(mask)
            broken = rows[channel, pixel] if channel is not None and len(rows) > 1 else rows[0]
        self.obs_ids.append(int(event.index.obs_id))
        self.event_ids.append(int(event.index.event_id))
        self.waveforms.append(waveform.astype(np.float32, copy=False))
        self.time_shift_ns.append(chosen(calibration.time_shift))
        self.factor.append(chosen(calibration.factor))
        self.broken.append(broken)
        self.channel.append(channel)

    def clear(self) -> None:
        """Forget the events."""
        for values in (
            self.obs_ids, self.event_ids, self.waveforms, self.time_shift_ns, self.factor,
            self.broken, self.channel,
        ):  # fmt: skip
            values.clear()
