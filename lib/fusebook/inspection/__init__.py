"""One row at a time: why this answer, what if the row were otherwise, and which row to look at.

question : one row put to the models, encoded once: Question.of(run, row)
occlusion : leave words out, cover patches, mute bands and moments
listing : all rows with what a model said of them: Listing(rows, predictions, model, suspects="", slices=None), its worst
    rows, thresholds, a person's decisions, .twin(models, bundle=None, explained=0, most_bytes=…), .inspector(bundle)
cards : rows as HTML: row_cards(table), mistake_cards(mistakes, data, most), pair_table(mistakes); Mistakes are of errors
widgets, row_widgets : the inspector of notebook 05_inspect
twin, twin_data : the inspector's twin on a page, which needs no kernel
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "question": ["Question"],
        "listing": ["Listing"],
        "cards": ["mistake_cards", "pair_table", "row_cards"],
    },
)
