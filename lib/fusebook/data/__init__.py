"""The table and its rows: read, checked, split, and what the encoders and models made of them.

tables      a table in any encoding, every value as text
checks      ``Table``: it, every row looked at and mended, with a reason for all that is refused
files       pictures and sounds: read, and what can be said of them without a model
splits      which rows are copies of each other; training, validation and test rows
features    ``Features``: blocks of numbers, and which rows have which part
dataset     ``Dataset``: rows with parts, labels, groups and features
predictions ``Predictions``: what models answered about the same rows
known_sets  what is known of the sets that ``fusebook fetch`` reads; fetch gets them
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"checks": ["Table"], "splits": ["split_rows"]}
)
