"""Captions with ONNX Runtime and plain code: the engine that the function's answers are held against.

Reads a folder in Hugging Face's layout; pictures go through Pillow. `greedy` and `beams` follow
transformers' `generate` (4.44: `_sample` without sampling, `_beam_search` with BeamSearchScorer,
length_penalty 1, early_stopping False), without its code.
"""

import io
import json

import numpy as np
import onnxruntime
from PIL import Image


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def pixels(jpeg, preprocessor):
    """A picture as transformers' ViTImageProcessor gives it: [3, height, width]."""
    size = (preprocessor["size"]["width"], preprocessor["size"]["height"])
    picture = Image.open(io.BytesIO(jpeg)).convert("RGB").resize(size, preprocessor["resample"])
    scaled = np.asarray(picture, dtype=np.float32) * preprocessor["rescale_factor"]
    normal = (scaled - np.float32(preprocessor["image_mean"])) / np.float32(preprocessor["image_std"])
    return normal.transpose(2, 0, 1).astype(np.float32)


class Reference:
    """The captioner in a folder."""

    def __init__(self, folder):
        def read(name):
            return json.loads((folder / name).read_text())

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.encoder, self.decoder = (
            onnxruntime.InferenceSession(folder / f"{part}_model.onnx", options) for part in ("encoder", "decoder")
        )
        self.preprocessor = read("preprocessor_config.json")
        generation = read("generation_config.json")
        self.start, self.end = generation["decoder_start_token_id"], generation["eos_token_id"]
        self.longest = generation["max_length"]
        self.words = {token: word for word, token in read("tokenizer.json")["model"]["vocab"].items()}

    def see(self, jpegs):
        batch = np.stack([pixels(jpeg, self.preprocessor) for jpeg in jpegs])
        return self.encoder.run(None, {"pixel_values": batch})[0]

    def next_scores(self, said, seen):
        """Logarithms of the probabilities of the next token, for each row of `said`."""
        logits = self.decoder.run(["logits"], {"input_ids": said, "encoder_hidden_states": seen})[0]
        return log_softmax(logits[:, -1].astype(np.float64))

    def sentence(self, tokens):
        """The words of some tokens, of which the first starts the sentence."""
        text = "".join(self.words[int(token)] for token in tokens[1:] if token != self.end)
        return text.replace("Ġ", " ").strip()

    def greedy(self, jpegs):
        """Each picture's sentence, always the likeliest token next."""
        seen = self.see(jpegs)
        said = np.full((len(jpegs), 1), self.start, dtype=np.int64)
        ended = np.zeros(len(jpegs), dtype=bool)
        while said.shape[1] < self.longest and not ended.all():
            token = np.where(ended, self.end, self.next_scores(said, seen).argmax(-1))
            said = np.concatenate([said, token[:, None]], 1)
            ended |= token == self.end
        return [self.sentence(row) for row in said]

    def beams(self, jpeg, width=4):
        """One picture's likeliest sentence by beam search; likelihoods count per token."""
        seen = np.repeat(self.see([jpeg]), width, 0)
        said = np.full((width, 1), self.start, dtype=np.int64)
        scores = np.array([0.0] + [-1e9] * (width - 1))
        whole = []  # (score a token, tokens), at most `width`
        done = False

        def keep(score, tokens, length):
            whole.append((score / length, tokens))
            whole.sort(key=lambda entry: -entry[0])
            del whole[width:]

        while said.shape[1] < self.longest and not done:
            total = scores[:, None] + self.next_scores(said, seen)
            order = np.argsort(-total, axis=None, kind="stable")[: 2 * width]
            beams, tokens = np.unravel_index(order, total.shape)
            length = said.shape[1]  # generated tokens, the coming one included and the start not
            going_on = []
            for rank, (beam, token) in enumerate(zip(beams, tokens)):
                if token != self.end:
                    going_on.append((total[beam, token], np.append(said[beam], token)))
                elif rank < width:
                    keep(total[beam, token], said[beam], length)
                if len(going_on) == width:
                    break
            scores = np.array([score for score, _ in going_on])
            said = np.stack([tokens for _, tokens in going_on])
            best = total[beams[0], tokens[0]]
            done = len(whole) == width and whole[-1][0] >= best / length
        if not done:
            for score, tokens in zip(scores, said):
                keep(score, tokens, said.shape[1] - 1)
        return self.sentence(whole[0][1])
