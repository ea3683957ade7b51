"""Flask + ONNX Runtime on the same ONNX file as the function, one inference thread."""

import os

import numpy
import onnxruntime

from flask_common import serve

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(
    os.path.join(os.environ["MODELS_DIR"], "mobilenetv2-1.0-224.onnx"), options, providers=["CPUExecutionProvider"]
)


def predict(pixels):
    tensor = ((pixels.astype(numpy.float32) - 127.5) / 127.5).transpose(2, 0, 1)[None]
    logits = session.run(None, {"input": tensor})[0][0]
    exp = numpy.exp(logits - logits.max())
    return exp / exp.sum()


serve(predict, class_offset=1)
