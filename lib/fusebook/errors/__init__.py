"""Where and why a model is wrong, and which labels may be wrong themselves.

mistakes     a line a row, confused pairs, the weakest class, the surest mistakes: Mistakes(predictions, model)
extremes     the lowest class, the most confused pair, the furthest slice: what would chance make of them?
facts        what can be said of a row without a model: facts_table(data, columns, table, wanted)
slices       facts that rows with mistakes have in common: Slices(facts, judged, model)
shortcuts    small parts of a text that give the label away: Shortcuts(data)
suspects     labels that may be wrong, judged by models that have not seen them: Suspects(data, judged, table, planted)
corrections  what a person decided about them: Corrections(rows, path)
faults       planted faults, against those that were found: PlantedFaults(rows, rejected, content, list_path)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "mistakes": ["Mistakes"],
        "facts": ["facts_table"],
        "slices": ["Slices"],
        "shortcuts": ["Shortcuts"],
        "suspects": ["Suspects"],
        "corrections": ["Corrections"],
        "faults": ["PlantedFaults"],
    },
)
