"""Flask + TensorFlow, MobileNetV2(weights=None): the same architecture, random weights (the real
ones cannot be downloaded here; its answers mean nothing, its cost does). One inference thread."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy
import tensorflow

from flask_common import serve

tensorflow.config.threading.set_intra_op_parallelism_threads(1)
tensorflow.config.threading.set_inter_op_parallelism_threads(1)
model = tensorflow.keras.applications.MobileNetV2(weights=None)
infer = tensorflow.function(
    lambda x: model(x, training=False),
    input_signature=[tensorflow.TensorSpec([1, 224, 224, 3], tensorflow.float32)],
)


def predict(pixels):
    tensor = ((pixels.astype(numpy.float32) - 127.5) / 127.5)[None]
    return infer(tensorflow.constant(tensor)).numpy()[0]


serve(predict, class_offset=0)
