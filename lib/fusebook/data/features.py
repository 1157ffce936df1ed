"""What the encoders made of the rows: blocks of numbers {"audio": …, "image": …, "text": …}, and which rows have which part.

Notebook 02_preprocess tells the story.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from fusebook import runs

Kinds = dict[str, dict[str, slice]]


def part_of(block: str) -> str:
    """The part that a block of features belongs to: "text" of "text_ngrams"."""
    return block.split("_")[0]


class Features:
    """Blocks of numbers of the same rows, and which rows have which part; rows are cut without a copy until they are read.

    Parameters
    ----------
    blocks : block to values of shape (n_rows, n_features). A block bears the name of its part and holds float32, but for
        those of the n-gram bag: "text_ngrams", numbers of n-grams (int32), and "text_weights"
    present : part to bools of shape (n_rows,); where a row lacks a part, its blocks hold zeros
    ngrams : the whole TF-IDF bag of n-grams, sparse, shape (n_rows, n_ngrams), for linear models; None without text
    kinds : what the text's blocks hold, such as "vectors" and "length", to the columns of each block
    """

    def __init__(
        self, blocks: dict[str, np.ndarray], present: dict[str, np.ndarray], ngrams: sparse.csr_array | None = None,
        kinds: Kinds | None = None, *, chosen: np.ndarray | None = None,
    ):  # fmt: skip
        self._blocks, self._present, self._ngrams = blocks, present, ngrams
        self.kinds, self._chosen = kinds or {}, chosen

    def __getitem__(self, chosen: np.ndarray) -> "Features":
        """Some rows, by bools or positions, in the order given."""
        chosen = np.asarray(chosen)
        if chosen.dtype == bool:
            if chosen.all():
                return self
            chosen = np.flatnonzero(chosen)
        places = chosen if self._chosen is None else self._chosen[chosen]
        return Features(self._blocks, self._present, self._ngrams, self.kinds, chosen=places)

    def __len__(self) -> int:
        return len(next(iter(self._present.values()))) if self._chosen is None else len(self._chosen)

    def _cut(self, values):
        return values if self._chosen is None else values[self._chosen]

    @property
    def blocks(self) -> dict[str, np.ndarray]:
        """Block to values of shape (n_rows, n_features), in the order of their names."""
        return {block: self.block(block) for block in sorted(self._blocks)}

    def block(self, name: str) -> np.ndarray:
        """The values of one block, shape (n_rows, n_features): the others are not cut for it."""
        return self._cut(self._blocks[name])

    @cached_property
    def present(self) -> dict[str, np.ndarray]:
        """Part to bools of shape (n_rows,)."""
        return {part: self._cut(there) for part, there in self._present.items()}

    @property
    def ngrams(self) -> sparse.csr_array | None:
        """The bag of n-grams, sparse, shape (n_rows, n_ngrams), or None."""
        return None if self._ngrams is None else self._cut(self._ngrams)

    @property
    def parts(self) -> list[str]:
        """The parts there are, in the order of their names."""
        return sorted(self._present)

    @property
    def sizes(self) -> dict[str, int]:
        """Block to its number of columns."""
        return {block: values.shape[1] for block, values in sorted(self._blocks.items())}

    @property
    def n_ngrams(self) -> int:
        """Columns of the bag of n-grams, 0 without one."""
        return 0 if self._ngrams is None else self._ngrams.shape[1]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """What an MLP over the blocks takes: they themselves, and ``present`` where there are several parts."""
        blocks = self.blocks
        if len(self.parts) == 1:
            return blocks
        return {**blocks, "present": np.column_stack([self.present[part] for part in self.parts]).astype(np.float32)}

    @property
    def linear(self):
        """What a linear model reads: the bag of n-grams, else all dense blocks side by side, shape (n_rows, n_features)."""
        return self.ngrams if self.ngrams is not None else np.hstack(list(self.blocks.values()))

    def of(self, part: str) -> "Features":
        """The blocks of ``part`` alone, of all rows."""
        blocks = {block: values for block, values in self._blocks.items() if part_of(block) == part}
        ngrams, kinds = (self._ngrams, self.kinds) if part == "text" else (None, {})
        return Features(blocks, {part: self._present[part]}, ngrams, kinds, chosen=self._chosen)

    def without(self, parts: Iterable[str]) -> "Features":
        """The same rows as if they lacked ``parts``."""
        gone = set(parts)
        present = {part: there & (part not in gone) for part, there in self.present.items()}
        ngrams = self.ngrams
        if ngrams is not None and "text" in gone:
            ngrams = sparse.csr_array(ngrams.shape, dtype=ngrams.dtype)
        return Features(_masked(self.blocks, present), present, ngrams, self.kinds)

    def replaced(self, blocks: dict[str, np.ndarray]) -> "Features":
        """The same rows with other values in some blocks."""
        return Features(self.blocks | blocks, self.present, self.ngrams, self.kinds)

    def table(self) -> pd.DataFrame:
        """One line a block: its columns, and how many rows have the part."""
        rows = {block: int(self.present[part_of(block)].sum()) for block in self.sizes}
        return pd.DataFrame({"columns": self.sizes, "rows with the part": rows}).rename_axis("block")

    def save(self, folder: Path) -> None:
        """Write them to ``folder``, whole: one .npz a part, the bag, and where each kind stands."""
        with runs.replacing(folder) as beside:
            beside.mkdir()
            for part in self.parts:
                np.savez(beside / f"{part}.npz", present=self.present[part], **self.of(part).blocks)
            if self.ngrams is not None:
                sparse.save_npz(beside / "ngrams.npz", self.ngrams)
            kinds = self.kinds.items()
            columns = {kind: {block: [each.start, each.stop] for block, each in some.items()} for kind, some in kinds}
            runs.write_json(beside / "kinds.json", columns)

    @classmethod
    def load(cls, folder: Path) -> "Features":
        """Read what ``save`` wrote."""
        blocks, present, bag = {}, {}, folder / "ngrams.npz"
        for file in sorted(set(folder.glob("*.npz")) - {bag}):
            with np.load(file) as saved:
                arrays = dict(saved)
            present[file.stem] = arrays.pop("present")
            blocks |= arrays
        ngrams = sparse.csr_array(sparse.load_npz(bag)) if bag.exists() else None
        kinds = runs.read_json(folder / "kinds.json").items()
        columns = {kind: {block: slice(*ends) for block, ends in some.items()} for kind, some in kinds}
        return cls(blocks, present, ngrams, columns)

    @classmethod
    def of_rows(cls, rows: pd.DataFrame, encoders: dict, *, ngrams: sparse.csr_array | None = None) -> "Features":
        """What fitted ``encoders`` (by part) make of ``rows`` (text, image, audio; "" where absent)."""
        blocks, present = {}, {part: (rows[part] != "").to_numpy() for part in sorted(encoders)}
        for part in present:
            values = encoders[part].transform(rows[part].tolist())
            blocks |= values if isinstance(values, dict) else {part: values}
        kinds = encoders["text"].columns() if "text" in encoders else {}
        return cls(_masked(blocks, present), present, ngrams, kinds)


def _masked(blocks: dict[str, np.ndarray], present: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """``blocks`` with zeros in the rows that lack their part; a block that no row lacks is not copied."""
    made = {}
    for block, values in blocks.items():
        there = present[part_of(block)]
        made[block] = values if there.all() else np.where(there[:, None], values, np.zeros((), values.dtype))
    return made
