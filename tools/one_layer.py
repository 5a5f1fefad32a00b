#!/usr/bin/env python3
"""What the chip's form of attention costs one layer of a llama model, apart from all that training end to end mends.

    one_layer.py MODEL.gguf --heads                     where each digital head looks, layer by layer
    one_layer.py MODEL.gguf --text FILE --layer L       trains that layer's Q, K, V and scalers on the digital layer's
        [--outputs plain|normalised] [--exact LIST]     inputs, and prints the share of each head's squares that is missed
        [--steps N]

A second, float implementation of MODEL.md, M1 to M18, M25 and M29 (no leakage, whole windows of 512 tokens), with
gradients by jax. --exact: signals among q,k,v,out that no converter rounds. --heads reads 60 random tokens three times:
"again" is the share of attention on the token behind the one that is read, where it stood before. Windows are drawn by
chance, those for the result like those to learn from: a few tokens may be in both.
Needs jax, numpy, gguf and build/bin/leyden (for tokens of --text).
"""
import argparse
import json
import os
import subprocess
import sys

import gguf
import jax
import jax.numpy as jnp
import numpy

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
T, TILE, S_SAT_UA, O_SAT_UA, TRAIN = 512, 64, 80, 40, 58
LAW = (0.5213636139, 13.612260634, -2.620445619, 46.05483778)  # uA, SPEC S1.5


class Model:
    def __init__(self, path):
        reader = gguf.GGUFReader(path)
        self.w = {t.name: jnp.array(gguf.dequantize(t.data, t.tensor_type), jnp.float32) for t in reader.tensors}
        number = lambda key: reader.fields["llama." + key].contents()
        self.n_layers, self.n_heads, self.n_kv = number("block_count"), number("attention.head_count"), number("attention.head_count_kv")
        self.eps, self.base = number("attention.layer_norm_rms_epsilon"), number("rope.freq_base")
        self.head_dim = self.w["blk.0.attn_q.weight"].shape[0] // self.n_heads

    def norm(self, x, name):
        return x / jnp.sqrt((x * x).mean(-1, keepdims=True) + self.eps) * self.w[name]

    def turn(self, x):
        angle = jnp.arange(x.shape[-2])[:, None] * self.base ** (-jnp.arange(0, self.head_dim, 2) / self.head_dim)
        c, s, even, odd = jnp.cos(angle), jnp.sin(angle), x[..., 0::2], x[..., 1::2]
        return jnp.stack([even * c - odd * s, even * s + odd * c], -1).reshape(x.shape)

    def heads(self, h, w):
        """q, k, v (heads, tokens, width) from rows, turned; w: the three matrices."""
        split = lambda m: (h @ m.T).reshape(*h.shape[:-1], -1, self.head_dim).swapaxes(-2, -3)
        return self.turn(split(w["q"])), self.turn(split(w["k"])), split(w["v"])

    def matrices(self, layer):
        return {s: self.w[f"blk.{layer}.attn_{s}.weight"] for s in "qkv"}

    def softmax(self, q, k, v):
        """Weights and outputs of all heads."""
        group, n = self.n_heads // self.n_kv, q.shape[-2]
        s = jnp.einsum("...id,...jd->...ij", q, jnp.repeat(k, group, -3)) / self.head_dim ** 0.5
        a = jax.nn.softmax(jnp.where(jnp.tril(jnp.ones((n, n), bool)), s, -1e9), -1)
        return a, jnp.einsum("...ij,...jd->...id", a, jnp.repeat(v, group, -3))

    def run(self, tokens):
        """Yields what each layer's attention gets, and its weights."""
        x = self.w["token_embd.weight"][tokens]
        for i in range(self.n_layers):
            p = f"blk.{i}."
            h = self.norm(x, p + "attn_norm.weight")
            a, out = self.softmax(*self.heads(h, self.matrices(i)))
            yield h, a
            x = x + out.swapaxes(0, 1).reshape(len(tokens), -1) @ self.w[p + "attn_output.weight"].T
            g = self.norm(x, p + "ffn_norm.weight")
            x = x + (jax.nn.silu(g @ self.w[p + "ffn_gate.weight"].T) * (g @ self.w[p + "ffn_up.weight"].T)) @ self.w[p + "ffn_down.weight"].T


def print_heads(model):
    once = numpy.random.default_rng(1).integers(1000, 20000, 60)
    i = numpy.arange(60, 180)
    for layer, (_, a) in enumerate(model.run(numpy.tile(once, 3))):
        shares = {"again": a[:, i, i - 59], "before": a[:, i, i - 1], "itself": a[:, i, i], "first": a[:, i, 0]}
        print(f"{layer:2}", " ".join(f"| {name} " + " ".join(f"{100 * x:3.0f}" for x in s.mean(-1)) for name, s in shares.items()), flush=True)


def inputs(model, path, layer):
    """(64, T, width): TRAIN windows to learn from, and 6 others, the last one random tokens again and again."""
    leyden = os.path.join(ROOT, "build", "bin", "leyden")
    text = open(path, encoding="utf-8", errors="ignore").read(4 << 20)
    command = [leyden, "tokenize", "-m", options.model, "--ids", "--no-special", "-f", "-"]
    found = subprocess.run(command, input=text, stdout=subprocess.PIPE, text=True, check=True)
    tokens = numpy.array(found.stdout.split(), int)
    if len(tokens) < 64 * T:
        sys.exit(f"one_layer.py: {path} has {len(tokens)} tokens, {64 * T} are needed")
    random = numpy.random.default_rng(5)
    windows = [tokens[at:at + T] for at in random.integers(0, len(tokens) - T, 63)]
    windows.append(numpy.resize(random.choice(tokens, 85), T))
    step = jax.jit(lambda t: [h for h, _ in model.run(t)][layer])
    return jnp.stack([step(jnp.array(w)) for w in windows])


def signals(text):
    if not set(text.split(",")) <= {"q", "k", "v", "out"}:
        raise argparse.ArgumentTypeError("must be of q,k,v,out")
    return text.split(",")


def rounded(x, low, high, levels, is_exact):
    x = jnp.clip(x, low, high)
    step = (high - low) / (levels - 1)
    return x if is_exact else x + jax.lax.stop_gradient(step * jnp.round(x / step) - x)  # straight through, S4.5


def chip(model, p, h, w):
    """Outputs of all heads on the chip; p: scalers, and what has been added to the matrices."""
    exact, normalised = options.exact, options.outputs == "normalised"
    q, k, v = model.heads(h, {s: w[s] + p["w" + s] for s in "qkv"})
    scaled = lambda x, s: jnp.exp(p["a" + s])[:, None, None] * x + p["b" + s][:, None, None]
    centred = lambda x: x - x.mean(-1, keepdims=True)
    group, n = model.n_heads // model.n_kv, h.shape[-2]
    stored = lambda x, s: jnp.repeat(jnp.polyval(jnp.array(LAW[::-1]), rounded(scaled(x, s), 0, 0.9, 8, s in exact) - 0.45), group, -3)
    pulse, k, v = rounded(scaled(q, "q"), 0, 1, 16, "q" in exact), stored(centred(k), "k"), stored(centred(v) if normalised else v, "v")
    phi = jnp.clip(jnp.einsum("...id,...jd->...ij", pulse, k) / S_SAT_UA, 0, 1) * jnp.tril(jnp.ones((n, n)))
    tiles = lambda x, at: x.reshape(*x.shape[:at], n // TILE, TILE, *x.shape[at + 1:] if at + 1 else ())
    a = jnp.einsum("...ing,...ngd->...ind", tiles(phi, -1), tiles(v, -2)) / O_SAT_UA
    y = scaled(rounded(a, -1, 1, 32, "out" in exact).sum(-2), "o")
    if normalised:
        m, x = y.mean(-1, keepdims=True), centred(y)
        y = p["size"][:, None, None] * x / jnp.sqrt(1 + jnp.maximum(m, 0) ** 2 + (x * x).mean(-1, keepdims=True) / 4)
    return y


def start(model, h, w):
    """Scalers in the ranges of the chip; the output's by least squares."""
    H, K, normalised = model.n_heads, model.n_kv, options.outputs == "normalised"
    q, k, v = model.heads(h, w)
    log_of = lambda x, want: jnp.log(want / x.std((0, 2, 3)))
    p = {"w" + s: jnp.zeros_like(w[s]) for s in "qkv"}
    p |= {"aq": log_of(q, 0.25), "ak": log_of(k, 0.22), "av": log_of(v, 0.22), "ao": jnp.zeros(H), "size": jnp.ones(H), "bo": jnp.zeros(H)}
    p |= {"bq": jnp.full(H, 0.4), "bk": jnp.full(K, 0.42), "bv": jnp.full(K, 0.58 if normalised else 0.43)}
    want = model.softmax(q, k, v)[1]
    if normalised:
        p["ao"] = jnp.full(H, jnp.log(30.0))
        got = chip(model, p, h, w)
        return p | {"size": jnp.maximum((want * got).sum((0, 2, 3)) / (got * got).sum((0, 2, 3)), 1e-3)}
    got = chip(model, p, h, w)
    mean = got.mean((0, 2, 3), keepdims=True)
    slope = jnp.clip((want * (got - mean)).sum((0, 2, 3)) / ((got - mean) ** 2).sum((0, 2, 3)), 1e-3, 10)
    return p | {"ao": jnp.log(slope), "bo": -slope * mean.ravel()}


def fit(model):
    w, h = model.matrices(options.layer), inputs(model, options.text, options.layer)
    p = start(model, h[:4], w)

    def missed(p, h):
        want = model.softmax(*model.heads(h, w))[1]
        each = ((chip(model, p, h, w) - want) ** 2).sum((0, 2, 3)) / (want ** 2).sum((0, 2, 3))
        return each.sum(), each

    slope, value = jax.jit(jax.grad(missed, has_aux=True)), jax.jit(missed)
    rate = {s: 7e-4 if s[0] == "w" else 0 if s == "size" else 0.02 if s[0] == "a" else 0.006 for s in p}
    first, second = ({s: jnp.zeros_like(x) for s, x in p.items()} for _ in range(2))
    random = numpy.random.default_rng(0)
    for i in range(options.steps + 1):
        if i in (0, options.steps):
            each = [float(x) for x in value(p, h[TRAIN:])[1]]
            print(json.dumps({"layer": options.layer, "outputs": options.outputs, "exact": options.exact, "step": i, "missed": round(sum(each) / len(each), 3), "heads": [round(x, 2) for x in each]}), flush=True)
        g, _ = slope(p, h[random.integers(0, TRAIN, 2)])
        share = min(1, (i + 1) / 20) * (1 - 0.95 * max(0, (i / options.steps - 0.3) / 0.7))
        for s in p:  # Adam
            first[s] = 0.9 * first[s] + 0.1 * g[s]
            second[s] = 0.99 * second[s] + 0.01 * g[s] ** 2
            p[s] -= share * rate[s] * first[s] / (1 - 0.9 ** (i + 1)) / (jnp.sqrt(second[s] / (1 - 0.99 ** (i + 1))) + 1e-12)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--text")
    parser.add_argument("--layer", type=int)
    parser.add_argument("--outputs", choices=("plain", "normalised"), default="plain")
    parser.add_argument("--exact", type=signals, default=[])
    parser.add_argument("--steps", type=int, default=250)
    options = parser.parse_args()
    if not options.heads and (options.text is None or options.layer is None):
        parser.error("--text and --layer are missing, or --heads")
    try:
        model = Model(options.model)
        if not options.heads and not 0 <= options.layer < model.n_layers:
            parser.error(f"--layer must be 0 to {model.n_layers - 1}")
        (print_heads if options.heads else fit)(model)
    except (OSError, ValueError, KeyError) as error:
        parser.error(f"{options.model}: {error!r}; it must be a llama model as GGUF, and --text a file")
