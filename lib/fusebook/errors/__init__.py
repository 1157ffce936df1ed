"""Where and why a model is wrong, and which labels may be wrong themselves.

mistakes     a line a row, confused pairs, the weakest class, the surest mistakes
facts        what can be said of a row without a model
slices       facts that rows with mistakes have in common
shortcuts    small parts of a text that give the label away
suspects     labels that may be wrong, judged by models that have not seen them
corrections  what a person decided about them, and what it brought
faults       planted faults, against those that were found
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "mistakes": ["calibration_verdicts", "class_verdicts", "confident_mistakes", "confused_pairs",
                     "confusion_matrix", "nearest_training_rows", "pair_verdicts", "row_table", "short_names"],
        "facts": ["facts_table"],
        "slices": ["SliceFinder", "find_slices", "members_table", "slice_verdicts"],
        "shortcuts": ["probe", "shortcut_verdicts"],
        "suspects": ["label_suspects", "out_of_fold", "overlapping_pairs", "planted_verdicts", "suspect_list",
                     "suspect_scores", "suspect_verdicts"],
        "corrections": ["apply_corrections", "corrected_rows", "correction_gain", "correction_verdicts", "with_edits"],
        "faults": ["check_scores", "check_verdict", "planted_labels"],
    },
)  # fmt: skip
