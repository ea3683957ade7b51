#!/usr/bin/env python3
"""Trains the small captioner that the project ships, exports it and measures it.

    pip install torch onnx onnxruntime numpy pillow        # in a virtual environment
    train_captioner.py                                     # some 10 minutes on one thread
    train_captioner.py --measure-only                      # of the files that are there

The pictures come from `cargo run -p models --example scenes` (the code in `models/src/scenes/`), the
network is in `captioner_network.py`. Written to `models/captioner/`: the model in Hugging Face's layout,
`model.json` (how it was made, what it can do, digests) and `expected.json` (what ONNX Runtime answers
to the scenes that the harness sends). Everything is seeded and runs on one thread.
"""

import argparse
import copy
import hashlib
import json
import pathlib
import platform
import subprocess
import time

import numpy as np

from captioner_search import Reference, pixels

MODELS = pathlib.Path(__file__).resolve().parent.parent
SEED = 1  # of the weights, the order and the training scenes
CHOICE_SEED = 11  # of the held-out scenes that are looked at while training
TEST_SEED = 21  # of the held-out scenes that are measured at the end
# As in models/src/scenes/mod.rs.
PAYLOAD_SEED, PAYLOADS = 2026, 32
BATCH = 32
LEARNING_RATE = 1.5e-3
WARM_UP = 100  # steps until the learning rate is reached
# The shipped weights are a moving average over about so many steps, which does what a falling learning rate
# does (Izmailov et al., "Averaging weights leads to wider optima", 2018) without knowing the last step before.
AVERAGED = 200
END = "<|endoftext|>"  # starts, ends and fills up sentences, as in GPT-2
LONGEST = 16
FILES = [
    "encoder_model.onnx", "decoder_model.onnx", "config.json", "generation_config.json", "preprocessor_config.json",
    "tokenizer.json",
]
PREPROCESSOR = {
    "do_normalize": True, "do_rescale": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
    "image_processor_type": "ViTImageProcessor", "resample": 2, "rescale_factor": 1 / 255,
    "size": {"height": 64, "width": 64},
}


def scenes(program, split, seed, count):
    """Yields (jpeg, caption) of scenes as the Rust code draws them."""
    with subprocess.Popen([*program, split, str(seed), str(count)], stdout=subprocess.PIPE) as drawing:
        for _ in range(count):
            caption, length = drawing.stdout.readline().decode().split("\t")
            yield drawing.stdout.read(int(length)), caption
    if drawing.returncode:
        raise SystemExit(f"drawing the scenes failed with {drawing.returncode}")


def vocabulary(captions):
    """Token by word. Words within a sentence begin with their space, which GPT-2 writes as Ġ."""
    words = {word for caption in captions for word in tokens_of(caption)}
    return {word: token for token, word in enumerate([END, *sorted(words)])}


def tokens_of(caption):
    return caption.replace(" ", " Ġ").split(" ")


def training_data(program, count):
    """Pictures [count, 3, 64, 64] as bytes, and token rows [count, LONGEST]: start, words, end, filled up."""
    pictures = np.empty((count, 3, 64, 64), np.uint8)
    captions = []
    for at, (jpeg, caption) in enumerate(scenes(program, "training", SEED, count)):
        # From [-1, 1] back to bytes, exactly: a quarter of the memory.
        pictures[at] = np.rint(pixels(jpeg, PREPROCESSOR) * 127.5 + 127.5)
        captions.append(caption)
    words = vocabulary(captions)
    rows = np.zeros((count, LONGEST), np.int64)
    for row, caption in zip(rows, captions):
        said = tokens_of(caption)
        row[1 : len(said) + 1] = [words[word] for word in said]
    return pictures, rows, words


def train(pictures, rows, words, steps, check):
    import torch

    from captioner_network import Captioner

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    order = np.random.default_rng(SEED)
    captioner = Captioner(len(words))
    print(f"{sum(p.numel() for p in captioner.parameters())} parameters, {len(words)} tokens", flush=True)
    average = copy.deepcopy(captioner)
    optimiser = torch.optim.AdamW(captioner.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: min(1.0, (step + 1) / WARM_UP))
    used = (rows != 0).sum(1).max() + 2  # start, words, end
    began, waiting = time.time(), np.empty(0, np.int64)
    for step in range(1, steps + 1):
        if len(waiting) < BATCH:
            waiting = np.concatenate([waiting, order.permutation(len(rows))])
        batch, waiting = waiting[:BATCH], waiting[BATCH:]
        seen = torch.from_numpy(pictures[batch]).float() / 127.5 - 1
        said = torch.from_numpy(rows[batch, :used])
        inputs, targets = said[:, :-1], said[:, 1:].clone()
        # The first token after the words is the end and to be learnt; the fillers after it are not.
        targets[(inputs == 0) & (torch.arange(used - 1) > 0)] = -100
        logits = captioner(seen, inputs)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(captioner.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        follow(average, captioner, 1 / min(AVERAGED, 1 + step / 10))
        if step % 100 == 0:
            print(f"step {step}, loss {loss.item():.4f}, {time.time() - began:.0f} s", flush=True)
        if step % 500 == 0 or step == steps:
            print(f"step {step}, exact on held-out scenes {check(average):.3f}", flush=True)
    return average, time.time() - began


def follow(average, captioner, share):
    """Moves every number of `average` by this share towards `captioner`'s."""
    ours, theirs = average.state_dict(), captioner.state_dict()
    for name, value in ours.items():
        if value.is_floating_point():
            value.lerp_(theirs[name], share)


def torch_exact(captioner, jpegs, captions, words):
    """Share of exact captions, by PyTorch."""
    import torch

    captioner.eval()
    names = {token: word for word, token in words.items()}
    with torch.no_grad():
        seen = captioner.encoder(torch.from_numpy(np.stack([pixels(jpeg, PREPROCESSOR) for jpeg in jpegs])))
        said = torch.zeros(len(jpegs), 1, dtype=torch.int64)
        while said.shape[1] < LONGEST:
            said = torch.cat([said, captioner.decoder(said, seen)[:, -1].argmax(-1, keepdim=True)], 1)
    told = ["".join(names[token] for token in until_end(row.tolist()[1:])).replace("Ġ", " ") for row in said]
    return np.mean([ours == caption for ours, caption in zip(told, captions)])


def until_end(tokens):
    return tokens[: tokens.index(0)] if 0 in tokens else tokens


def write_json(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False, sort_keys=True) + "\n")


def write_layout(folder, words):
    """The files beside the weights, as Hugging Face lays them out."""
    ids = {"bos_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    write_json(folder / "config.json", {
        "architectures": ["ScenesCaptioner"], "model_type": "vision-encoder-decoder", **ids,
        "vocab_size": len(words), "decoder": {"n_positions": LONGEST, "vocab_size": len(words)},
    })
    write_json(folder / "generation_config.json", {**ids, "max_length": LONGEST, "num_beams": 4})
    write_json(folder / "preprocessor_config.json", PREPROCESSOR)
    # Each word is one token, so nothing is ever merged.
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = {"normalized": False, "lstrip": False, "rstrip": False, "single_word": False, "special": True}
    write_json(folder / "tokenizer.json", {
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": [{"id": 0, "content": END, **special}],
        "pre_tokenizer": byte_level, "post_processor": byte_level, "decoder": byte_level,
        "model": {"type": "BPE", "vocab": words, "merges": [], "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": False},
    })


def equals_torch(captioner, folder, jpegs):
    """Largest difference of the logits between ONNX Runtime and PyTorch, over several shapes."""
    import torch

    reference, largest = Reference(folder), 0.0
    for count, length in [(1, 1), (3, 7), (len(jpegs), LONGEST)]:
        batch = np.stack([pixels(jpeg, PREPROCESSOR) for jpeg in jpegs[:count]])
        said = np.random.default_rng(SEED).integers(0, captioner.decoder.token.num_embeddings, (count, length))
        with torch.no_grad():
            ours = captioner(torch.from_numpy(batch), torch.from_numpy(said)).numpy()
        seen = reference.encoder.run(None, {"pixel_values": batch})[0]
        theirs = reference.decoder.run(None, {"input_ids": said, "encoder_hidden_states": seen})[0]
        largest = max(largest, float(np.abs(ours - theirs).max()))
    return largest


def measure(reference, program, split, count):
    """Share of scenes of which every word is right, and some that went wrong."""
    pairs = list(scenes(program, split, TEST_SEED, count))
    wrong, right = [], 0
    for start in range(0, count, 100):
        part = pairs[start : start + 100]
        for told, (_, caption) in zip(reference.greedy([jpeg for jpeg, _ in part]), part):
            right += told == caption
            if told != caption:
                wrong.append((caption, told))
    for caption, told in wrong[:5]:
        print(f"  {split}: {told!r} is {caption!r}")
    return {"scenes": count, "exact": right, "accuracy": round(right / count, 4)}


def expected(reference, program):
    """What ONNX Runtime answers to the scenes that the harness sends."""
    answers = []
    for index, (jpeg, caption) in enumerate(scenes(program, "held-out", PAYLOAD_SEED, PAYLOADS)):
        answers.append({
            "picture": f"scene-held-out-{PAYLOAD_SEED}-{index}.jpg", "sha256": hashlib.sha256(jpeg).hexdigest(),
            "truth": caption, "greedy": reference.greedy([jpeg])[0], "beams_4": reference.beams(jpeg, 4),
        })
    return answers


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=MODELS / "captioner")
    parser.add_argument("--scenes", type=int, default=24_000, help="to learn from")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--test-scenes", type=int, default=1_000)
    parser.add_argument("--program", help="the compiled example `scenes`; else cargo runs it")
    parser.add_argument("--measure-only", action="store_true")
    args = parser.parse_args()
    cargo = ["cargo", "run", "-q", "--manifest-path", str(MODELS / "Cargo.toml"), "--example", "scenes", "--"]
    program = [args.program] if args.program else cargo
    args.out.mkdir(exist_ok=True)

    description = args.out / "model.json"
    if args.measure_only:
        made = json.loads(description.read_text())
    else:
        made = make(args, program)
    reference = Reference(args.out)
    made["accuracy"] = {
        "held-out": measure(reference, program, "held-out", args.test_scenes),
        "novel": measure(reference, program, "novel", args.test_scenes),
    }
    write_json(args.out / "expected.json", expected(reference, program))
    made["files"] = [
        {"file": name, "bytes": (args.out / name).stat().st_size,
         "sha256": hashlib.sha256((args.out / name).read_bytes()).hexdigest()}
        for name in FILES
    ]
    write_json(description, made)
    print(json.dumps(made["accuracy"], indent=1))


def make(args, program):
    """Trains, exports and checks; gives what `model.json` says of it."""
    import torch

    from captioner_network import export

    pictures, rows, words = training_data(program, args.scenes)
    watched = list(scenes(program, "held-out", CHOICE_SEED, 200))
    jpegs, captions = zip(*watched)
    captioner, seconds = train(
        pictures, rows, words, args.steps, lambda captioner: torch_exact(captioner, jpegs, captions, words)
    )
    export(captioner, args.out)
    write_layout(args.out, words)
    difference = equals_torch(captioner, args.out, jpegs[:8])
    print(f"ONNX Runtime differs from PyTorch by {difference:.1e} at most")
    if difference > 1e-3:
        raise SystemExit("the exported files compute something else than the trained network")
    return {
        "name": "scenes-captioner", "licence": "Apache-2.0", "seed": SEED, "test_seed": TEST_SEED,
        "training": {
            "scenes": args.scenes, "steps": args.steps, "batch": BATCH, "wall_clock_s": round(seconds),
            "torch": torch.__version__, "python": platform.python_version(),
        },
        "parameters": sum(p.numel() for p in captioner.parameters()),
    }


if __name__ == "__main__":
    main()
