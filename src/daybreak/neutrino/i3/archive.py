"""The portable binary archive in which frame objects are written (little endian, bounded).

Layout as measured on public files: sizes are 32 bits (64 after an escape), a class is preceded by
its tracking flag and version the first time it occurs in an archive, and a tracked object by its
number. Nothing is allocated for a size that the rest of the blob can't hold.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daybreak.errors import EventError

_U16, _U32, _U64 = struct.Struct("<H"), struct.Struct("<I"), struct.Struct("<Q")
_I16, _I32, _I64 = struct.Struct("<h"), struct.Struct("<i"), struct.Struct("<q")
_F32, _F64 = struct.Struct("<f"), struct.Struct("<d")
_LONG = 0xFFFFFFFF
MAX_ITEMS = 200_000


class Archive:
    """A reader that walks over the bytes of one archive.

    Parameters
    ----------
    data
        The bytes, from the start of the archive.
    what
        Frame and key, for messages.

    Raises
    ------
    EventError
        By every method, where the bytes end too soon or can't be right.
    """

    def __init__(self, data: bytes | memoryview, what: str) -> None:
        self.data = bytes(data)
        self.what = what
        self.at = 0
        self._classes: dict[str, tuple[bool, int]] = {}
        self._n_objects = 0
        self._spent = 0

    def fail(self, why: str) -> EventError:
        """Return the error to raise, naming frame, key and offset.

        Parameters
        ----------
        why
            What is wrong.
        """
        return EventError(
            f"{self.what}: {why} (byte {self.at} of {len(self.data)})",
            "The file is damaged, or written by software whose format is not supported.",
        )

    @property
    def left(self) -> int:
        """Number of bytes not read yet."""
        return len(self.data) - self.at

    def _one(self, kind: struct.Struct) -> Any:
        try:
            (value,) = kind.unpack_from(self.data, self.at)
        except struct.error:
            raise self.fail("the data end too soon") from None
        self.at += kind.size
        return value

    def u8(self) -> int:
        """Read an unsigned byte (also: bool)."""
        if self.at >= len(self.data):
            raise self.fail("the data end too soon")
        self.at += 1
        return self.data[self.at - 1]

    def u16(self) -> int:
        """Read an unsigned 16-bit number."""
        return int(self._one(_U16))

    def i16(self) -> int:
        """Read a signed 16-bit number."""
        return int(self._one(_I16))

    def u32(self) -> int:
        """Read an unsigned 32-bit number."""
        return int(self._one(_U32))

    def u64(self) -> int:
        """Read an unsigned 64-bit number."""
        return int(self._one(_U64))

    def i32(self) -> int:
        """Read a signed 32-bit number (also: enum)."""
        return int(self._one(_I32))

    def i64(self) -> int:
        """Read a signed 64-bit number."""
        return int(self._one(_I64))

    def f32(self) -> float:
        """Read a 32-bit float."""
        return float(self._one(_F32))

    def f64(self) -> float:
        """Read a 64-bit float."""
        return float(self._one(_F64))

    def take(self, n: int) -> bytes:
        """Read `n` bytes.

        Parameters
        ----------
        n
            Number of bytes.
        """
        if n < 0 or n > self.left:
            raise self.fail(f"{n} bytes are announced and {self.left} are left")
        self.at += n
        return self.data[self.at - n : self.at]

    def size(self, item_bytes: int = 1) -> int:
        """Read a count of items that take at least `item_bytes` each.

        Parameters
        ----------
        item_bytes
            Fewest bytes of an item: more items than fit in what is left are refused.
        """
        n = self.u32()
        if n == _LONG:
            n = self.u64()
        if n * item_bytes > self.left:
            raise self.fail(f"{n} items are announced and {self.left} bytes are left")
        return n

    def count(self, item_bytes: int, cost: int = 1) -> int:
        """Read a count of items that are read one by one; an archive may hold only so many.

        Parameters
        ----------
        item_bytes
            How many bytes an item takes at least.
        cost
            How many simple items reading one of them costs.
        """
        n = self.size(item_bytes)
        self.spend(n * cost)
        return n

    def spend(self, cost: int) -> None:
        """Count what is read item by item, and refuse an object that would take seconds.

        Parameters
        ----------
        cost
            How much it is.
        """
        self._spent += cost
        if self._spent > MAX_ITEMS:
            raise self.fail(f"an object of more than {MAX_ITEMS} items is not supported")

    def string(self) -> str:
        """Read a text."""
        return self.take(self.size()).decode("utf-8", errors="replace")

    def array(self, dtype: Any, n: int | None = None) -> NDArray[Any]:
        """Read `n` packed items (or as many as a size in front says) as an array.

        Parameters
        ----------
        dtype
            Type of the items.
        n
            Number of items.
        """
        kind = np.dtype(dtype)
        count = self.size(kind.itemsize) if n is None else n
        return np.frombuffer(self.take(count * kind.itemsize), dtype=kind)

    def enter(self, name: str, versions: Sequence[int] = (0,), *, repeated: bool = False) -> int:
        """Begin an object of a class and return the version it was written with.

        Parameters
        ----------
        name
            Name of the class.
        versions
            Versions that are known.
        repeated
            The class may stand here more than once.

        Raises
        ------
        EventError
            The version is not among `versions`, or the object refers to an earlier one
            (which does no harm where the class is empty: `repeated`).
        """
        known = self._classes.get(name)
        if known is None:
            known = self._preamble(name, versions)
        if known[0]:
            self._object(name, repeated)
        return known[1]

    def _preamble(self, name: str, versions: Sequence[int]) -> tuple[bool, int]:
        flag, version = self.u8(), self.u8()
        if version == 0xFF:
            version = self.u64()
        if flag > 1:
            raise self.fail(f"{name} has the tracking flag {flag}")
        if version not in versions:
            raise self.fail(f"{name} has version {version}, which is not supported")
        self._classes[name] = (bool(flag), version)
        return self._classes[name]

    def _object(self, name: str, repeated: bool) -> None:
        number = self.u32()
        if number < self._n_objects and not repeated:
            raise self.fail(f"{name} refers to object {number}, which is not supported")
        if number > self._n_objects:
            raise self.fail(f"{name} is object {number} where {self._n_objects} is the next")
        self._n_objects = max(self._n_objects, number + 1)

    def records(self, name: str, n: int, versions: Mapping[int, np.dtype[Any]]) -> NDArray[Any]:
        """Read `n` > 0 objects of a class that holds plain numbers only.

        Parameters
        ----------
        name
            The class.
        n
            How many.
        versions
            The packed layout of each supported version.
        """
        if name not in self._classes:
            self._preamble(name, tuple(versions))
        tracked, version = self._classes[name]
        layout = versions[version]
        if not tracked:
            return self.array(layout, n)
        found = self.array([("object", "<u4"), ("value", layout)], n)
        if (found["object"] != self._n_objects + np.arange(n)).any():
            raise self.fail(f"the objects of class {name} are not numbered in order")
        self._n_objects += n
        return found["value"]

    def base(self) -> None:
        """Read the empty base object that every frame object begins with."""
        self.enter("I3FrameObject", repeated=True)

    def end(self) -> None:
        """Check that everything has been read.

        Raises
        ------
        EventError
            Bytes are left over.
        """
        if self.left:
            raise self.fail(f"{self.left} bytes are left over")


def open_object(data: bytes | memoryview, what: str) -> tuple[Archive, str]:
    """Begin the blob of a frame object, and return its export name (empty: a null pointer).

    Parameters
    ----------
    data
        The bytes.
    what
        What it is, for messages.
    """
    archive = Archive(data, what)
    archive.enter("shared_ptr<I3FrameObject>", (1,))
    if archive.i16() < 0:
        return archive, ""
    return archive, archive.string()
