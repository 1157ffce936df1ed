"""How good, how sure, and better than what? From ``Predictions``, most of it over resampled test rows.

scores      every model's scores with intervals: Scores(predictions)
confidence  may one model's confidence be trusted? Confidence(predictions, model)
guarantees  what may be promised of its answers: Guarantees(held, test, model)
comparison  models on the same rows: PairedTests(predictions, pairs, by_seed=by_seed)
fusion      what a fusion gains, and what it does with its parts: fusion_table, FusionAudit, Ledger(predictions, fusion)
sizes       would more training rows help? SizeCurve(data)
common_rows several finished runs, and the test rows that all of them have
measures    ten measures as sums over rows; takes plain arrays, as the next does
intervals   rows drawn again and again
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "scores": ["Scores", "number_text"],
        "confidence": ["Confidence"],
        "guarantees": ["Guarantees"],
        "comparison": ["PairedTests"],
        "fusion": ["FusionAudit", "Ledger", "fusion_table"],
        "sizes": ["SizeCurve"],
    },
)
