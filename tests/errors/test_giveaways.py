"""Giveaways: names planted in simulated texts are found at any place, words of the subject are none."""

from itertools import chain

import numpy as np
import pandas as pd
import pytest

from fusebook import findings
from fusebook.data.dataset import Dataset
from fusebook.errors import giveaways
from fusebook.errors.shortcuts import GIVEAWAYS, Shortcuts

FILLER = [f"{a}{b}zz" for a in "abcdefghij" for b in "klmnopqrst"]
TOPICS = [[f"{label}{topic}{word}" for word in "abcdefgh"] for label in ("sport", "money") for topic in "klmno"]


def written(n_texts=300, seed=0, n_labels=2):
    """Texts of a label that has five topics: each text has a few words of one of them, in no order, and filler."""
    random, lists = np.random.default_rng(seed), []
    labels = np.arange(n_texts) % n_labels
    for label in labels:
        topic = TOPICS[5 * label + random.integers(5)]
        words = [*random.choice(topic, 3, replace=False), *random.choice(FILLER, random.integers(15, 30))]
        lists.append([str(word) for word in random.permutation(words)])
    return lists, labels


def planted(lists, labels, name, place, share, seed=1):
    random = np.random.default_rng(seed)
    rows = np.flatnonzero(labels == 0)
    for i in random.choice(rows, round(share * len(rows)), replace=False):
        n = len(lists[i])
        at = {"start": 0, "end": n, "middle": n // 2, "anywhere": random.integers(n + 1)}[place]
        lists[i] = lists[i][:at] + name + lists[i][at:]
    return lists


def texts_of(lists, labels):
    word, words = pd.factorize(np.array(list(chain.from_iterable(lists)), object))
    return giveaways.Texts(np.repeat(np.arange(len(lists)), list(map(len, lists))), word, labels), words


def named(lists, labels):
    texts, words = texts_of(lists, labels)
    return [(list(words[list(one.words)]), one.label) for one, put_there in giveaways.judged(texts) if put_there]


@pytest.mark.parametrize("place", ["start", "middle", "end", "anywhere"])
@pytest.mark.parametrize("name", [["reuters"], ["the", "dunmere", "daily", "ledger", "says"]], ids=["word", "phrase"])
@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_planted_name_is_found_whole(place, name, share):
    lists, labels = written()
    assert named(planted(lists, labels, name, place, share), labels) == [(name, 0)]


def test_words_of_the_subject_are_none():
    texts, words = texts_of(*written(600))
    judged = giveaways.judged(texts)
    pure = {words[one.words[0]] for one, _ in judged if len(one.words) == 1}
    assert len(pure & set(chain.from_iterable(TOPICS))) > 20, "they are pure and in many texts"
    assert not any(put_there for _, put_there in judged)


def test_shuffled_labels_have_none():
    lists, labels = written()
    for seed in range(3):
        assert named(lists, np.random.default_rng(seed).permutation(labels)) == []


def test_a_planted_word_is_away_as_chance_has_it():
    """Each standard score has mean 0 and spread 1 where a word is put in at random."""
    scores = []
    for seed in range(20):
        lists, labels = written(120, seed=seed)
        texts, words = texts_of(planted(lists, labels, ["reuters"], "anywhere", 0.4, seed), labels)
        (one,) = [phrase for phrase in texts.phrases() if list(words[list(phrase.words)]) == ["reuters"]]
        scores.append([one.neighbours, one.context, one.typical, one.length])
    assert np.abs(np.mean(scores, axis=0)).max() < 0.75 and np.std(scores, axis=0) == pytest.approx(1, abs=0.5)


def test_a_large_label_asks_for_more_texts():
    """Where a label has nearly all texts, a word that is in few of them is of that label anyway."""
    lists, _ = written(100)
    texts, _ = texts_of(lists, np.array([0] * 95 + [1] * 5))
    assert texts.fewest(14)[0] >= np.log(1e-4) / np.log(0.95) and texts.fewest(14)[1] == 14
    assert texts_of(lists, np.zeros(100, int))[0].phrases() == []


def test_places_of_a_phrase():
    text, word = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([1, 2, 1, 2, 1, 2, 2])
    assert giveaways.places_of((1, 2), text, word).tolist() == [True, True, False, False, True, True, False]
    assert giveaways.places_of((2, 2), text, word).tolist() == [False] * 5 + [True] * 2


def judged(share, in_test=True):
    lists, labels = written(600)
    split = np.where(np.arange(600) < 400, "train", "test")
    marked = planted(list(lists), labels, ["reuters"], "anywhere", share)
    texts = [" ".join(marked[i] if in_test or i < 400 else lists[i]) for i in range(600)]
    rows = pd.DataFrame({"text": texts, "label": np.array(["sport", "money"])[labels], "split": split})
    return Shortcuts(Dataset.of_rows(rows.assign(group=range(600)))), texts


def test_the_page_says_what_a_planted_word_does():
    made, texts = judged(0.5)
    ((key, _, facts),) = [one for one in made.verdicts() if one[0] == "giveaways"]
    line = made.phrases[made.phrases["put_there"]].iloc[0]
    holders = sum("reuters" in text.split() for text in texts[400:])
    assert (key, line["phrase"], line["label"]) == ("giveaways", "reuters", "sport")
    assert facts["holders"] == made.cut["holders"] == holders and facts["rows"] == 200
    assert facts["listed"] == findings.word("giveaway", "en", **line) and "reuters" in facts["listed"]
    assert made.table.loc[GIVEAWAYS, "size"] == pytest.approx(holders / sum(len(t.split()) for t in texts[400:]))
    assert 5 < float(facts["margin"]) < 80
    for language in ("en", "zh"):
        assert findings.say(key, language, **made.verdicts(language)[-1][2])


def test_a_word_that_no_test_row_has():
    made, _ = judged(0.5, in_test=False)
    assert [one[0] for one in made.verdicts()] == ["giveaways unseen"]


def test_copies_are_one_text():
    """Ten texts, each copied six times, are too few for a word that they share."""
    lists, labels = written(200)
    rows = pd.DataFrame({"text": [" ".join(one) for one in lists], "label": labels.astype(str), "split": "train"})
    rows.loc[150:, "split"] = "test"
    same = [f"reuters {text}" for text in rows["text"][:20:2]] * 6
    copies = pd.DataFrame({"text": same, "label": "0", "split": "train", "group": list(range(900, 910)) * 6})
    made = Shortcuts(Dataset.of_rows(pd.concat([rows.assign(group=range(200)), copies], ignore_index=True)))
    assert not made.phrases["phrase"].str.contains("reuters").any()
