"""How good, how sure, and better than what? Tables from ``Predictions``, most of them over resampled test rows.

scores      every model's scores with intervals; by class, by length of the text, by confidence
comparison  two models on the same rows
fusion      what a fusion gains, and what it does with its parts
sizes       would more training rows help?
common_rows several finished runs, and the test rows that all of them have
measures    ten measures as sums over rows; takes plain arrays, as the next does
intervals   rows drawn again and again
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "measures": ["MEASURES"],
        "scores": [
            "accuracy_by_length", "answered", "best_of", "calibration_table", "class_table", "cost_table", "count_text",
            "coverage_table", "interval_text", "majority_share", "number_text", "readable", "scaling_table",
            "score_table", "share_text",
        ],
        "comparison": ["compare_families", "compare_pairs", "comparison_text", "severity", "verdicts"],
        "fusion": [
            "audited", "fusion_table", "gate_shares", "ledger", "ledger_counts", "ledger_verdicts", "readable_fusions",
            "readable_subsets", "shuffle_audit", "shuffle_kinds", "shuffle_verdicts", "subset_table", "surest_changes",
        ],
        "sizes": ["size_curve", "verdict"],
    },
)  # fmt: skip
