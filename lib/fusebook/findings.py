"""What a page says: every finding as a template in English and Chinese side by side, and the heading it belongs to."""

import re
import tomllib
from collections.abc import Iterable
from html import escape
from string import Formatter
from typing import NamedTuple

import numpy as np

from fusebook import ASSETS

LANGUAGES = ("en", "zh")
SEVERITIES = ("serious", "look", "note")  # in this order on the page
LEVEL = 0.05  # of every family of tests: a corrected p below it shows something

_TEXTS = tomllib.loads((ASSETS / "sentences.toml").read_text(encoding="utf-8"))
# Topic to notebook and heading: a finding knows its place through this table alone.
PLACES = {topic: tuple(place) for topic, place in _TEXTS["places"].items()}
WORDS, FACTS = _TEXTS["words"], _TEXTS["facts"]
# Key to topic ("" where whoever adds one says it) and the sentence in each language.
SENTENCES = {key: (one["topic"], one["en"], one["zh"]) for key, one in _TEXTS["sentences"].items()}


# What findings are about, as topics of ``PLACES`` that are told as one, by what a person would act on: is the score any
# good, is it real, are the labels and rows right, what would make it better, where does it fail.
ORDER = (("score", "scores", "better", "against", "test"), ("fusion",), ("shortcuts",), ("suspects",), ("planted",),
         ("table", "copies", "sounds"), ("sizes",), ("slices",), ("classes", "confusion"), ("confidence",),
         ("parts used", "kinds"), ("ledger", "rescued"))  # fmt: skip
# Every run is asked about these, so that "nothing found" and "can't be told" are answers too.
QUESTIONS = {"score", "scores", "better", "against", "test", "fusion", "shortcuts", "suspects", "planted", "sizes",
             "slices", "classes", "confusion", "confidence"}  # fmt: skip


class Term(str):
    """A key of ``WORDS`` among the facts of a sentence: said in its language, and of one row where a 1 stands before it."""


class Finding(NamedTuple):
    """One finding: how severe it is (one of ``SEVERITIES``), what it says, and the heading on the page that shows it."""

    severity: str
    text: str
    place: str

    def _repr_markdown_(self) -> str:
        return markdown_safe(self.text)


class Findings(list):
    """What a notebook found, each a ``Finding``, in the order in which it was added.

    Parameters
    ----------
    notebook : the notebook's name, such as "03_train"
    language : of the sentences, one of ``LANGUAGES``; another one is a ValueError
    run : the ``runs.Run`` that ``save`` keeps them in
    """

    def __init__(self, notebook: str, language: str = "en", run=None):
        if language not in LANGUAGES:
            raise ValueError(f"The language is {language!r}; expected one of {', '.join(LANGUAGES)}.")
        super().__init__()
        self.notebook, self.language, self.run, self.linked = notebook, language, run, False

    def add(self, key: str, grade: str, *, topic: str = "", **facts) -> Finding:
        """Add the sentence ``key`` of ``SENTENCES`` with its facts; a cell whose last line this is shows the sentence.

        ``grade`` is one of ``SEVERITIES``. The place is that of the sentence's topic, or of ``topic``.
        """
        return self.add_all([(key, grade, facts)], topic=topic)[0]

    def add_all(self, told: Iterable[tuple[str, str, dict]], *, topic: str = "", most: int | None = None) -> "Findings":
        """Add the first ``most`` of some key, grade and facts; returns them all, to be shown.

        A sentence that stands among the findings already is not added again.
        """
        shown = Findings(self.notebook, self.language)
        shown += [self.made(key, grade, topic=topic, **facts) for key, grade, facts in told]
        for found in shown[:most]:
            if all(found.text != other.text for other in self):
                self.append(found)
        return shown

    def made(self, key: str, grade: str, *, topic: str = "", **facts) -> Finding:
        """The ``Finding`` that ``add`` adds."""
        text = say(key, self.language, **facts)
        topic = topic or SENTENCES[key][0]
        return Finding(grade, text[:1].upper() + text[1:], PLACES[topic][1] if topic else "")

    def ranked(self) -> "Findings":
        """All of them by ``weight``, the severest first; of one weight in their order."""
        made = Findings(self.notebook, self.language, self.run)
        made += sorted(self, key=lambda found: weight(self.notebook, found))
        return made

    def save(self) -> "Findings":
        """Keep them for the pages of the run; shown from now on, they have grades, and links to places."""
        self.run.write(f"findings/{self.notebook}.json", [found._asdict() for found in self])
        self.linked = True
        return self

    @classmethod
    def load(cls, run, notebook: str) -> "Findings":
        """What ``save`` kept for ``notebook``; none where nothing was kept."""
        made, name = cls(notebook), f"findings/{notebook}.json"
        made += [Finding(**found) for found in (run.read(name) if run.path(name).exists() else [])]
        return made

    def _repr_markdown_(self) -> str:
        if not self.linked and len(self) == 1:
            return markdown_safe(self[0].text)
        if not self.linked:
            return "\n".join(f"- {markdown_safe(found.text)}" for found in self)
        return "\n".join(f"{i}. {self._line(found)}" for i, found in enumerate(self, 1))

    def _line(self, found: Finding) -> str:
        grade = f"**{word(found.severity, self.language)}**: " if found.severity else ""
        see = f"{word('see', self.language)} “{found.place}”"
        return f"{grade}{markdown_safe(found.text)}" + (f" ([{see}](#{anchor(found.place)}))" if found.place else "")


def say(key: str, language: str = "en", **facts) -> str:
    """The sentence ``key`` in ``language`` ("en" or "zh") with ``facts`` filled in.

    Whole numbers get separators. ``{rows:row|rows}`` is the first word where ``rows`` is 1, else the second, and a
    ``Term`` that follows a number agrees with it.
    """
    made, before = "", None  # the number that stands right before what comes next
    for text, name, form, _ in Formatter().parse(SENTENCES[key][1 + LANGUAGES.index(language)]):
        made, before = made + text, None if text.strip() else before
        if name is not None:
            made, before = made + _shown(facts[name], form, before, language), facts[name]
    return made


def _shown(value, form: str, before, language: str) -> str:
    if isinstance(value, Term):
        return word(value, language, count=before)
    if "|" in form:
        return _agreeing(form, value)
    whole = isinstance(value, int | np.integer) and not form
    return f"{value:,}" if whole else format(value, form)


def _agreeing(forms: str, count) -> str:
    """The first of ``forms``, such as "row|rows", where ``count`` is 1 as a number or a text; else the last."""
    return forms.split("|")[0 if str(count) == "1" else -1]


def word(key: str, language: str = "en", count=None, **values) -> str:
    """The word or phrase ``key`` of ``WORDS`` in ``language``, of one where ``count`` is 1."""
    return _agreeing(WORDS[key][LANGUAGES.index(language)], count).format(**values)


def language_of(sentence: str) -> str:
    """The language in which ``say`` filled ``sentence`` in, whatever the script of the names in it: by its full stop."""
    return "zh" if sentence.endswith("。") else "en"


def fact_name(fact: str, language: str = "en") -> str:
    """The name of a fact in ``language``; that of a column of the person's stays what it is."""
    return FACTS.get(fact, fact) if language == "zh" else fact


def topic_of(notebook: str, found: Finding) -> str:
    """The topic of ``PLACES`` whose place is that of ``found``; "" for a place that is none."""
    return next((topic for topic, place in PLACES.items() if place == (notebook, found.place)), "")


def answers(notebook: str, found: Finding) -> bool:
    """Is ``found`` serious or worth a look, or an answer to what is asked of every run? Else it is for the record alone."""
    severe = found.severity in SEVERITIES[:-1]
    return severe or (found.severity == SEVERITIES[-1] and topic_of(notebook, found) in QUESTIONS)


def weight(notebook: str, found: Finding) -> tuple[int, int, int]:
    """Sorts findings: the severest first, then those that answer a question, each by what a person would act on first."""
    topic, severity = topic_of(notebook, found), (*SEVERITIES, "").index(found.severity)
    place = next(((i, group.index(topic)) for i, group in enumerate(ORDER) if topic in group), (len(ORDER), 0))
    return (2 * severity + (not answers(notebook, found)), *place)


def capital(name: str) -> str:
    """``name`` as a sentence begins with it."""
    return name[:1].upper() + name[1:]


def anchor(heading: str) -> str:
    """The anchor that a page gives to ``heading``, without the # before it."""
    return heading.replace(" ", "-")


def shortened(text: str, most: int) -> str:
    """``text`` on one line, cut to ``most`` characters with a mark where it was longer."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def visible(text: str) -> str:
    """``text`` with the number of each character that can't be seen, as in ``a⟨U+001B⟩.png``: it steers no terminal."""
    return "".join(each if each.isprintable() else f"⟨U+{ord(each):04X}⟩" for each in text)


def markdown_safe(text: str) -> str:
    """``text`` as Markdown that shows just these characters: no HTML, no emphasis, links or formulas."""
    plain = escape(" ".join(text.split()), quote=False)
    # An address with a colon of its own would become a link.
    return re.sub(r"([\\`*_{}\[\]()#+!|~$])", r"\\\1", plain).replace("://", "&#58;//")


def points_text(share: float) -> str:
    """A difference of two shares in points, with its sign: ``+1.2``; no change is ``+0.0``."""
    return f"{round(100 * share, 1) + 0.0:+.1f}"


def points_of(line) -> dict[str, str]:
    """Difference, low and high of two models compared, as ``points_text`` writes them."""
    return {name: points_text(line[name]) for name in ("difference", "low", "high")}


def corrected_p(line) -> float:
    """The p of two models compared, corrected for all of its family where it has one."""
    return line["p_holm"] if "p_holm" in line else line["p"]


def p_text(p: float) -> str:
    """A p-value as people read it: ``p = 0.012``, ``p < 0.0001``; rounding never carries it over ``LEVEL``."""
    if p < 1e-4:
        return "p < 0.0001"
    texts = (f"{p:.{digits}g}" for digits in range(2, 18))
    return "p = " + next(text for text in texts if (float(text) < LEVEL) == (p < LEVEL))


def graded(value: float, look: float, serious: float) -> str:
    """The severity of a value that is bad when high: serious from ``serious`` on, look from ``look`` on, else note."""
    return "serious" if value >= serious else "look" if value >= look else "note"
