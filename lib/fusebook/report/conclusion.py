"""What a run comes to, in a few plain sentences for its first page, and why the chosen model was chosen.

All of it is read from what the notebooks left: metrics.json, splits.parquet and the findings.
"""

from fusebook import findings
from fusebook.data.tables import PARTS
from fusebook.evaluation.scores import interval_text
from fusebook.findings import LEVEL, Finding, Term, capital, corrected_p, say, topic_of, word
from fusebook.runs import Run

LINEAR, MAJORITY = "linear SVM", "majority"
COMMA, SEMICOLON = {"en": ", ", "zh": "、"}, {"en": "; ", "zh": "；"}
# What is said of a comparison that shows a gain, shows nothing, shows a loss.
BASELINE = ("baseline ahead", "baseline level", "baseline behind")
JOINED = ("joined ahead", "joined level", "joined behind")
MOST_STEPS = 3  # things to do next that are named
MOST_NAMED = 3  # models that stand above the chosen one that are named


def conclusion(run: Run, metrics: dict, severe: list[tuple[str, Finding]]) -> list[str]:
    """Three to five sentences: what was asked, how well it is answered, whether fusion was worth it, what to do next.

    ``metrics`` is metrics.json of ``run``; ``severe`` are the findings that are serious or worth a look, those first that
    matter most, each with the name of its notebook. In the language of the run's findings.
    """
    language = language_of(metrics)
    return [
        *_asked(run, language), " ".join(_answered(metrics, language)), *_joined(metrics, language),
        *_next(severe, language),
    ]  # fmt: skip


def language_of(metrics: dict) -> str:
    """The language of the findings, by the sentence that heads the run."""
    return findings.language_of(metrics.get("headline", ""))


def scored_on(metrics: dict) -> Term:
    """What rows the scores are of: "cross-fitted rows" or "test rows"."""
    return Term(metrics.get("scored_on", "test rows"))


def lines_of(metrics: dict, name: str) -> dict[str, dict]:
    """The lines ``name`` (scores or test_scores) of metrics.json by model; none where they are absent."""
    return {line["model"]: line for line in metrics.get(name, ())}


def pair_of(metrics: dict, a: str, b: str) -> dict | None:
    """The line that compares ``b`` with ``a``; None where they were not compared."""
    return next((line for line in metrics["comparison"] if (line["a"], line["b"]) == (a, b)), None)


def why_chosen(metrics: dict) -> list[str]:
    """Why the chosen model was chosen, though others may stand above it on the rows scored."""
    language, chosen, on = language_of(metrics), metrics["chosen"], scored_on(metrics)
    losses, scores, made = metrics.get("chosen_by", {}), lines_of(metrics, "scores"), []
    others = sorted((loss, name) for name, loss in losses.items() if name != chosen)
    if chosen in losses and others:
        facts = {"loss": f"{losses[chosen]:.3f}", "other": others[0][1], "other_loss": f"{others[0][0]:.3f}"}
        made.append(say("chosen by", language, model=capital(chosen), **facts))
    above = [name for name, line in scores.items() if line["accuracy"] > scores[chosen]["accuracy"]]
    if above:
        names = COMMA[language].join(above[:MOST_NAMED]) + (" …" if len(above) > MOST_NAMED else "")
        rows = int(scores[chosen]["n_rows"])
        made.append(say("chosen though", language, count=len(above), names=names, rows=rows, on=on))
    return made


def _asked(run: Run, language: str) -> list[str]:
    if not (run.path("splits.parquet").exists() and run.path("table.json").exists()):
        return []
    rows, columns = run.read("splits.parquet"), run.read("table.json")["columns"]
    parts = [word(f"part {part}", language) for part in PARTS if columns.get(part)]
    sizes = {name: int((rows["split"] == name).sum()) for name in ("train", "validation", "test")}
    named = COMMA[language].join(parts)
    return [say("asked", language, labels=rows["label"].nunique(), parts=named, rows=len(rows), **sizes)]


def _answered(metrics: dict, language: str) -> list[str]:
    """The chosen model's score beside the majority's, the last word on the test rows, and the baselines in a clause each."""
    chosen, scores = metrics["chosen"], lines_of(metrics, "scores")
    facts = {"model": capital(chosen), "share": share_text(scores[chosen]), "rows": int(scores[chosen]["n_rows"])}
    facts["on"] = scored_on(metrics)
    if MAJORITY in scores and chosen != MAJORITY:
        made = [say("answered", language, base=f"{100 * scores[MAJORITY]['accuracy']:.1f}", **facts)]
    else:
        made = [say("answered alone", language, **facts)]
    last = lines_of(metrics, "test_scores").get(chosen)
    if last and facts["on"] != "test rows":
        made.append(say("last word", language, share=share_text(last), rows=int(last["n_rows"])))
    for name in (MAJORITY, LINEAR):
        pair = pair_of(metrics, name, chosen)
        if pair and (name == LINEAR or not _ahead(pair)):
            made.append(_compared(pair, BASELINE, language, a=word(f"the {name}", language)))
    return made


def _joined(metrics: dict, language: str) -> list[str]:
    chosen, single, scores = metrics["chosen"], metrics["best_single"], lines_of(metrics, "scores")
    if sum(part in scores for part in PARTS) < 2:
        return []
    if pair := pair_of(metrics, single, chosen):
        return [_compared(pair, JOINED, language, a=single)]
    return [say("joined not chosen", language, single=single)] if chosen == single else []


def _ahead(pair: dict) -> bool:
    return corrected_p(pair) < LEVEL and pair["difference"] > 0


def _compared(pair: dict, keys: tuple[str, str, str], language: str, **facts) -> str:
    """One comparison in a sentence: that of ``keys`` for a gain, for nothing shown or for a loss."""
    ahead, level, behind = keys
    key = ahead if _ahead(pair) else behind if corrected_p(pair) < LEVEL else level
    return say(key, language, p=findings.p_text(corrected_p(pair)), **findings.points_of(pair), **facts)


def _next(severe: list[tuple[str, Finding]], language: str) -> list[str]:
    """How many findings call for a look, and what to do about the first; or that none does."""
    if not severe:
        return [say("nothing to do", language)]
    topics = [topic_of(notebook, found) for notebook, found in severe]
    steps = dict.fromkeys(word(f"do {topic}", language) for topic in topics if f"do {topic}" in findings.WORDS)
    serious = sum(found.severity == "serious" for _, found in severe)
    key = "found in all" if serious else "found to look at"
    made = [say(key, language, serious=serious, look=len(severe) - serious)]
    if steps:
        made.append(say("to do next", language, steps=SEMICOLON[language].join(list(steps)[:MOST_STEPS])))
    return [" ".join(made)]


def share_text(line: dict) -> str:
    """The accuracy of a line of scores with its interval, as people read it: ``81.5 % [76.0, 86.5]``."""
    return interval_text(*(line[key] for key in ("accuracy", "accuracy_low", "accuracy_high")))
