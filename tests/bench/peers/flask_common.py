"""What both Flask peers share: the handler of the study that this project replaces, in few lines.

POST /predict takes a picture as the raw body and answers the top 5 classes; GET /health answers.
`predict(array)` is given by the peer: uint8 [224, 224, 3] -> probabilities over the classes.
"""

import io
import os
import time

import numpy
from flask import Flask, jsonify, request
from PIL import Image


def classes():
    path = os.path.join(os.path.dirname(__file__), "../../../models/imagenet_classes.tsv")
    with open(path, encoding="utf-8") as rows:
        return [row.rstrip("\n").split("\t") for row in rows]


def serve(predict, class_offset):
    app = Flask(__name__)
    names = classes()

    @app.get("/health")
    def health():
        return "ok"

    @app.post("/predict")
    def handle():
        start = time.perf_counter()
        picture = Image.open(io.BytesIO(request.get_data())).convert("RGB").resize((224, 224), Image.BILINEAR)
        probabilities = predict(numpy.asarray(picture))[class_offset:]
        best = numpy.argsort(probabilities)[::-1][:5]
        total = (time.perf_counter() - start) * 1000
        predictions = [
            {"class_id": names[i][1], "label": names[i][2], "confidence": float(probabilities[i])} for i in best
        ]
        return jsonify(predictions=predictions, timing_ms={"total": total})

    port = int(os.environ["PORT"])
    if os.environ.get("FLASK_SERVER") == "development":
        app.run(host="127.0.0.1", port=port, threaded=True)
    else:
        import waitress

        waitress.serve(app, host="127.0.0.1", port=port, threads=8, _quiet=True)
