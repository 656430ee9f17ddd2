"""How blocks of zfits files are packed: each step undone in turn, within given limits.

The steps are numbered as in ``FitsDefs.h`` of ADH (CTA), which took over the first three from
FACT. What a step does is told there in code only; the layout of the code table is that of FACT's
``huffman.h``: number of values (8 bytes), number of symbols (8), then per symbol its value (2), the
length of its code in bits (1) and the code itself in whole bytes, lowest bit first.
"""

from __future__ import annotations

import zlib

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

RAW, SMOOTHING, HUFFMAN16, DIFF, DOUBLE_DIFF, SPLIT16 = range(6)
ZLIB, HALFMAN16, SPLIT32, OFFSET128, ZSTD = 7, 12, 14, 16, 23
#: what other programs call those that are not undone here
NOT_READ = {8: "Huffman by row", 9: "LZO", 10: "Rice", 21: "lossy 16 bit", 22: "lossy 32 bit"}
#: most bytes of an unpacked block: 2000 events of DigiCam in one tile
MAX_BLOCK = 256 << 20
_FAST_BITS = 12
_FAULTS = {
    -1: "its code table is cut or senseless",
    -2: "its code table is ambiguous",
    -3: "it holds a code that is not in its table",
    -4: "it ends early",
    -5: "it is longer than what it says",
}


class BlockError(ValueError):
    """A block can't be unpacked; the text says why."""


def unpack_block(packed: Bytes, steps: tuple[int, ...], limit: int) -> Bytes:
    """Undo the steps by which a block was packed.

    Parameters
    ----------
    packed
        Bytes of the block without its header.
    steps
        Numbers of the steps in the order in which they were done.
    limit
        Most bytes that the unpacked block may have; nothing larger is allocated. It is never more
        than `MAX_BLOCK`.

    Returns
    -------
    numpy.ndarray
        The unpacked bytes.

    Raises
    ------
    BlockError
        If the block is damaged, too large, or packed in a way that is not read here.
    """
    data, limit = packed, min(limit, MAX_BLOCK)
    for step in reversed(steps):
        if step == RAW:
            pass
        elif step == ZLIB:
            data = _inflate(data, limit)
        elif step == ZSTD:
            data = _unzstd(data, limit)
        elif step == HUFFMAN16:
            data = _huffman(data, limit)
        elif step == HALFMAN16:
            data = _two_huffman(data, limit)
        elif step in {SMOOTHING, DIFF, DOUBLE_DIFF, OFFSET128}:
            data = _shorts(data, step)
        elif step in {SPLIT16, SPLIT32}:
            data = _merge(data, 1 if step == SPLIT16 else 2)
        else:
            raise BlockError(f"it is packed by step {step} ({NOT_READ.get(step, 'unknown')})")
        if len(data) > limit:
            raise BlockError(f"it is larger than {limit} bytes")
    return data


def _inflate(data: Bytes, limit: int) -> Bytes:
    engine = zlib.decompressobj()
    try:
        out = engine.decompress(data.tobytes(), limit + 1)
    except zlib.error as error:
        raise BlockError("its zlib stream is damaged") from error
    if len(out) <= limit and not engine.eof:
        raise BlockError("its zlib stream ends early")
    return np.frombuffer(out, np.uint8)


def _unzstd(data: Bytes, limit: int) -> Bytes:
    import zstandard

    packed = data.tobytes()
    try:
        size = zstandard.get_frame_parameters(packed).content_size
        if size > limit and size < 1 << 63:
            raise BlockError(f"it is larger than {limit} bytes")
        out = zstandard.ZstdDecompressor().decompress(packed, max_output_size=limit)
    except (zstandard.ZstdError, MemoryError) as error:
        raise BlockError("its zstd stream is damaged") from error
    return np.frombuffer(out, np.uint8)


def _merge(data: Bytes, width: int) -> Bytes:
    """Low and high halves of all words, which stand one after the other, become words again."""
    if len(data) % (2 * width):
        raise BlockError("its size is no whole number of words")
    return np.ascontiguousarray(data.reshape(2, -1, width).swapaxes(0, 1)).reshape(-1)


def _shorts(data: Bytes, step: int) -> Bytes:
    if len(data) % 2:
        raise BlockError("its size is no whole number of words")
    words = (data if data.flags.writeable else data.copy()).view("<i2")
    if step == SMOOTHING:
        _unsmooth(words)
    elif step == OFFSET128:
        words -= np.int16(128)
    else:
        for _ in range(1 if step == DIFF else 2):
            _undiff(words)
    return words.view(np.uint8)


def _two_huffman(data: Bytes, limit: int) -> Bytes:
    if len(data) < 8:
        raise BlockError(_FAULTS[-4])
    first, second = (int(n) for n in data[:8].view("<u4"))
    if first + second > len(data) - 8:
        raise BlockError(_FAULTS[-4])
    parts = (data[8 : 8 + first], data[8 + first : 8 + first + second])
    return np.concatenate([_decode(part, limit) for part in parts])


def _huffman(data: Bytes, limit: int) -> Bytes:
    if len(data) < 4:
        raise BlockError(_FAULTS[-4])
    size = int(data[:4].view("<u4")[0])
    if size > len(data) - 4:
        raise BlockError(_FAULTS[-4])
    return _decode(data[4 : 4 + size], limit)


def _decode(data: Bytes, limit: int) -> Bytes:
    """Values of one Huffman stream, with its table in front."""
    if len(data) < 16:
        raise BlockError(_FAULTS[-4])
    n_values, n_symbols = (int(n) for n in data[:16].view("<u8"))
    if not n_values:
        return np.zeros(0, np.uint8)
    if 2 * n_values > limit:
        raise BlockError(f"it is larger than {limit} bytes")
    if not 1 <= n_symbols <= 1 << 16 or (n_symbols > 1 and n_values > 8 * len(data)):
        raise BlockError(_FAULTS[-1])
    if n_symbols == 1:
        if len(data) < 18:
            raise BlockError(_FAULTS[-4])
        return np.full(n_values, data[16:18].view("<u2")[0], "<u2").view(np.uint8)
    out = np.empty(n_values, np.uint16)
    fault = _huffman_values(data, 16, n_symbols, out)
    if fault:
        raise BlockError(_FAULTS[fault])
    return out.view(np.uint8)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _unsmooth(words: NDArray[np.int16]) -> None:
    for i in range(2, len(words)):
        both = int(words[i - 1]) + int(words[i - 2])
        half = both // 2 if both >= 0 else -((-both) // 2)
        words[i] = np.int16((int(words[i]) + half + 32768) % 65536 - 32768)


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _code_table(
    data: Bytes,
    at: int,
    n_symbols: int,
    fast: NDArray[np.uint32],
    child: NDArray[np.int32],
) -> int:
    """Tree of codes (`child`: inner nodes positive, leaves minus one minus symbol) and a short cut.

    Returns where the stream begins, or the (negative) fault.
    """
    nodes = 1
    for _ in range(n_symbols):
        if at + 3 > len(data):
            return -1
        symbol = np.int64(data[at]) | (np.int64(data[at + 1]) << 8)
        length = np.int64(data[at + 2])
        at += 3
        size = (length + 7) // 8
        if length < 1 or length > 56 or at + size > len(data):
            return -1
        code = np.int64(0)
        for k in range(size):
            code |= np.int64(data[at + k]) << (8 * k)
        at += int(size)
        node = np.int64(0)
        for bit in range(length):
            side = 2 * node + ((code >> bit) & 1)
            if bit == length - 1:
                if child[side] != 0:
                    return -2
                child[side] = -1 - symbol
            elif child[side] < 0:
                return -2
            else:
                if child[side] == 0:
                    if nodes == len(child) // 2:
                        return -1
                    child[side] = nodes
                    nodes += 1
                node = np.int64(child[side])
        if length <= _FAST_BITS:
            code &= (1 << length) - 1
            for high in range(1 << (_FAST_BITS - length)):
                fast[code | (high << length)] = np.uint32((symbol << 8) | length)
    return at


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _huffman_values(data: Bytes, at: int, n_symbols: int, out: NDArray[np.uint16]) -> int:
    """Decode; 0, or the (negative) fault."""
    fast = np.zeros(1 << _FAST_BITS, np.uint32)
    child = np.zeros(2 * (2 * n_symbols + 64), np.int32)
    at = _code_table(data, at, n_symbols, fast, child)
    if at < 0:
        return at
    pairs = _pair_table(fast)
    end, n_values = len(data), len(out)
    held, n_held = np.uint64(0), np.int64(0)
    mask = np.uint64((1 << _FAST_BITS) - 1)
    i = 0
    while i < n_values:
        if n_held < 32:
            if at + 4 <= end:
                four = np.uint64(data[at]) | (np.uint64(data[at + 1]) << np.uint64(8))
                four |= np.uint64(data[at + 2]) << np.uint64(16)
                four |= np.uint64(data[at + 3]) << np.uint64(24)
                held |= four << np.uint64(n_held)
                n_held += 32
                at += 4
            else:
                while at < end and n_held <= 56:
                    held |= np.uint64(data[at]) << np.uint64(n_held)
                    n_held += 8
                    at += 1
        entry = pairs[held & mask]
        if entry >> np.uint64(40) == 2 and i + 1 < n_values:
            length = np.int64((entry >> np.uint64(32)) & np.uint64(255))
            if length <= n_held:
                held >>= np.uint64(length)
                n_held -= length
                out[i] = np.uint16(entry & np.uint64(65535))
                out[i + 1] = np.uint16((entry >> np.uint64(16)) & np.uint64(65535))
                i += 2
                continue
        single = fast[held & mask]
        if single:
            length = np.int64(single & np.uint32(255))
            if length > n_held:
                return -4
            held >>= np.uint64(length)
            n_held -= length
            out[i] = np.uint16(single >> np.uint32(8))
            i += 1
            continue
        node = np.int64(0)
        while node >= 0:
            if n_held == 0:
                if at >= end:
                    return -4
                held = np.uint64(data[at])
                n_held = np.int64(8)
                at += 1
            node = np.int64(child[2 * node + np.int64(held & np.uint64(1))])
            held >>= np.uint64(1)
            n_held -= 1
            if node == 0:
                return -3
        out[i] = np.uint16(-1 - node)
        i += 1
    return -5 if n_held >= 8 or at < end else 0


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _pair_table(fast: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Two values at once where their codes fit: both, the bits of both, and a two."""
    pairs = np.zeros(len(fast), np.uint64)
    for index in range(len(fast)):
        first = np.int64(fast[index])
        if first == 0:
            continue
        length = first & 255
        second = np.int64(fast[index >> length])
        if second == 0 or length + (second & 255) > _FAST_BITS:
            continue
        length += second & 255
        both = (first >> 8) | ((second >> 8) << 16) | (length << 32) | (2 << 40)
        pairs[index] = np.uint64(both)
    return pairs


@numba.njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def _undiff(words: NDArray[np.int16]) -> None:
    """Running sum in 16 bits, which overflow as they do in the writer."""
    total = np.int64(0)
    for i in range(len(words)):
        total = (total + words[i] + 32768) % 65536 - 32768
        words[i] = total
