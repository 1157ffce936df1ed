"""The inspector of notebook 05: find rows, look at one, change it, decide on its label.

Thin shells around functions that the notebook also calls once without a widget. What is shown is the value of an HTML
widget and not the content of an Output widget, whose messages nbclient has to answer: with those it now and then misses
the end of a cell and waits for ever.
"""

import ipywidgets
import pandas as pd
import traitlets

from fusebook.findings import shortened
from fusebook.inspection import listing
from fusebook.inspection.cards import EXAMPLE, HEAD_LINE, row_line
from fusebook.inspection.row_widgets import WIDE, Decision, RowCard, side_by_side, silent, told_in
from fusebook.models.bundle import Bundle

SHARE = {"min": 0, "max": 1, "step": 0.01, "continuous_update": False}
_ANY = "any"
_SPLITS = [(_ANY, ""), ("test", "test"), ("validation", "validation"), ("train (suspects only)", "train")]
# Not values of the options themselves: ipywidgets takes None for no choice.
_OUTCOMES = {_ANY: None, "right": True, "wrong": False}
_ORDERS = [
    ("loss, largest first", ("loss", False)), ("confidence, lowest first", ("confidence", True)),
    ("confidence, highest first", ("confidence", False)), ("suspicion, highest first", ("suspicion", False)),
    ("row number", ("row", True)),
]  # fmt: skip


class Inspector(ipywidgets.VBox):
    """Filters and a paged table of rows, and the card of the row chosen, with all that can be changed about it.

    The row that its ``Finder`` has chosen is what its ``RowCard`` and its ``Decision`` show.
    """

    def __init__(self, listed: listing.Listing, bundle: Bundle):
        self.listed, self.finder = listed, Finder(bundle.label_names, listed.slices)
        self.card, self.decision = RowCard(bundle, listed.rows), Decision(listed.suspects, bundle.label_names)
        names = bundle.models.names
        self.model = ipywidgets.Dropdown(options=names, value=bundle.chosen, description="model", **WIDE)
        super().__init__([self.model, self.finder, self.card, self.decision])
        self.model.observe(self._ask, "value")
        self._ask()
        self.finder.observe(self._show, "row")
        self._show()

    def _ask(self, change: dict | None = None) -> None:
        self.card.model, before = self.model.value, self.finder.row
        self.finder.look_through(self.listed.about(self.model.value))
        if change and self.finder.row == before:  # the same row, as another model sees it
            self.card.update()

    def _show(self, _=None) -> None:
        self.card.show(self.finder.row)
        self.decision.show(self.finder.row)


class Finder(ipywidgets.VBox):
    """Filters, order, threshold and the pages of rows found; ``row`` is the number of the row chosen, or None."""

    row = traitlets.Int(None, allow_none=True)

    def __init__(self, label_names: list[str], slices: pd.DataFrame | None = None):
        self.filters = _filters(label_names, [] if slices is None else sorted(slices["slice"].unique()))
        self.order = ipywidgets.Dropdown(options=_ORDERS, description="sorted by", **WIDE)
        narrow = WIDE | {"layout": {"width": "13rem"}}
        self.page = ipywidgets.BoundedIntText(1, min=1, max=1, description="page", **narrow)
        self.threshold = ipywidgets.FloatSlider(0, **SHARE, description="threshold", **WIDE)
        self.numbers: list[int] = []  # of the rows on the page
        self.told, self.covered, self.problem = (ipywidgets.HTML() for _ in range(3))
        self.lines = [_line(ipywidgets.Button()) for _ in range(listing.PAGE_SIZE)]
        self.head = _line(ipywidgets.HTML(), HEAD_LINE)
        self.listed = ipywidgets.VBox(layout={"overflow": "auto", "flex": "0 0 auto"})
        filters = side_by_side(*self.filters.values(), self.order)
        paged, sure = side_by_side(self.page, self.told), side_by_side(self.threshold, self.covered)
        super().__init__([filters, paged, self.problem, self.listed, sure])
        for control in (*self.filters.values(), self.order):
            control.observe(self._find, "value")
        self.page.observe(self._turn, "value")
        self.threshold.observe(self._cover, "value")
        self.observe(self._mark, "row")
        for line in self.lines:
            line.children[0].on_click(self._choose)

    def look_through(self, table: pd.DataFrame) -> None:
        """Look through ``table``, an ``listing.inspection_table``, from now on."""
        self.table = table
        self._find()

    def _find(self, _=None) -> None:
        with told_in(self.problem):
            wanted = {name: control.value for name, control in self.filters.items()}
            wanted["right"] = _OUTCOMES[wanted["right"]]
            by, rising = self.order.value
            self.found = listing.sort_rows(listing.filter_rows(self.table, **wanted), by, rising=rising)
            with silent(self.page, self._turn):
                self.page.value, self.page.max = 1, listing.page_count(len(self.found))
            self._turn()
            self._cover()
        if self.row not in self.numbers:  # set outside: what goes wrong with a row is not told here
            self.row = self.numbers[0] if self.numbers else None

    def _turn(self, _=None) -> None:
        page = listing.page_of(self.found, self.page.value).to_dict("records")
        self.numbers = [line["row"] for line in page]
        for line, box in zip(page, self.lines, strict=False):
            button, shown = box.children
            button.description, shown.value = f"row {line['row']}", row_line(line)
        self.listed.children = [self.head, *self.lines[: len(page)]] if page else []
        self.told.value = f"<p>{_found_text(len(self.found), self.page.max, self.filters['split'].value)}</p>"
        self._mark()

    def _mark(self, _=None) -> None:
        for number, box in zip(self.numbers, self.lines, strict=False):
            box.children[0].button_style = "primary" if number == self.row else ""

    def _cover(self, _=None) -> None:
        made = listing.coverage_and_accuracy(self.found, self.threshold.value)
        self.covered.value = f"<p>{listing.threshold_text(made, self.threshold.value)}</p>"

    def _choose(self, button: ipywidgets.Button) -> None:
        self.row = int(button.description.removeprefix("row "))


def _filters(label_names: list[str], slice_names: list[str]) -> dict[str, ipywidgets.Widget]:
    """A control for each argument of ``listing.filter_rows``."""
    labels, names = (
        [(_ANY, ""), *((shortened(name, EXAMPLE), name) for name in names)] for names in (label_names, slice_names)
    )
    options = {"split": _SPLITS, "label": labels, "predicted": labels, "right": list(_OUTCOMES), "slice_name": names}
    titles = {"label": "true class", "right": "outcome", "slice_name": "found slice"}
    made: dict[str, ipywidgets.Widget] = {
        name: ipywidgets.Dropdown(options=choices, description=titles.get(name, name), **WIDE)
        for name, choices in options.items()
    }
    made["split"].value = "test"
    made["slice_name"].disabled = not slice_names
    made["confidence"] = ipywidgets.FloatRangeSlider(value=(0, 1), **SHARE, description="confidence", **WIDE)
    hint = "any words, then Enter"
    made["search"] = ipywidgets.Text(description="text has", placeholder=hint, continuous_update=False, **WIDE)
    return made


def _line(first: ipywidgets.Widget, html: str = "") -> ipywidgets.HBox:
    """A line of the table: its number, and the rest as HTML."""
    first.layout = {"width": "6.5rem", "flex": "none"}
    return ipywidgets.HBox([first, ipywidgets.HTML(html, layout={"flex": "1 1 auto"})])


def _found_text(n_rows: int, n_pages: int, split: str) -> str:
    """What was found, as a sentence."""
    if not n_rows:
        return "No row is as asked. Widen the range, or set a filter to “any”."
    text = f"of {n_pages:,}; {n_rows:,} rows found."
    if split == "train":
        text += " Of training rows only label suspects are listed, without a prediction: the models learnt from them."
    return text
