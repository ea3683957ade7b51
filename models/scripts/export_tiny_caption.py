"""Makes the tiny ViT-GPT2 models that the function's caption workload is tested with.

Each is a VisionEncoderDecoderModel of `transformers` (ViT encoder, GPT-2 decoder with cross attention) with
random weights from a seed, written in the files of an ONNX export by Hugging Face `optimum`: encoder, decoder,
decoder with past keys, both in one (`decoder_model_merged.onnx`), tokenizer and settings. For each, `generate`
of `transformers` captions drawn pictures, greedily and with four beams, with and without its cache; what it
answers is `expected.json`, which the function must equal token for token.

    python export_tiny_caption.py export FOLDER --weights WEIGHTS   # makes the models
    python export_tiny_caption.py answer FOLDER --weights WEIGHTS   # asks this version, writes expected.json
    python export_tiny_caption.py check FOLDER --weights WEIGHTS    # compares another version with expected.json

`export` was run with Debian's python3-torch 1.13.1 and transformers 4.44.2, `answer` with torch 2.4.1 and
transformers 4.57.6 from the very same weights. The beam search of `transformers` was written anew in 4.50 and differs
since in when it ends: `check` with 4.44.2 finds 2 of 64 answers that differ, both of the model `penalty`.
Needs: torch, transformers, onnx, pillow, numpy.
"""

import argparse
import json
import shutil
import sys
from inspect import signature
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image, ImageDraw
from transformers import GPT2Config, GPT2LMHeadModel, VisionEncoderDecoderModel, ViTConfig, ViTImageProcessor, ViTModel

START = 0  # "<|endoftext|>": start, end and padding at once, as in the published model
WORDS = (
    "a an the red green blue grey disc square star line on in under of and two three small large left right "
    "sky sea wall field near far over with no one is it that this there photo picture drawing"
).split()
# Seeds whose captions differ in length and, between one beam and four, in words. `end` makes the end token
# likelier. One has its decoders in one file, too: they would be too large in all.
MODELS = {
    # The published model's generation settings, as its card uses them.
    "plain": {"seed": 20, "layers": 2, "end": 2.5, "generation": {"max_length": 16, "num_beams": 4}},
    "penalty": {
        "seed": 54, "layers": 1, "end": 1.0, "merged": True,
        "generation": {"max_length": 16, "num_beams": 4, "length_penalty": 2.0, "early_stopping": True},
    },
    "never": {
        "seed": 13, "layers": 1, "end": 1.5,
        "generation": {"max_length": 12, "num_beams": 3, "length_penalty": 0.5, "early_stopping": "never"},
    },
    "rules": {
        "seed": 14, "layers": 1, "end": 2.0, "resample": 3,
        "generation": {"max_length": 14, "num_beams": 4, "min_length": 7, "no_repeat_ngram_size": 2},
    },
}
BEAMS = [1, 2, 4, 8]
SIDE, PATCH = 24, 8


def draw(folder):
    """Pictures of several sizes, so that resizing is part of what is compared."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(5)
    for name, (width, height) in {"discs": (64, 48), "bars": (48, 80), "noise": (32, 32), "house": (20, 24)}.items():
        picture = Image.new("RGB", (width, height), tuple(int(v) for v in random.integers(0, 256, 3)))
        brush = ImageDraw.Draw(picture)
        for _ in range(5):
            colour = tuple(int(v) for v in random.integers(0, 256, 3))
            x, y = int(random.integers(0, width)), int(random.integers(0, height))
            box = [x, y, x + width // 3, y + height // 3]
            if name == "discs":
                brush.ellipse(box, fill=colour)
            elif name == "bars":
                brush.rectangle([x, 0, x + 4, height], fill=colour)
            elif name == "house":
                brush.polygon([(x, y), (x + 6, y + 9), (x - 6, y + 9)], fill=colour)
        if name == "noise":
            picture = Image.fromarray(random.integers(0, 256, (height, width, 3)).astype(np.uint8))
        picture.save(folder / f"{name}.png", optimize=True)


def vocabulary():
    """A byte-level vocabulary: the end, single bytes' letters, and the words with their space ('Ġ')."""
    tokens = ["<|endoftext|>", *"abcdefghijklmnopqrstuvwxyz", ".", "Ġ", *(f"Ġ{word}" for word in WORDS)]
    return {token: index for index, token in enumerate(tokens)}


def build(description):
    """The model, with weights so large that captions are not all alike."""
    torch.manual_seed(description["seed"])
    encoder = ViTConfig(
        hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=SIDE,
        patch_size=PATCH, initializer_range=0.5,
    )
    decoder = GPT2Config(
        vocab_size=len(vocabulary()), n_positions=32, n_embd=24, n_layer=description["layers"], n_head=2,
        add_cross_attention=True, is_decoder=True, initializer_range=0.35, bos_token_id=START, eos_token_id=START,
    )
    model = VisionEncoderDecoderModel(
        encoder=ViTModel(encoder, add_pooling_layer=False), decoder=GPT2LMHeadModel(decoder)
    )
    with torch.no_grad():
        # The words' embeddings are the weights of the logits, and this is added before them.
        towards_end = model.decoder.transformer.wte.weight[START]
        model.decoder.transformer.ln_f.bias += description["end"] * towards_end / towards_end.square().sum()
    return model.eval()


def settings(model, description):
    """Special tokens and generation settings, where `generate` looks for them."""
    tokens = {"decoder_start_token_id": START, "eos_token_id": START, "pad_token_id": START, "bos_token_id": START}
    for name, value in tokens.items():
        if name != "bos_token_id":
            setattr(model.config, name, value)
    model.generation_config = transformers.GenerationConfig(**tokens, **description["generation"])
    return model.generation_config


class FirstStep(torch.nn.Module):
    """Token ids and what the encoder saw, to logits and keys and values of each layer."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids, encoder_hidden_states):
        out = self.decoder(input_ids=input_ids, encoder_hidden_states=encoder_hidden_states, use_cache=True)
        return (out.logits, *[tensor for layer in out.past_key_values for tensor in layer])


class NextStep(torch.nn.Module):
    """The same for one token more, with the keys and values of those before."""

    def __init__(self, decoder):
        super().__init__()
        self.decoder = decoder

    def forward(self, input_ids, encoder_hidden_states, *past):
        layers = tuple(past[index : index + 2] for index in range(0, len(past), 2))
        out = self.decoder(
            input_ids=input_ids, encoder_hidden_states=encoder_hidden_states, past_key_values=layers, use_cache=True
        )
        return (out.logits, *[tensor for layer in out.past_key_values for tensor in layer])


def onnx(module, inputs, names, outputs, axes, path):
    # Newer versions of PyTorch have another exporter, too, and lately by default.
    classic = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
    torch.onnx.export(
        module, inputs, str(path), opset_version=14, input_names=names, output_names=outputs, dynamic_axes=axes,
        **classic,
    )


class Seen(torch.nn.Module):
    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder

    def forward(self, pixel_values):
        return self.encoder(pixel_values=pixel_values).last_hidden_state


def export(model, folder):
    layers, heads = model.decoder.config.n_layer, model.decoder.config.n_head
    width, places = model.decoder.config.n_embd, (SIDE // PATCH) ** 2 + 1
    pairs = [f"{layer}.{part}" for layer in range(layers) for part in ["key", "value"]]
    present, past = [f"present.{pair}" for pair in pairs], [f"past_key_values.{pair}" for pair in pairs]
    ids, seen = torch.ones(2, 3, dtype=torch.int64), torch.randn(2, places, width)
    cache = [torch.randn(2, heads, 3, width // heads) for _ in pairs]
    said = {0: "batch_size", 1: "decoder_sequence_length"}
    picture = {0: "batch_size", 1: "encoder_sequence_length"}
    kept = {name: {0: "batch_size", 2: "past_decoder_sequence_length + 1"} for name in present}
    onnx(
        Seen(model.encoder), (torch.randn(2, 3, SIDE, SIDE),), ["pixel_values"], ["last_hidden_state"],
        {"pixel_values": {0: "batch_size"}, "last_hidden_state": {0: "batch_size"}}, folder / "encoder_model.onnx",
    )
    common = {"input_ids": said, "encoder_hidden_states": picture, "logits": said, **kept}
    onnx(
        FirstStep(model.decoder), (ids, seen), ["input_ids", "encoder_hidden_states"], ["logits", *present], common,
        folder / "decoder_model.onnx",
    )
    onnx(
        NextStep(model.decoder), (ids[:, :1], seen, *cache), ["input_ids", "encoder_hidden_states", *past],
        ["logits", *present],
        {**common, **{name: {0: "batch_size", 2: "past_decoder_sequence_length"} for name in past}},
        folder / "decoder_with_past_model.onnx",
    )


def merge(folder):
    """Both decoders as the branches of one `If`, as `optimum` writes them."""
    import onnx
    from onnx import TensorProto, helper

    first = onnx.load(folder / "decoder_model.onnx")
    later = onnx.load(folder / "decoder_with_past_model.onnx")
    outer = {}
    for side, prefix in [(first, "first."), (later, "later.")]:
        graph = side.graph
        shared = {}
        for tensor in graph.initializer:
            key = tensor.SerializeToString().replace(tensor.name.encode(), b"")
            same = next((name for name, (other, _) in outer.items() if other == key), None)
            shared[tensor.name] = same or prefix + tensor.name
            outer.setdefault(shared[tensor.name], (key, tensor))
        for node in graph.node:
            node.name = prefix + node.name
            for index, name in enumerate(node.input):
                node.input[index] = shared.get(name, name)
        del graph.initializer[:]
    tensors = []
    for name, (_, tensor) in outer.items():
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = name
        tensors.append(copy)
    inputs = list(later.graph.input)
    flag = helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1])
    branches = {}
    for attribute, side in [("then_branch", later), ("else_branch", first)]:
        branches[attribute] = helper.make_graph(list(side.graph.node), attribute, [], list(side.graph.output))
    choice = helper.make_node(
        "If", ["use_cache_branch"], [output.name for output in first.graph.output], name="optimum::if", **branches
    )
    graph = helper.make_graph([choice], "merged", [*inputs, flag], list(first.graph.output), tensors)
    merged = helper.make_model(graph, opset_imports=list(first.opset_import))
    merged.ir_version = first.ir_version
    onnx.save(merged, folder / "decoder_model_merged.onnx")


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_settings(model, generation, processor, folder):
    words = vocabulary()
    write_json(folder / "config.json", model.config.to_dict())
    (folder / "generation_config.json").write_text(generation.to_json_string(use_diff=True))
    write_json(folder / "preprocessor_config.json", processor.to_dict())
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = {
        "id": START, "content": "<|endoftext|>", "single_word": False, "lstrip": False, "rstrip": False,
        "normalized": True, "special": True,
    }
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [special], "normalizer": None,
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "",
                  "end_of_word_suffix": "", "fuse_unk": False, "vocab": words, "merges": []},
    })


def text(tokens):
    names = {index: token for token, index in vocabulary().items()}
    return "".join(names[token] for token in tokens if token != START).replace("Ġ", " ").strip()


def ask(model, processor, pictures):
    """What `generate` answers to each picture, with each number of beams, with and without cache."""
    answers = []
    for picture in sorted(pictures.glob("*.png")):
        pixels = processor(Image.open(picture).convert("RGB"), return_tensors="pt").pixel_values
        for beams in BEAMS:
            said = []
            for cache in [False, True]:
                with torch.no_grad():
                    out = model.generate(
                        pixels, num_beams=beams, use_cache=cache, return_dict_in_generate=True, output_scores=True,
                    )
                said.append(out.sequences[0].tolist())
            if said[0] != said[1]:
                sys.exit(f"with and without cache differ for {picture.name}, {beams} beams: take another seed")
            score = out.sequences_scores[0].item() if beams > 1 else None
            answers.append({
                "picture": picture.name, "beams": beams, "tokens": said[0], "caption": text(said[0]), "score": score,
            })
    return answers


def processor_of(description):
    return ViTImageProcessor(size={"height": SIDE, "width": SIDE}, resample=description.get("resample", 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["export", "answer", "check"])
    parser.add_argument("folder", type=Path, help="function/tests/fixtures/caption")
    parser.add_argument("--weights", type=Path, required=True, help="folder that keeps the weights for the other steps")
    args = parser.parse_args()
    pictures = args.folder / "pictures"
    if args.what == "export":
        shutil.rmtree(args.folder, ignore_errors=True)
        draw(pictures)
        args.weights.mkdir(parents=True, exist_ok=True)
    wrong = 0
    for name, description in MODELS.items():
        folder, model, processor = args.folder / name, build(description), processor_of(description)
        kept = args.weights / f"{name}.pt"
        if args.what == "export":
            torch.save(model.state_dict(), kept)
        else:
            known = torch.load(kept, weights_only=True)
            missing, unknown = model.load_state_dict(known, strict=False)
            # Masks are buffers that versions keep or make as they like.
            if [key for key in [*missing, *unknown] if "bias" not in key.split(".")[-1] or "c_" in key]:
                print(f"{name}: not in both versions: {missing} {unknown}")
        generation = settings(model, description)
        if args.what == "export":
            folder.mkdir()
            write_settings(model, generation, processor, folder)
            export(model, folder)
            if description.get("merged"):
                merge(folder)
            continue
        answers = ask(model, processor, pictures)
        if args.what == "answer":
            write_json(folder / "expected.json", {
                "seed": description["seed"],
                "by": f"generate of transformers {transformers.__version__}, torch {torch.__version__}",
                "answers": answers,
            })
            for answer in answers:
                print(name, answer["picture"], answer["beams"], len(answer["tokens"]), answer["caption"])
            continue
        for said, known in zip(answers, json.loads((folder / "expected.json").read_text())["answers"], strict=True):
            equal = said["tokens"] == known["tokens"]
            wrong += not equal
            print("equal" if equal else "DIFFERS", name, said["picture"], said["beams"], said["tokens"])
    if args.what == "check":
        print(f"transformers {transformers.__version__}: {wrong} differ")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
