#!/usr/bin/env python3
"""Confirms with ONNX Runtime what the manifest expects of a model on a picture set.

    pip install onnxruntime pillow numpy      # in a virtual environment; onnx too for --same-graph-as
    cargo run -p harness -- models fetch mobilenetv2-generated drawn --to DIR
    confirm_generated.py DIR                                  # generated model, drawn pictures
    confirm_generated.py DIR --same-graph-as REAL.onnx        # and: same operations, same shapes
    confirm_generated.py DIR --model mobilenetv2-1.0-224 --models-dir MODELS   # the real weights
    confirm_generated.py DIR --choose 1500                    # look for a better classifier seed

Preprocessing is Pillow's, so that neither engine nor preprocessing is the project's own.
Exit code 1 unless every class that the manifest expects comes out, and, for the generated model,
there is one for every picture and at least three of them differ.
"""

import argparse
import pathlib
import sys
import tomllib

import numpy as np
import onnxruntime
from PIL import Image

MODELS = pathlib.Path(__file__).resolve().parent.parent
# A smaller difference between the first two confidences says nothing across engines.
CLEAR_MARGIN = 0.05


def named(entries, name):
    return next(entry for entry in entries if entry["name"] == name)


def preprocess(path, description):
    width, height = description["width"], description["height"]
    picture = Image.open(path).convert("RGB")
    resize = description["resize"]
    if resize["rule"] == "centre-crop":
        scale = resize["shorter"] / min(picture.size)
        picture = picture.resize([round(side * scale) for side in picture.size], Image.Resampling.BILINEAR)
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        picture = picture.crop((left, top, left + width, top + height))
    else:
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = (np.asarray(picture, dtype=np.float32) - description["mean"]) / description["std"]
    assert description["layout"] == "NCHW"
    return pixels.transpose(2, 0, 1)[None].astype(np.float32)


def softmax(logits):
    exponentials = np.exp(logits - logits.max())
    return exponentials / exponentials.sum()


def confirm(session, model, pictures, pictures_dir):
    """Prints a line a picture; gives the top classes and whether all are as expected."""
    classes = [line.split("\t") for line in (MODELS / model["output"]["classes"]).read_text().splitlines()]
    offset = model["output"]["class-offset"]
    tops, good = [], True
    print(f"{'picture':22} {'top 1':10} {'confidence':>10} {'margin':>7} {'logit gap':>9}  label")
    for picture in pictures:
        batch = {model["input"]["name"]: preprocess(pictures_dir / picture["file"], model["input"])}
        logits = session.run([model["output"]["name"]], batch)[0][0]
        confidences = softmax(logits)[offset:]
        first, second = np.argsort(-confidences)[:2]
        class_id, label = classes[first][1], classes[first][2].split(",")[0]
        margin = confidences[first] - confidences[second]
        gap = logits[offset + first] - logits[offset + second]
        expected = picture.get("expected", {}).get(model["name"])
        remark = ""
        if expected is None:
            remark = "" if margin >= CLEAR_MARGIN else "  (margin too small to expect it)"
            good &= not model.get("generated", False)
        elif expected != class_id:
            remark, good = f"  EXPECTED {expected}", False
        print(f"{picture['file']:22} {class_id:10} {confidences[first]:10.5f} {margin:7.4f} {gap:9.4f}  {label}{remark}")
        tops.append(class_id)
    return tops, good


def graph_of(path):
    """Each node's operation, inputs (constants by shape, others by the node that makes them) and attributes."""
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    constants = {tensor.name: (tuple(tensor.dims), tensor.data_type) for tensor in model.graph.initializer}
    made_by, nodes = {}, []
    for at, node in enumerate(model.graph.node):
        inputs = [constants.get(name, made_by.get(name)) for name in node.input]
        if node.op_type == "Add":
            inputs.sort()
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        nodes.append((node.op_type, inputs, attributes))
        made_by.update({name: at for name in node.output})
    values = [*model.graph.input, *model.graph.output]
    ends = [(v.name, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim]) for v in values]
    return nodes, ends, [(o.domain, o.version) for o in model.opset_import]


def same_graph(ours, real):
    (nodes, ends, opset), (real_nodes, real_ends, real_opset) = graph_of(ours), graph_of(real)
    differing = sum(a != b for a, b in zip(nodes, real_nodes)) + abs(len(nodes) - len(real_nodes))
    print(f"{len(nodes)} nodes, the real model has {len(real_nodes)}; {differing} differ")
    print(f"ends {ends} opset {opset}; the real model's {real_ends} {real_opset}")
    return differing == 0 and ends == real_ends and opset == real_opset


def mix(state):
    """SplitMix64 as in models/src/random.rs, on arrays."""
    z = state + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def choose(path, model, pictures, pictures_dir, count):
    """Tries classifier seeds on the pictures' pooled features; prints the best by number of distinct classes."""
    import onnx

    graph = onnx.load(path)
    graph.graph.output.append(onnx.helper.make_tensor_value_info("pool", 1, None))
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    batch = np.concatenate([preprocess(pictures_dir / p["file"], model["input"]) for p in pictures])
    features = session.run(["pool"], {model["input"]["name"]: batch})[0][:, :, 0, 0]
    layer = sum(node.op_type == "Conv" for node in graph.graph.node) - 1
    outputs = 1001
    best = {}
    for seed in range(count):
        with np.errstate(over="ignore"):
            start = mix(mix(np.array([seed], np.uint64)) ^ np.uint64(layer))
            states = start + np.arange(outputs * 1280, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            bits = (mix(states) >> np.uint64(40)).astype(np.int64)
        uniform = (bits - (1 << 23)) / (1 << 23)
        weights = uniform.reshape(outputs, 1280) * np.sqrt(3 / 1280) * 8
        logits = (features - 3) @ weights.T
        tops = logits.argmax(1)
        if (tops == 0).any():
            continue  # the background class is no answer
        ranked = np.sort(logits, 1)
        gap = (ranked[:, -1] - ranked[:, -2]).min()
        distinct = len(set(tops))
        best[distinct] = max(best.get(distinct, (0, 0)), (float(gap), seed))
    for distinct, (gap, seed) in sorted(best.items()):
        print(f"{distinct} distinct classes: smallest logit gap {gap:.3f} with CLASSIFIER_SEED {seed}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", type=pathlib.Path, help="holds the pictures, and the model unless --models-dir")
    parser.add_argument("--models-dir", type=pathlib.Path)
    parser.add_argument("--model", default="mobilenetv2-generated")
    parser.add_argument("--pictures", default="drawn")
    parser.add_argument("--same-graph-as", type=pathlib.Path, metavar="ONNX")
    parser.add_argument("--choose", type=int, metavar="SEEDS")
    args = parser.parse_args()

    manifest = tomllib.loads((MODELS / "manifest.toml").read_text())
    model = named(manifest["model"], args.model)
    pictures = named(manifest["pictures"], args.pictures)["picture"]
    path = (args.models_dir or args.directory) / model["file"]
    if args.choose:
        choose(path, model, pictures, args.directory, args.choose)
        return 0

    print(f"{path.name}, onnxruntime {onnxruntime.__version__}")
    tops, good = confirm(onnxruntime.InferenceSession(path), model, pictures, args.directory)
    print(f"{len(set(tops))} distinct top classes on {len(tops)} pictures")
    if model.get("generated") and len(set(tops)) < 3:
        good = False
    if args.same_graph_as:
        good &= same_graph(path, args.same_graph_as)
    print("confirmed" if good else "NOT CONFIRMED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
