"""Sounds: read in blocks, so that memory stays bounded, and told what is wrong before and while they are decoded.

Notebook 01_explore tells the story.
"""

import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import soxr

RATE = 16_000  # samples a second that every sound is brought to
MOST_SECONDS = 600.0  # a longer sound is refused before decoding
MOST_SAMPLES = 150_000_000  # of all channels, before or after that; beyond this, too
LEAST_RATE, MOST_RATE = 100, 1_000_000  # Hz; what lies outside is no recorder's rate but a broken header
LOUDEST = 1e12  # times full scale; beyond this the energy is no finite number any more
SILENT = -60  # decibels below full scale; a stretch below this is silence
FACTS = ("rate", "seconds", "loudness", "clipped", "silent")
_STRETCH = 0.02  # seconds that are silent or not as a whole
_BLOCK = 4_000_000  # samples of all channels in memory at a time
_CANCELLED = 0.02  # power of the mean by that of a channel, times channels; independent channels have 1
_LOST_BYTES, _LOST_SHARE = 64, 0.02  # by which headers of whole files may be off
_STREAMED = 0x7F000000  # sizes from here on are written by programs that don't know the length yet
_NOT_READ = (  # where in the file, and what stands there: M4A and MP4, WMA, WebM, AMR, WavPack, Monkey's Audio, MIDI
    (4, b"ftyp"), (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b"\x1a\x45\xdf\xa3"), (0, b"#!AMR"), (0, b"wvpk"),
    (0, b"MAC "), (0, b"MThd"), (0, b"DSD "), (0, b"\xff\xf1"), (0, b"\xff\xf9"),
)  # fmt: skip
_FAULTS = (soundfile.SoundFileError, RuntimeError, OSError, TypeError, ValueError, OverflowError, struct.error)


def read_audio(path: str | Path) -> np.ndarray:
    """The sound as mono samples at 16 kHz, float32, shape (n_samples,); channels are averaged.

    Where they cancel each other, as when one was recorded the wrong way round, the loudest channel stands for all.
    """
    with _opened(path) as sound:
        return _at_rate(_averaged(sound), sound.samplerate)


def refused_by_header(path: str | Path, most_seconds: float) -> str:
    """The reason code for a sound whose header alone speaks against it; "" for others, and for what is no sound."""
    try:
        with _opened(path) as sound:
            return _refused_by_header(sound, most_seconds)
    except _FAULTS:
        return ""


def examine(path: str) -> tuple[str, dict[str, float]]:
    """The reason code, and the facts where it is "": one decoding, block by block, serves both."""
    try:
        with _opened(path) as sound:
            reason = _refused_by_header(sound, np.inf) or ("AUDIO_CUT" if _lacks_bytes(path) else "")
            return (reason, {}) if reason else _decoded(sound)
    except _FAULTS:
        return ("AUDIO_NOT_READ" if _not_read(path) else "AUDIO_BROKEN"), {}


def _refused_by_header(sound: soundfile.SoundFile, most_seconds: float) -> str:
    frames, rate = sound.frames, sound.samplerate
    if not frames:
        return "AUDIO_EMPTY"
    if not LEAST_RATE <= rate <= MOST_RATE:
        return "AUDIO_RATE"
    if frames * max(sound.channels, RATE / rate) > MOST_SAMPLES:
        return "AUDIO_TOO_LARGE"
    return "AUDIO_TOO_LONG" if frames > most_seconds * rate else ""


@contextmanager
def _opened(path: str | Path) -> Iterator[soundfile.SoundFile]:
    if Path(path).suffix.lower() == ".raw":
        raise ValueError(f"{path} holds samples without a header, which says neither rate nor width.")
    with soundfile.SoundFile(path) as sound:
        yield sound


def _blocks(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The samples from the first to the last, in blocks of whole stretches, float32, shape (n_frames, n_channels)."""
    stretch = max(1, round(_STRETCH * sound.samplerate))
    frames = max(1, _BLOCK // sound.channels // stretch) * stretch
    sound.seek(0)
    while len(block := sound.read(frames, dtype="float32", always_2d=True)):
        yield block


def _averaged(sound: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """The sound as one channel, block by block, float32, shape (n_frames,)."""
    short = sound.frames * sound.channels <= _BLOCK  # decoded once, as all of it may stay in memory
    blocks = list(_blocks(sound)) if short else None
    loudest = _loudest_of_cancelled(blocks or _blocks(sound), sound.channels) if sound.channels > 1 else None
    for block in blocks or _blocks(sound):
        yield block.mean(axis=1) if loudest is None else np.ascontiguousarray(block[:, loudest])


def _loudest_of_cancelled(blocks: Iterable[np.ndarray], channels: int) -> int | None:
    """The loudest channel where the mean of all has next to nothing left of them; else None."""
    mono, power = 0.0, np.zeros(channels)
    for block in blocks:
        mono += np.square(block.mean(axis=1), dtype=np.float64).sum()
        power += np.square(block, dtype=np.float64).sum(axis=0)
    return int(power.argmax()) if mono * channels < _CANCELLED * power.mean() else None


def _at_rate(blocks: Iterator[np.ndarray], rate: int) -> np.ndarray:
    """The blocks as one sound at 16 kHz; resampled as one, they never lie in memory at their own rate."""
    made = [np.zeros(0, np.float32)]
    if rate == RATE:
        return np.concatenate([*made, *blocks])
    stream = soxr.ResampleStream(rate, RATE, 1, dtype="float32")
    made += [stream.resample_chunk(block) for block in blocks]
    return np.concatenate([*made, stream.resample_chunk(made[0], last=True)])


def _decoded(sound: soundfile.SoundFile) -> tuple[str, dict[str, float]]:
    stretch, frames, power, clipped, silent, stretches = max(1, round(_STRETCH * sound.samplerate)), 0, 0.0, 0, 0, 0
    for block in _blocks(sound):
        if not np.abs(block).max() < LOUDEST:  # holds for a NaN, too
            return "AUDIO_NOT_FINITE", {}
        energy = np.square(block).mean(axis=1)
        starts = np.arange(0, len(energy), stretch)
        levels = np.add.reduceat(energy, starts) / np.diff(starts, append=len(energy))
        frames, stretches = frames + len(block), stretches + len(levels)
        power, clipped = power + energy.sum(dtype=np.float64), clipped + (np.abs(block) > 0.999).sum()
        silent += (_decibels(levels) < SILENT).sum()
    if not frames:
        return "AUDIO_EMPTY", {}
    if frames < (1 - _LOST_SHARE) * sound.frames and sound.frames - frames > sound.samplerate / 10:
        return "AUDIO_CUT", {}
    loudness, clipped = _decibels(power / frames), clipped / (frames * sound.channels)
    found = (sound.samplerate, frames / sound.samplerate, float(loudness), float(clipped), float(silent / stretches))
    return "", dict(zip(FACTS, found, strict=True))


def _decibels(power):
    return 10 * np.log10(power + 1e-20)


# --- What the file's own bytes say --------------------------------------------------------------------


def _lacks_bytes(path: str) -> bool:
    """Does a WAV, RF64, W64, AIFF, AU or CAF end before its header says? libsndfile reads it as if it were shorter."""
    with Path(path).open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
            promised = _chunk(file, b"data", "<" if head[:4] == b"RIFF" else ">")
        elif head[:4] == b"FORM":
            promised = _chunk(file, b"SSND", ">")
        elif head[:4] == b".snd":
            file.seek(struct.unpack(">I", head[4:8])[0])
            promised = struct.unpack(">I", head[8:12])[0]
        elif head[:4] == b"RF64" and _chunk(file, b"ds64", "<"):
            promised = int.from_bytes(file.read(28)[8:16], "little")
            file.seek(12)
            _chunk(file, b"data", "<")
        elif head[:4] == b"caff":
            file.seek(8)
            promised = _chunk(file, b"data", ">", "q")  # -1 where it was not known
        elif head[:4] == b"riff":  # W64: as a WAV, but for names and sizes, which have more bytes
            promised = _wide_chunk(file, b"data")
        else:
            return False
        left = os.fstat(file.fileno()).st_size - file.tell()
    streamed = _STREAMED <= promised < 2**32 and head[:4] != b"RF64"
    return left + _LOST_BYTES < promised and not streamed


def _chunk(file, name: bytes, order: str, width: str = "I") -> int:
    """The size of the chunk ``name``, and ``file`` at its beginning; 0 where there is none."""
    n_bytes = 4 + struct.calcsize(f"{order}{width}")
    while len(head := file.read(n_bytes)) == n_bytes:
        size = struct.unpack(f"{order}{width}", head[4:])[0]
        if head[:4] == name:
            return size
        if size < 0:
            return 0
        file.seek(min(size + (size % 2 if width == "I" else 0), 2**62), os.SEEK_CUR)
    return 0


def _wide_chunk(file, name: bytes) -> int:
    """As ``_chunk`` of a W64, whose names have 16 bytes and whose sizes count their own 24 bytes."""
    file.seek(40)
    while len(head := file.read(24)) == 24:
        size = int.from_bytes(head[16:], "little")
        if head[:4] == name:
            return max(size - 24, 0)
        if not 24 <= size < 2**62:
            return 0
        file.seek(-(-size // 8) * 8 - 24, os.SEEK_CUR)
    return 0


def _not_read(path: str) -> bool:
    """Is it a sound, as its first bytes say, of a kind that libsndfile doesn't read?"""
    if Path(path).suffix.lower() in (".raw", ".pcm"):
        return Path(path).is_file()
    try:
        with Path(path).open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return any(head[place:].startswith(mark) for place, mark in _NOT_READ)
