"""Each modality to numbers: an encoder is fitted on training rows and makes the same numbers from new ones.

text, tokens, ngrams, vectors, syntax  ``TextEncoder``, and what it is made of
image, audio                           ``ImageEncoder``, ``AudioEncoder``
cnn                                    small convolutional networks for both, and pretrained ones; imports Keras
parts                                  ``Encoders``: one a part, fitted, saved and loaded together
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "audio": ["AudioEncoder", "mel_example"],
        "image": ["ImageEncoder"],
        "parts": ["Encoders"],
        "text": ["TextEncoder", "length_quartiles"],
        "tokens": ["length_table", "tag_mix", "tagged_example", "telling_words"],
        "vectors": ["WordVectors"],
    },
)
