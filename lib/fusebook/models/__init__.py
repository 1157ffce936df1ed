"""Features to answers: networks, what joins their votes, the bundle to take away, and what they are measured against.

layers : the layers of a network: build, ask, save, load
training, lazy_adam : one way to train, and the optimiser that steps only where a batch has n-grams
calibration : temperature scaling, and what probabilities have to be
network : ``Network``, one MLP over the features of a data set
fusion : decision-level fusion, rules that join votes
bundle : ``Models``, all networks and rules of a run; ``Bundle``, saved and ready for new rows; its ``Answers`` to them
cross_fit : ``HeldOut``, answers about rows that a model was not trained on
baselines : linear models, nearest neighbours and majority, and what each costs
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "network": ["Network"],
        "bundle": ["Bundle", "Models"],
        "cross_fit": ["HeldOut"],
        "baselines": ["Baselines"],
    },
)
