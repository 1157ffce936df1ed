"""The CNN's parts against Keras and plain loops; pretrained networks from a file."""

import numpy as np

from fusebook import image_networks


def test_halving_is_max_pooling():
    import keras

    pictures = np.random.default_rng(0).normal(size=(3, 8, 6, 5)).astype("float32")
    np.testing.assert_array_equal(
        image_networks._halve(keras.ops.array(pictures)), keras.layers.MaxPooling2D()(pictures)
    )
