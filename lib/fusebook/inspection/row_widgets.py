"""The lower half of the inspector: a row's card with all that can be changed about it, and what a person decides on it.

Thin shells around ``question.Question`` and the functions of ``cards`` and ``listing``. Notebook 05_inspect tells the
story.
"""

from collections.abc import Callable
from contextlib import contextmanager
from html import escape
from pathlib import Path

import ipywidgets
import pandas as pd

from fusebook.errors.corrections import ACTIONS, REASONS
from fusebook.findings import capital, shortened
from fusebook.inspection import listing
from fusebook.inspection.cards import EXAMPLE, votes_html
from fusebook.inspection.question import RULES, Question, one_row
from fusebook.models.bundle import Bundle

FUSION = "your fusion"  # how the fusion with weights of one's own is called beside the models
WIDE = {"style": {"description_width": "7.5rem"}, "layout": {"width": "22rem"}}


def side_by_side(*children: ipywidgets.Widget) -> ipywidgets.Box:
    """``children`` in a line, in several where there is no room."""
    return ipywidgets.Box(children, layout={"flex_flow": "row wrap", "align_items": "center"})


@contextmanager
def silent(control: ipywidgets.Widget, handler: Callable):
    """Let ``control`` be set without ``handler``, which acts where a person sets it."""
    control.unobserve(handler, "value")
    try:
        yield
    finally:
        control.observe(handler, "value")


@contextmanager
def told_in(place: ipywidgets.HTML):
    """Say what goes wrong in a sentence at ``place``: a traceback would only reach the log, which nobody reads."""
    sentence = ""
    try:
        yield
    except Exception as error:
        text = error.args[0] if isinstance(error, KeyError) else str(error) or type(error).__name__
        sentence = f'<p role="alert" class="fb-problem">{escape(str(text))}</p>'
    place.value = sentence


class RowCard(ipywidgets.VBox):
    """One row: its text to edit, its parts to take away, a fusion of one's own; every model's answer, and the card.

    The answers come first, the card, for which many rows are predicted, thereafter. ``question`` is about row ``number``
    as it stands in the table, ``edited`` about what was made of it; both are None where there is no row.
    """

    def __init__(self, bundle: Bundle, rows: pd.DataFrame):
        self.bundle, self.rows, self.model = bundle, rows, bundle.chosen
        self.number = self.question = self.edited = None
        self.text = ipywidgets.Textarea(
            description="text", continuous_update=False, layout={"width": "min(46rem, 100%)", "height": "7rem"}
        )
        undo = {"description": "text as in the table", "tooltip": "Take back what was edited"}
        self.undo = ipywidgets.Button(**undo, layout={"width": "12rem"})
        self.again = ipywidgets.Button(description="predict again", tooltip="Predict the text as edited")
        self.parts = {
            part: ipywidgets.Checkbox(value=True, indent=False, description=f"with {part}", layout={"width": "9rem"})
            for part in bundle.parts
        }
        self.rule = ipywidgets.Dropdown(options=RULES, description=FUSION, **WIDE)
        self.weights = {
            part: ipywidgets.FloatSlider(1, min=0, max=3, step=0.1, description=f"weight of {part}", **WIDE)
            for part in bundle.parts
        }
        self.problem, self.votes, self.card = (ipywidgets.HTML() for _ in range(3))
        super().__init__([*self._controls(), self.problem, self.votes, self.card])
        for control in (self.text, *self.parts.values()):
            control.observe(self.update, "value")
        for control in (self.rule, *self.weights.values()):
            control.observe(self._vote_again, "value")
        self.undo.on_click(self._take_back)
        self.again.on_click(self.update)

    def _controls(self) -> list[ipywidgets.Widget]:
        made = [self.text, side_by_side(self.again, self.undo)] if "text" in self.parts else []
        if len(self.parts) > 1:
            made += [side_by_side(*self.parts.values()), side_by_side(self.rule, *self.weights.values())]
        return made

    def show(self, number: int | None) -> None:
        """Show row ``number`` as it stands in the table, or that there is none; parts switched off stay off."""
        self.number, self.question = number, None
        row = self._row
        self.text.disabled = row.empty
        for part, box in self.parts.items():
            box.disabled = row.empty or not row[part].iloc[0]
        with silent(self.text, self.update):
            self.text.value = "" if row.empty else row["text"].iloc[0]
        self.update()

    @property
    def _row(self) -> pd.DataFrame:
        return self.rows[self.rows["row"] == self.number]

    def update(self, _=None) -> None:
        """Predict the row as it is edited now, and explain the answer."""
        with told_in(self.problem):
            self._edit()
            self._vote()
            self.card.value = self.edited.card(self.model).data if self.edited else ""
        if self.problem.value:
            self.votes.value = self.card.value = ""

    def _edit(self) -> None:
        """The question about the row, encoded once, and the one about it as edited."""
        self.edited = None
        if self.number is not None:
            self.question = self.question or Question(self.bundle, one_row(self.rows, self.number))
            off = (part for part, box in self.parts.items() if not box.value)
            self.edited = self.question.edited(self.text.value).without(*off)

    def _vote(self) -> None:
        self.votes.value = votes_html(self._votes(self.question), self._votes(self.edited)) if self.edited else ""

    def _votes(self, question: Question) -> pd.DataFrame:
        votes = question.votes()
        if len(self.parts) < 2:
            return votes
        weights = {part: slider.value for part, slider in self.weights.items()}
        joined = question.joined(self.rule.value, weights) if question.parts else float("nan")
        return votes.assign(**{FUSION: joined})

    def _vote_again(self, _=None) -> None:
        """The models' answers alone: weights change nothing else."""
        with told_in(self.problem):
            self._vote()

    def _take_back(self, _=None) -> None:
        if not self._row.empty:
            self.text.value = self._row["text"].iloc[0]


class Decision(ipywidgets.VBox):
    """Keep, change or drop: what is chosen is in the list of suspects at once, see ``listing.set_action``.

    Nothing is chosen, and nothing written, until a person has decided; keep is a decision.
    """

    def __init__(self, path: str | Path, label_names: list[str]):
        self.path, self.label_names, self.number = path, label_names, None
        style = {"description_width": "7.5rem", "button_width": "6rem"}
        self.action = ipywidgets.ToggleButtons(options=ACTIONS, value=None, description="label", style=style)
        self.label = ipywidgets.Dropdown(options=label_names, description="change to", **WIDE)
        self.told, self.problem = ipywidgets.HTML(), ipywidgets.HTML()
        super().__init__([self.action, self.label, self.told, self.problem] if path else [])
        for control in (self.action, self.label):
            control.observe(self._write, "value")

    def show(self, number: int | None) -> None:
        """The decision on row ``number`` as it stands in the list; without one where the row is no suspect."""
        self.number = number
        with told_in(self.problem):
            listed = listing.read_suspects(self.path) if self.path else pd.DataFrame({"row": []}, dtype=str)
            found = listed[listed["row"].str.strip() == str(number)]
            self.action.disabled = self.label.disabled = found.empty
            self.told.value = "<p>The row is not on the list of suspect labels.</p>" if number is not None else ""
            for _, line in found.head(1).iterrows():
                self._set(line)

    def _set(self, line: pd.Series) -> None:
        names = dict.fromkeys([*self.label_names, line["suggested"]])
        action = line["action"].strip().casefold()
        with silent(self.action, self._write), silent(self.label, self._write):
            self.label.options = [(shortened(name, EXAMPLE) or "(none)", name) for name in names]
            self.label.value = line["suggested"]
            self.action.value = action if action in ACTIONS else None
        self._tell(line)

    def _write(self, _=None) -> None:
        if self.action.value is None:  # a label alone is no decision
            return
        with told_in(self.problem):
            listed = listing.set_action(self.path, self.number, self.action.value, self.label.value)
            self._tell(listed[listed["row"].str.strip() == str(self.number)].iloc[0])

    def _tell(self, line: pd.Series) -> None:
        text = f"Row {line['row']} is listed as suspect: given {line['label']}, suggested {line['suggested']}. "
        text += f"In {Path(self.path).name}: {line['action'].strip() or 'not decided'}."
        if line["split"] != "train":
            text += f" It is a {line['split']} row. {capital(REASONS['ROW_NOT_TRAINING'])}."
        self.told.value = f"<p>{escape(text)}</p>"
