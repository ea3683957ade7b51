"""The small captioner: a convolutional stem and a transformer layer see, a GPT-2-like decoder says.

Same division as in ViT-GPT2 (Hugging Face's vision-encoder-decoder): the encoder gives one vector a
place, the decoder looks at all of them while it says word after word. Layers are normalised before
use as in GPT-2 (Radford et al., 2019); the stem is convolutional because that learns from far fewer
pictures than patches do (Xiao et al., "Early convolutions help transformers see better", 2021).
"""

from inspect import signature

import torch
from torch import nn

SIDE = 64  # of the input picture, pixels
PLACES = (SIDE // 8) ** 2  # vectors that the encoder gives
WIDTH = 96  # of every vector
HEADS = 4
DECODER_LAYERS = 2
LONGEST = 16  # tokens, start and end included


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017) of `x` to `to`; `mask` is added to the scores."""

    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x, to, mask=None):
        def heads(vectors):
            return vectors.reshape(vectors.shape[0], -1, HEADS, WIDTH // HEADS).transpose(1, 2)

        query, key, value = heads(self.query(x)), heads(self.key(to)), heads(self.value(to))
        scores = query @ key.transpose(-1, -2) * (WIDTH // HEADS) ** -0.5
        if mask is not None:
            scores = scores + mask
        mixed = (scores.softmax(-1) @ value).transpose(1, 2)
        return self.out(mixed.reshape(mixed.shape[0], -1, WIDTH))


def feed_forward():
    return nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 4 * WIDTH), nn.ReLU(), nn.Linear(4 * WIDTH, WIDTH))


class Encoder(nn.Module):
    """pixel_values [batch, 3, SIDE, SIDE] to last_hidden_state [batch, PLACES, WIDTH]."""

    def __init__(self):
        super().__init__()
        channels = [3, 24, 48, WIDTH]
        stem = []
        for before, after in zip(channels, channels[1:]):
            stem += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.stem = nn.Sequential(*stem)
        # As strong as what the stem sees, because half of a caption is about places.
        self.position = nn.Parameter(torch.randn(PLACES, WIDTH) * 0.3)
        self.before_attention, self.attention = nn.LayerNorm(WIDTH), Attention()
        self.think = feed_forward()
        self.after = nn.LayerNorm(WIDTH)

    def forward(self, pixel_values):
        x = self.stem(pixel_values).flatten(2).transpose(1, 2) + self.position
        seen = self.before_attention(x)
        x = x + self.attention(seen, seen)
        return self.after(x + self.think(x))


class DecoderLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.before_self, self.to_self = nn.LayerNorm(WIDTH), Attention()
        self.before_cross, self.to_picture = nn.LayerNorm(WIDTH), Attention()
        self.think = feed_forward()

    def forward(self, x, picture, mask):
        said = self.before_self(x)
        x = x + self.to_self(said, said, mask)
        x = x + self.to_picture(self.before_cross(x), picture)
        return x + self.think(x)


class Decoder(nn.Module):
    """input_ids [batch, tokens] and encoder_hidden_states to logits [batch, tokens, vocabulary]."""

    def __init__(self, vocabulary):
        super().__init__()
        self.token = nn.Embedding(vocabulary, WIDTH)
        nn.init.normal_(self.token.weight, std=0.1)
        self.position = nn.Parameter(torch.randn(LONGEST, WIDTH) * 0.1)
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(DECODER_LAYERS))
        self.after = nn.LayerNorm(WIDTH)
        # Nothing said is influenced by what comes after it.
        self.register_buffer("mask", torch.full((LONGEST, LONGEST), -1e4).triu(1))

    def forward(self, input_ids, encoder_hidden_states):
        tokens = input_ids.shape[1]
        x = self.token(input_ids) + self.position[:tokens]
        for layer in self.layers:
            x = layer(x, encoder_hidden_states, self.mask[:tokens, :tokens])
        # The embedding says which words fit, as in GPT-2.
        return self.after(x) @ self.token.weight.T


class Captioner(nn.Module):
    def __init__(self, vocabulary):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder(vocabulary)

    def forward(self, pixel_values, input_ids):
        return self.decoder(input_ids, self.encoder(pixel_values))


def export(captioner, folder):
    """Writes `encoder_model.onnx` and `decoder_model.onnx` with Hugging Face's names of inputs and outputs."""
    captioner.eval()
    picture = torch.zeros(2, 3, SIDE, SIDE)
    places = torch.zeros(2, PLACES, WIDTH)
    ids = torch.zeros(2, 5, dtype=torch.int64)
    free = {0: "batch_size"}
    said = {0: "batch_size", 1: "decoder_sequence_length"}
    for module, inputs, names, output, axes in [
        (captioner.encoder, (picture,), ["pixel_values"], "last_hidden_state", [free, free]),
        (captioner.decoder, (ids, places), ["input_ids", "encoder_hidden_states"], "logits", [said, free, said]),
    ]:
        name = "encoder_model.onnx" if module is captioner.encoder else "decoder_model.onnx"
        # Newer versions of PyTorch have another exporter, too, and lately by default.
        classic = {"dynamo": False} if "dynamo" in signature(torch.onnx.export).parameters else {}
        torch.onnx.export(
            module, inputs, str(folder / name), opset_version=14, input_names=names, output_names=[output],
            dynamic_axes=dict(zip([*names, output], axes)), **classic,
        )
