"""The findings that matter most over all notebooks of a run: which they are, and in what order.

The rule: the severest first. Among equally severe ones what they are about decides, in the order of ``TOPICS``; what is
not listed there comes after, in the order of the notebooks. A topic is told once, by its severest finding, and no two
sentences that differ in little more than their numbers are told. A page about the method tells nothing of the table.
"""

import re
from pathlib import Path

from fusebook import runs, sentences

# By notebook and heading: what a finding is about.
SCORE = (
    ("04_error_analysis", "How sure is the score?"),
    ("04_error_analysis", "Is it better than the others?"),
    ("03_train", "The test"),
)
FUSION = (("03_train", "Is fusion worth it?"),)
TOPICS = (
    SCORE,
    FUSION,
    (("04_error_analysis", "Which labels may be wrong?"),),
    (("04_error_analysis", "Does a shortcut give the label away?"),),
    (("04_error_analysis", "What do the mistakes have in common?"),),
    (("04_error_analysis", "How good is each class?"),),
    (("04_error_analysis", "Which classes does it confuse?"),),
    (("04_error_analysis", "How sure may one be?"),),
    (("04_error_analysis", "Would more rows help?"),),
    (("04_error_analysis", "What did each modality do?"), ("03_train", "Rescued and harmed")),
)
METHOD = "00_mlp_by_hand"
ALIKE = 0.7  # share of common words from which two sentences say the same


def main_findings(
    run: str | Path, notebooks: list[str], *, told: tuple = (), most: int = 5
) -> list[dict[str, str]]:
    """The ``most`` findings of ``run`` that matter most, by the rule above.

    Parameters
    ----------
    run : the run folder
    notebooks : those whose findings hold for this run, in order
    told : topics that are told elsewhere on the page; of these only what is serious or worth a look is repeated

    Returns dicts with severity, text, place and notebook.
    """
    found = [
        found | {"notebook": name}
        for name in notebooks
        if name != METHOD
        for found in runs.read_findings(run, name)
    ]
    found.sort(key=lambda one: (_rank(one["severity"]), *_order(one, notebooks)))
    kept, topics = [], set()
    for one in found:
        topic = _topic(one)
        elsewhere = topic in told and _rank(one["severity"]) >= _rank("note")
        if not (elsewhere or topic in topics or any(_alike(one["text"], other["text"]) for other in kept)):
            kept.append(one)
            topics.add(topic)
    return kept[:most]


def _rank(severity: str) -> int:
    order = (*sentences.SEVERITIES, "")
    return order.index(severity) if severity in order else len(order)


def _topic(found: dict) -> tuple:
    """The topic that holds the finding's place, else the place itself; without a place, the finding."""
    place = (found["notebook"], found["place"])
    if not found["place"]:
        return (*place, found["text"])
    return next((topic for topic in TOPICS if place in topic), place)


def _order(found: dict, notebooks: list[str]) -> tuple[int, int]:
    topic = _topic(found)
    if topic not in TOPICS:
        return len(TOPICS), notebooks.index(found["notebook"])
    return TOPICS.index(topic), topic.index((found["notebook"], found["place"]))


def _alike(one: str, other: str) -> bool:
    """Do two sentences share most of their words, numbers apart (Jaccard, 1901)? Chinese counts by the character."""
    words = [set(re.findall(r"[\u3040-\u9fff]|[^\W\d_]+", text.lower())) for text in (one, other)]
    return len(words[0] & words[1]) >= ALIKE * len(words[0] | words[1])
