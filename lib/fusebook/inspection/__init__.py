"""One row at a time: why this answer, what if the row were otherwise, and which row to look at.

question : one row put to the models, encoded once: votes, what moved them, the row without a part or with another text
occlusion : leave words out, cover patches, mute bands and moments
listing : the table of rows to inspect, its filters and orders, the list of suspect labels and a person's decisions
cards : rows as HTML
widgets, row_widgets : the inspector of notebook 05_inspect
twin, twin_data : the inspector's twin on a page, which needs no kernel
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "question": ["Question", "judge_verdicts", "part_verdicts"],
        "occlusion": ["strongest_verdicts"],
        "listing": ["first_mistake", "inspection_table", "read_suspects", "threshold_table", "worst_rows"],
        "cards": ["mistake_cards", "pair_table", "row_card", "row_cards", "votes_html"],
        "widgets": ["inspector"],
        "twin": ["page_twin", "row_effects"],
    },
)
