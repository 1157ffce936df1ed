"""Bytes to text: the encoding is what a mark, the bytes' pattern or the letters of a language say, and it is named.

Nearly valid UTF-8 is UTF-8; among encodings that fit equally the common one wins. What can't be decoded becomes �, is
counted, and its first place is told.
"""

import codecs
import re
from collections import Counter
from typing import NamedTuple

import charset_normalizer

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
_ESCAPED = re.compile(rb"\x1b\$[@AB(]|\x1b\(J|\x1b\$\)C")
_SAMPLE = 1 << 20  # bytes of lines beyond ASCII that are looked at to choose an encoding
_VALID_PER_ERROR = 4  # so many characters of valid UTF-8 for each that is broken, and it is UTF-8

# Letters beyond ASCII of languages in Latin script, and the encodings that hold them, the common ones first.
_WESTERN = ["àâæçéèêëîïôœùûüÿ", "áéíóúüñ", "àáâãçéêíóôõúü", "äöüß", "àèéìîòóù", "áéíóúè", "åäöéü", "æøåéö", "áðéíóúýþæö",
            "àçèéíïòóúü", "éëïèöüáó", "äöõüšž"]  # fmt: skip
_CENTRAL = ["ąćęłńóśźż", "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "áéíóöőúüű", "ăâîșțşţ", "čćđšž", "ëç"]
_LETTERS = {
    "cp1252": _WESTERN, "cp1250": _CENTRAL, "iso8859-15": _WESTERN, "iso8859-2": _CENTRAL, "cp1254": ["çğıöşüâîİ"],
    "cp1257": ["āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž"], "mac-roman": _WESTERN, "cp850": _WESTERN, "cp852": _CENTRAL,
    "iso8859-9": ["çğıöşüâîİ"], "iso8859-13": ["āčēģīķļņšūž", "ąčęėįšųūž"], "mac-latin2": _CENTRAL,
}  # fmt: skip
_SIGNS = set("“”‘’„‚«»‹›–—…•€£¥§°·¿¡©®™ªº²³½¼¾×±\xa0\u200b´µ")
_FEWEST_RIGHT = 0.8  # share of the letters beyond ASCII that one language must explain
_FEW_LETTERS = 0.2  # share of bytes beyond ASCII among a line's letters, below which a script of its own is unlikely
_MANY_BYTES = ("gb18030", "big5hkscs", "cp932", "euc_jp", "cp949")

_TWO_BYTES = {*_MANY_BYTES, "big5", "gbk", "gb2312", "euc_kr", "shift_jis", "shift_jis_2004", "euc_jis_2004"}
_MOST_MENDED = 200  # broken lines in which the place of a cut byte is searched


class Decoded(NamedTuple):
    text: str
    encoding: str
    lost: int  # characters that could not be decoded
    place: str  # of the first of them: line and byte; "" for none


def decode(raw: bytes, encoding: str = "") -> Decoded:
    """``raw`` as text, in ``encoding`` or, where that is "", in the one that fits.

    Raises ValueError where ``encoding`` is none that Python knows, or none fits.
    """
    if encoding:
        return _decoded(raw, _known(encoding))
    for mark, name in _MARKS.items():
        if raw.startswith(mark):
            return _decoded(raw, name)
    name = _by_pattern(raw) or _by_letters(raw)
    if not name:
        raise ValueError("is in no encoding that could be recognised. Save it as UTF-8, or name its `encoding`.")
    return _decoded(raw, name)


def _known(encoding: str) -> str:
    try:
        b"x".decode(encoding)
        name = codecs.lookup(encoding).name
    except UnicodeDecodeError:  # half a character of UTF-16
        return encoding
    except (LookupError, ValueError):
        names = "utf-8, utf-16, gb18030, big5, shift_jis, cp949, cp1252, cp1250, cp1251"
        raise ValueError(
            f"can't be read in {encoding!r}, which is no encoding known here. Name one such as {names}."
        ) from None
    return "utf-8-sig" if name == "utf-8" else encoding


def _decoded(raw: bytes, name: str) -> Decoded:
    shown = "utf-8" if name == "utf-8-sig" else name
    try:
        return Decoded(raw.decode(name).removeprefix("\ufeff"), shown, 0, "")
    except UnicodeDecodeError as error:
        text = (_mended(raw, name) if name in _TWO_BYTES else raw.decode(name, "replace")).removeprefix("\ufeff")
        line = 1 + len(re.findall("\r\n|\r|\n", raw[: error.start].decode(name, "replace")))
        lost = text.count("\ufffd") - raw.count("\ufffd".encode()) * (shown == "utf-8")
        return Decoded(text, shown, max(lost, 1), f"line {line}, byte {error.start + 1}")


def _mended(raw: bytes, name: str) -> str:
    """``raw`` decoded line by line: in a line that has lost a byte the odd one becomes �, and what follows stays right.

    Of all places for it the one is taken that leaves most characters which lines without a fault have.
    """
    lines = [(line, _fits(line, name)) for line in raw.splitlines(keepends=True)]
    known = set("".join(line.decode(name) for line, fits in lines[:20_000] if fits))
    made, left = [], _MOST_MENDED
    for line, fits in lines:
        cuts = [] if fits or len(line) > 2000 or not left else range(len(line))
        left -= bool(cuts)
        tried = [(line[:cut], line[cut + 1 :]) for cut in cuts if line[cut] > 127]
        whole = [(a.decode(name), b.decode(name)) for a, b in tried if _fits(a, name) and _fits(b, name)]
        best = max(whole, key=lambda parts: sum(c in known for c in parts[0] + parts[1]), default=None)
        made.append("\ufffd".join(best) if best else line.decode(name, "replace"))
    return "".join(made)


def _by_pattern(raw: bytes) -> str:
    """UTF-16 without a mark, ISO 2022 or UTF-8, as the bytes themselves say; "" for none of them."""
    if (zeros := raw.count(0)) > 1:
        for name, first in (("utf-16-le", 1), ("utf-16-be", 0)):
            text = raw.decode(name, "replace")
            ends, given = (
                max(where.count(end) for end in ends) for where, ends in ((text, "\n\r"), (raw, (b"\n", b"\r")))
            )
            if raw[first::2].count(0) >= 0.95 * zeros and ends and 2 * ends >= given:
                return name
    if _ESCAPED.search(raw) and max(raw) < 128:
        for name in ("iso2022_kr", "iso2022_jp_2", "iso2022_jp_ext"):
            if _fits(raw, name):
                return name
    if _fits(raw, "utf-8"):
        return "utf-8-sig"
    broken = raw.decode("utf-8", "replace").count("\ufffd")
    right = sum(character > "\x7f" for character in raw.decode("utf-8", "ignore"))
    return "utf-8-sig" if right >= _VALID_PER_ERROR * broken else ""


def _fits(raw: bytes, name: str) -> bool:
    try:
        raw.decode(name)
    except UnicodeDecodeError:
        return False
    return True


def _by_letters(raw: bytes) -> str:
    """The encoding charset-normalizer finds; for Latin script the one whose letters are those of one language."""
    best = charset_normalizer.from_bytes(raw).best()
    found = best.encoding if best else ""
    lines = [line for line in re.split(rb"[\r\n]+", raw) if line and max(line) > 127]  # the others tell nothing
    sample = b"\n".join(lines)[:_SAMPLE]
    letters = [byte for byte in sample if byte > 127 or chr(byte).isalpha()]
    few = sum(byte > 127 for byte in letters) < _FEW_LETTERS * len(letters)
    if found and not few and not _is_latin(str(best)):
        return found
    shares = {name: _share_right(sample, name) for name in _LETTERS}
    likely = max(shares, key=shares.get)  # the first of several that are equal, the common one
    if shares[likely] >= _FEWEST_RIGHT:
        return likely
    if found and not _is_latin(str(best)):
        return found
    return _with_few_broken_lines(lines[:2000]) or found


def _is_latin(text: str) -> bool:
    letters = [character for character in text[: 10 * _SAMPLE] if character > "\x7f" and character.isalpha()]
    return sum(character < "\u0250" or character in "ﬁﬂΩπµ" for character in letters) * 2 >= len(letters)


def _share_right(sample: bytes, name: str) -> float:
    """The share of ``sample``'s characters beyond ASCII that one language's letters, and usual signs, explain."""
    text = sample.decode(name, "replace")
    right, signs, total = Counter(), 0, 0
    padded = f" {text} "
    for index, character in enumerate(padded):
        if character <= "\x7f":
            continue
        total += 1
        before, after = padded[index - 1], padded[index + 1]
        if character.isalpha() and character not in "ªº":
            if not (character.isupper() and before.islower()):
                right[character.lower()] += 1
        elif character in _SIGNS and (character in "’·" or not (before.isalpha() and after.isalpha())):
            signs += 1
    best = max(sum(right[letter] for letter in set(letters)) for letters in _LETTERS[name])
    return round((best + signs) / max(total, 1), 2)


def _with_few_broken_lines(lines: list[bytes]) -> str:
    """The encoding of many bytes a character that fits all but a few lines, as charset-normalizer says of those."""
    fitting = {name: [line for line in lines if _fits(line, name)] for name in _MANY_BYTES}
    name = max(fitting, key=lambda name: len(fitting[name]))
    if len(fitting[name]) < 0.9 * len(lines) or len(lines) < 5:
        return ""
    best = charset_normalizer.from_bytes(b"\n".join(fitting[name])).best()
    return best.encoding if best and not _is_latin(str(best)) else ""
