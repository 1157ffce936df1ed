"""A run's pages: the notebooks are executed in order, each becomes a page of its own, and index.html is the first one.

runner executes what is not fresh · steps: the notebooks, what each reads, what is fresh · progress: the terminal
pages: a notebook as one HTML file · parts and tables of such a page · index: the first page
compare: what changed between runs
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(__name__, submod_attrs={"compare": ["Comparison"]})
