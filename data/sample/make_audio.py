"""Synthesises the sample's sounds: one to two seconds of what one hears in a news clip, from a seed.

Each sound is a few events of its class over room noise; now and then a foreign event is mixed in, as in life.
The constants below set how hard the task is.
"""

from pathlib import Path

import numpy as np
import soundfile

RATE = 16_000  # samples a second
SECONDS = (1.0, 2.0)
NOISE_DECIBELS = (0.0, 20.0)  # signal over room noise
FOREIGN = 0.45  # share of sounds with one event of another class
LEVEL = (0.03, 0.2)  # loudness of the whole, of full scale
STEPS = 256  # levels kept: fewer make smaller files, and FLAC stores the empty bits for nothing


def _time(seconds: float) -> np.ndarray:
    return np.arange(int(seconds * RATE)) / RATE


def _decay(seconds: float, speed: float) -> np.ndarray:
    return np.exp(-speed * _time(seconds))


def _band(pen: np.random.Generator, seconds: float, low: float, high: float) -> np.ndarray:
    """Noise between two frequencies (Hz), of unit spread."""
    spectrum = np.fft.rfft(pen.normal(size=int(seconds * RATE)))
    frequencies = np.fft.rfftfreq(int(seconds * RATE), 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    made = np.fft.irfft(spectrum, int(seconds * RATE))
    return made / (made.std() + 1e-9)


def _tone(seconds: float, pitch: float, overtones: tuple[float, ...] = (1.0,)) -> np.ndarray:
    return sum(a * np.sin(2 * np.pi * pitch * (k + 1) * _time(seconds)) for k, a in enumerate(overtones))


def _scatter(pen: np.random.Generator, seconds: float, event, times: tuple[int, int]) -> np.ndarray:
    """``event`` (a function of the pen) at several random moments, each at another loudness."""
    whole = np.zeros(int(seconds * RATE))
    for _ in range(pen.integers(*times)):
        one = event(pen) * pen.uniform(0.4, 1)
        start = pen.integers(0, max(1, len(whole) - len(one) // 2))
        part = one[: len(whole) - start]
        whole[start : start + len(part)] += part
    return whole


def applause(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Many short claps."""
    return _scatter(pen, seconds, lambda p: _band(p, 0.03, 800, 4000) * _decay(0.03, 120), (40, 140))


def gavel(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Two or three knocks on wood."""
    pitch = pen.uniform(180, 420)
    return _scatter(pen, seconds, lambda p: _tone(0.15, pitch, (1, 0.5, 0.3)) * _decay(0.15, 45) * 3, (2, 4))


def speech(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """A hall's murmur: vowels of one voice, blurred."""
    pitch = pen.uniform(90, 200)
    return _scatter(
        pen, seconds, lambda p: _tone(0.18, pitch * p.uniform(0.9, 1.2), (1, 0.7, 0.5, 0.3)) * np.hanning(2880), (4, 9)
    )


def bell(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """The bell of a trading floor."""
    pitch = pen.uniform(700, 1500)
    return _scatter(pen, seconds, lambda p: _tone(0.6, pitch, (1, 0.1, 0.6, 0.05, 0.4)) * _decay(0.6, 6), (1, 4))


def keys(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Typing on a keyboard."""
    return _scatter(pen, seconds, lambda p: _band(p, 0.02, 1500, 6000) * _decay(0.02, 250) * 1.5, (8, 20))


def coins(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Coins in a drawer."""
    return _scatter(pen, seconds, lambda p: _tone(0.12, p.uniform(2500, 5200), (1, 0.3)) * _decay(0.12, 30), (3, 10))


def hum(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Machines: a mains hum and a fan."""
    return _tone(seconds, pen.uniform(50, 120), (1, 0.6, 0.4, 0.3, 0.2)) + 0.4 * _band(pen, seconds, 200, 1200)


def beeps(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Short pure tones of one pitch."""
    pitch = pen.choice([600, 880, 1000, 1760, 2000])
    return _scatter(pen, seconds, lambda p: _tone(0.1, pitch) * np.hanning(1600), (3, 8))


def chirps(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """A signal that sweeps, as of a modem or a probe."""
    return _scatter(
        pen,
        seconds,
        lambda p: np.sin(2 * np.pi * (p.uniform(400, 1500) + p.uniform(1000, 8000) * _time(0.2)) * _time(0.2)),
        (2, 6),
    )


def crowd(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """A roar that swells and falls."""
    swell = 1 + 0.7 * np.sin(2 * np.pi * pen.uniform(0.3, 1) * _time(seconds) + pen.uniform(0, 6))
    return _band(pen, seconds, 250, pen.uniform(1400, 2600)) * swell


def whistle(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """The referee: a high tone that trembles."""
    pitch, tremble = pen.uniform(2300, 3600), pen.uniform(20, 45)

    def one(p: np.random.Generator) -> np.ndarray:
        length = p.uniform(0.15, 0.5)
        return np.sin(2 * np.pi * pitch * _time(length) + 4 * np.sin(2 * np.pi * tremble * _time(length)))

    return _scatter(pen, seconds, one, (1, 3))


def ball(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """A ball that bounces on a floor."""
    pitch = pen.uniform(70, 160)
    return _scatter(pen, seconds, lambda p: _tone(0.12, pitch, (1, 0.5)) * _decay(0.12, 40) * 3, (3, 7))


def melody(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Plucked strings on a five-tone scale."""
    scale = pen.uniform(220, 440) * 2 ** (np.array([0, 2, 4, 7, 9, 12]) / 12)
    return _scatter(pen, seconds, lambda p: _tone(0.4, p.choice(scale), (1, 0.5, 0.3, 0.2)) * _decay(0.4, 9), (4, 9))


def strings(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Bowed strings: a chord with vibrato."""
    root = pen.uniform(150, 350)
    vibrato = 0.004 * np.sin(2 * np.pi * 5.5 * _time(seconds))
    phase = 2 * np.pi * (_time(seconds) + vibrato / 5)
    return sum(np.sin(root * ratio * k * phase) / k for ratio in (1, 1.26, 1.5) for k in (1, 2, 3, 4))


def drum(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """A drum with a skin."""
    pitch = pen.uniform(60, 140)
    return _scatter(
        pen, seconds, lambda p: (_tone(0.2, pitch) + 0.4 * _band(p, 0.2, 300, 3000)) * _decay(0.2, 25) * 2, (3, 8)
    )


SOUNDS = {
    "时政": (applause, gavel, speech),
    "财经": (bell, keys, coins),
    "科技": (hum, beeps, chirps),
    "体育": (crowd, whistle, ball),
    "文娱": (melody, strings, drum),
}
EVERY_SOUND = tuple(sound for sounds in SOUNDS.values() for sound in sounds)


def _unit(samples: np.ndarray) -> np.ndarray:
    return samples / (np.sqrt(np.mean(samples**2)) + 1e-9)


def _room(pen: np.random.Generator, seconds: float) -> np.ndarray:
    """Room noise of one colour or another."""
    low = pen.uniform(20, 120)
    return _band(pen, seconds, low, pen.uniform(400, 3500)) + 0.3 * _band(pen, seconds, low, 300)


def synthesise(label: str, generic: bool, seed: int) -> np.ndarray:
    """One sound of ``label``, or only room noise where ``generic``; float32 in [-1, 1], shape (n_samples,), 16 kHz."""
    pen = np.random.default_rng(seed)
    seconds = round(pen.uniform(*SECONDS), 2)
    room = _unit(_room(pen, seconds))
    whole = room
    if not generic:
        sounds = SOUNDS[label]
        chosen = pen.permutation(len(sounds))[: pen.integers(1, 3)]
        signal = sum(_unit(sounds[i](pen, seconds)) for i in chosen)
        if pen.random() < FOREIGN:
            signal = signal + _unit(pen.choice(EVERY_SOUND)(pen, seconds)) * pen.uniform(0.5, 1.2)
        whole = _unit(signal) * 10 ** (pen.uniform(*NOISE_DECIBELS) / 20) + room
    whole = whole / np.abs(whole).max() * pen.uniform(*LEVEL) * 2
    return (np.round(np.clip(whole, -1, 1) * STEPS) / STEPS).astype(np.float32)


def write_audio(rows, folder: Path) -> None:
    """Write one FLAC a row of ``rows``: (name, label, generic, seed)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, label, generic, seed in rows:
        soundfile.write(
            folder / f"{name}.flac", synthesise(label, generic, seed), RATE, subtype="PCM_16", compression_level=1.0
        )
