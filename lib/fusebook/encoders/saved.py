"""TODO."""

from pathlib import Path

from fusebook import runs
from fusebook.encoders.audio import AudioEncoder
from fusebook.encoders.image import ImageEncoder
from fusebook.encoders.text import TextEncoder

ENCODERS = {"audio": AudioEncoder, "image": ImageEncoder, "text": TextEncoder}


def save_encoders(folder: Path, encoders: dict) -> None:
    """Write all encoders to ``folder``, whole."""
    with runs.replacing(folder) as beside:
        for encoder in encoders.values():
            encoder.save(beside)


def load_encoders(folder: Path, modalities: list[str]) -> dict:
    """Read the encoders of ``modalities`` from ``folder``."""
    return {name: ENCODERS[name].load(folder) for name in sorted(modalities)}
