"""The manifest of a bundle: which files it has and what is in them, checked before anything is built from them.

A bundle may come from a stranger. Every refusal is a ValueError that names the file, what was found and what was expected.
"""

import hashlib
import json
import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fusebook import runs
from fusebook.data.tables import PARTS

NAME = "manifest.json"
_READ = {".json", ".npz", ".keras"}  # endings of the files that a bundle is read from
_KERAS_MEMBERS = {"metadata.json", "config.json", "model.weights.h5"}
_HEADER = 10_000  # bytes that the header of an array may have
_WHAT_TO_DO = "The bundle is damaged or was changed: take it anew from the run that made it, by `fusebook report`."


def refuse(path: str | Path, found: object, expected: object) -> None:
    """Raise the ValueError that says that ``path`` holds ``found`` where ``expected`` should be."""
    said = str(found).strip().split("\n")[0]
    said = said if len(said) <= 200 else f"{said[:200]}…"
    raise ValueError(f"{path}: found {said}; expected {expected}. {_WHAT_TO_DO}")


def expect(fits: bool, path: str | Path, found: object, expected: object) -> None:
    """``refuse`` unless it ``fits``."""
    if not fits:
        refuse(path, found, expected)


@contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Turn whatever a damaged file leads to while ``path`` is read into the ValueError of ``refuse``."""
    try:
        yield
    except ModuleNotFoundError:
        raise  # something is to be installed, and nothing wrong with the file
    except ValueError as error:
        if _WHAT_TO_DO in str(error) or "Run the notebooks again" in str(error):
            raise
        refuse(path, f"{type(error).__name__}: {error}", "a file as Fusebook writes it")
    except Exception as error:
        refuse(path, f"{type(error).__name__}: {error}", "a file as Fusebook writes it")


def write_manifest(folder: Path) -> None:
    """Write ``manifest.json``: version, and of each file in ``folder`` its SHA-256, bytes, and its arrays' shapes and types."""
    files = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        facts = {"sha256": _sha256(path), "bytes": path.stat().st_size}
        files[path.relative_to(folder).as_posix()] = facts | (
            {"arrays": arrays_of(path)} if path.suffix in _SHAPES else {}
        )
    runs.write_json(folder / NAME, {"fusebook": version("fusebook"), "files": files})


def check_files(folder: Path) -> None:
    """Raise ValueError where a file of the bundle in ``folder`` is not as its manifest says, or can't be read safely.

    A bundle of a version before has no manifest; then the files are looked into all the same: archives hold no more
    than their own size, arrays are as large as their headers say and finite, nothing is a pickle.
    """
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _READ}
    manifest = names.pop(NAME, None)
    listed = {}
    if manifest:
        listed = _listed(manifest)
        for name in sorted({*listed, *names}):
            path = folder / name
            expect(name in names and path.is_file(), path, "no such file", "the file that the manifest lists")
            expect(name in listed, path, "a file that is not in the manifest", f"those of {NAME} alone")
            _check_listed(path, listed[name])
    for name, path in sorted(names.items()):
        expect(path.is_file() and not path.is_symlink(), path, "a link or a folder", "a file")
        if path.suffix in _SHAPES:
            found = arrays_of(path)
            known = listed.get(name, {}).get("arrays", found)
            expect(found == known, path, f"arrays {found}", f"{known}, as the manifest says")


def _listed(manifest: Path) -> dict[str, dict]:
    facts = read_json(manifest, {"fusebook": str, "files": dict})
    for name, each in facts["files"].items():
        good = isinstance(each, dict) and isinstance(each.get("sha256"), str) and isinstance(each.get("bytes"), int)
        expect(good, manifest, f"{name}: {each}", "sha256 and bytes of each file")
    return facts["files"]


def _check_listed(path: Path, facts: dict) -> None:
    size = path.stat().st_size
    expect(size == facts["bytes"], path, f"{size:,} bytes", f"{facts['bytes']:,}, as the manifest says")
    found = _sha256(path)
    expect(found == facts["sha256"], path, f"the SHA-256 {found}", f"{facts['sha256']}, as the manifest says")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def arrays_of(path: Path) -> dict[str, list]:
    """Name to shape and type of each array in an archive. Raises ValueError where one can't be read safely."""
    with reading(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        whole = sum(member.file_size for member in members)
        stored = all(member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1 for member in members)
        expect(stored, path, "compressed or encrypted parts", "parts stored as they are")
        expect(whole <= path.stat().st_size, path, f"parts of {whole:,} bytes", "no more than the file's own size")
        names = [member.filename for member in members]
        expect(len(set(names)) == len(names), path, f"parts {names}", "each part once")
        return _SHAPES[path.suffix](path, archive, members)


def _npz_shapes(path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> dict[str, list]:
    made = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        with archive.open(member) as file:
            kind = np.lib.format.read_magic(file)
            readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
            expect(kind in readers, path, f"{name} in the array format {kind}", "1.0 or 2.0")
            shape, _, dtype = readers[kind](file, max_header_size=_HEADER)
            begin = file.tell()
        expect(not dtype.hasobject, path, f"{name} with objects (a pickle)", "numbers or text")
        held, said = member.file_size - begin, math.prod(shape) * dtype.itemsize
        expect(
            min(shape, default=0) >= 0 and said == held,
            path,
            f"{name} of {held:,} bytes",
            f"{said:,}, as its header says",
        )
        made[name] = [list(shape), dtype.str]
    return made


def _keras_shapes(path: Path, archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> dict[str, list]:
    """Of a network's weights, which must be finite, lie in the file itself and be no larger than it."""
    import h5py

    names = {member.filename for member in members}
    expect(names == _KERAS_MEMBERS, path, f"parts {sorted(names)}", f"{', '.join(sorted(_KERAS_MEMBERS))}")
    made, room, visits = {}, path.stat().st_size, iter(range(10_000))

    def look(group, above: str) -> None:
        for key in group:
            link, name = group.get(key, getlink=True), f"{above}{key}"
            expect(next(visits, None) is not None, path, "more than 10,000 groups and weights", "fewer")
            expect(isinstance(link, h5py.HardLink), path, f"{name}, a link", "weights in the file itself")
            if isinstance(value := group[key], h5py.Group):
                expect(name.count("/") < 30, path, f"{name[:50]}…, groups in groups", "weights")
                look(value, f"{name}/")
                continue
            inside = not value.is_virtual and not value.external and value.nbytes <= room
            expect(inside, path, f"{name} of {value.nbytes:,} bytes", f"weights in the file, which has {room:,}")
            made[name] = [list(value.shape), value.dtype.str]
            expect(sum(map(_n_bytes, made.values())) <= room, path, f"weights larger than {room:,} bytes", "no more")
            finite = value.dtype.kind not in "fc" or np.isfinite(value[()]).all()
            expect(finite, path, f"{name} with NaN or infinity", "finite weights")

    with archive.open("model.weights.h5") as file, h5py.File(file, "r") as weights:
        look(weights, "")
    return made


def _n_bytes(array: list) -> int:
    return math.prod(array[0]) * np.dtype(array[1]).itemsize


_SHAPES = {".npz": _npz_shapes, ".keras": _keras_shapes}


def read_json(path: Path, keys: dict[str, type | tuple[type, ...]]) -> dict:
    """The object in ``path``, which has ``keys`` of such types. Raises ValueError where it is not so."""
    expect(path.is_file(), path, "no such file", "it to be there")
    with reading(path):
        facts = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
        expect(isinstance(facts, dict), path, f"a {type(facts).__name__}", "an object")
        for key, kind in keys.items():
            kinds = kind if isinstance(kind, tuple) else (kind,)
            found = facts.get(key)
            good = key in facts and isinstance(found, kinds) and not (isinstance(found, bool) and bool not in kinds)
            wanted = " or ".join(kind.__name__ for kind in kinds)
            expect(good, path, f"{key!r}: {found!r}" if key in facts else f"no {key!r}", f"{key!r} of type {wanted}")
        return facts


def _no_number(name: str) -> None:
    raise ValueError(f"the number {name}")


def read_arrays(path: Path, **kinds: str) -> dict[str, np.ndarray]:
    """The arrays in ``path`` that are named, each of a NumPy kind ("f" for numbers, "i" whole ones, "U" text), finite.

    Raises ValueError where one is not there or is of another kind.
    """
    expect(path.is_file(), path, "no such file", "it to be there")
    arrays_of(path)
    with reading(path), np.load(path, allow_pickle=False, max_header_size=_HEADER) as arrays:
        made = {}
        for name, kind in kinds.items():
            expect(name in arrays, path, f"no array {name!r}", f"{', '.join(kinds)}")
            made[name] = values = arrays[name]
            allowed = {"f": "fiu", "i": "iu", "U": "U"}[kind]
            expect(values.dtype.kind in allowed, path, f"{name} of type {values.dtype}", f"the kind {kind!r}")
            expect(kind == "U" or np.isfinite(values).all(), path, f"{name} with NaN or infinity", "finite numbers")
        return made


def expect_shape(path: Path, name: str, values: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """``refuse`` where ``values`` have another shape; None stands for any length."""
    fits = values.ndim == len(shape) and all(want in (None, n) for n, want in zip(values.shape, shape, strict=False))
    expect(fits, path, f"{name} of shape {values.shape}", f"{tuple('any' if n is None else n for n in shape)}")


def expect_scales(path: Path, mean: np.ndarray, scale: np.ndarray, width: int) -> None:
    """``refuse`` where means and scales are not of shape (width,), or a scale is not above 0."""
    expect_shape(path, "mean", mean, (width,))
    expect_shape(path, "scale", scale, (width,))
    expect((scale > 0).all(), path, f"a scale of {scale.min(initial=1)}", "scales above 0")


def expect_names(path: Path, what: str, names: object, n: int | None = None) -> None:
    """``refuse`` where ``names`` is no list of different texts, ``n`` of them."""
    expect(isinstance(names, list) and all(isinstance(name, str) for name in names), path, what, "a list of texts")
    twice = next((name for i, name in enumerate(names) if names.index(name) != i), None) if len(names) < 1000 else None
    expect(len(set(names)) == len(names), path, f"{what} with one twice{f', {twice!r}' if twice else ''}", "each once")
    expect(n in (None, len(names)), path, f"{len(names)} {what}", f"{n}, one a column")


def bundle_facts(path: Path, joint: str, rules: dict[str, str]) -> dict:
    """What stands in bundle.json. Raises ValueError where it does not fit together.

    ``joint`` is the name of the network over several parts, ``rules`` those of the rules by the names of their models.
    """
    kinds = {"label_names": list, "chosen": str, "modalities": list, "prior": list, "temperatures": dict}
    facts = read_json(path, kinds | {"fusions": dict, "networks": list})
    labels, parts, networks = facts["label_names"], facts["modalities"], facts["networks"]
    for key in ("label_names", "modalities", "networks"):
        expect_names(path, key, facts[key])
    expect(len(labels) > 0 and "" not in labels, path, f"label_names {labels}", "a name for each label")
    expect(len(parts) > 0 and set(parts) <= set(PARTS), path, f"modalities {parts}", f"some of {PARTS}")
    wanted = {*parts, *([joint] if len(parts) > 1 else [])}
    expect(set(networks) == wanted, path, f"networks {networks}", f"{sorted(wanted)}")
    prior = _numbers(path, "prior", facts["prior"])
    good = len(prior) == len(labels) and (prior >= 0).all() and abs(prior.sum() - 1) < 1e-3
    expect(good, path, f"the class shares {facts['prior']}", f"{len(labels)} shares, one a label, that sum to 1")
    scales = _numbers(path, "temperatures", [facts["temperatures"].get(name) for name in networks])
    good = ((scales > 0.01) & (scales < 100)).all()  # they are learnt from 0.05 to 20
    expect(good, path, f"temperatures {facts['temperatures']}", "one above 0.01 and below 100 for each network")
    for name, rule in facts["fusions"].items():
        good = isinstance(rule, dict) and rule.get("prior") == facts["prior"] and sorted(parts) == rule.get("names")
        good = good and rules.get(name) == rule.get("rule") is not None
        expect(good, path, f"the rule {name!r}: {rule}", "a rule over all parts, with the class shares")
    names = [*networks, *facts["fusions"]]
    expect(facts["chosen"] in names, path, f"chosen {facts['chosen']!r}", f"one of {names}")
    sets = facts.setdefault("label_sets", {})
    expect(isinstance(sets, dict) and set(sets) <= set(names), path, f"label_sets {sets}", f"models of {names}")
    least = _numbers(path, "label_sets", list(sets.values()))
    expect(((least >= 0) & (least <= 1)).all(), path, f"label_sets {sets}", "shares from 0 to 1")
    return facts


def _numbers(path: Path, what: str, values: list) -> np.ndarray:
    good = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    expect(good and np.isfinite(np.array(values, float)).all(), path, f"{what} {values}", "finite numbers")
    return np.array(values, float)
