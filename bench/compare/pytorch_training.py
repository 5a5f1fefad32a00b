#!/usr/bin/env python3
"""Training of a whole model on the chip: Leyden beside eager PyTorch, in turns on the same cores.

One step of both: a window of --tokens tokens, teacher (the same weights, digital softmax) forward,
student on the `paper` chip (MODEL.md's equations, the straight-through gradients of M22) forward and
back, divergence of all logits, AdamW on all weights. The shape is SmolLM2-135M's. PyTorch computes
in float32 and in bf16 (its attention in float32: a bf16 sum of a thousand terms would be another
chip), the faster of the two counts; masks and powers of the decay are made once. Leyden runs
`leyden adapt --train all` for one step and for --runs more: the difference counts. Seconds are those
of a core, user and system, so that other work on the machine does not matter much; on one thread
nobody waits for another. Needs torch.

    bench/compare/pytorch_training.py build/bin/leyden --model MODEL.gguf --text FILE [--layers 30]

--layers: of PyTorch's model; with fewer, the time of a layer is taken from the difference to half as
many, and the rest is computed. Thirty layers need 12 GB.
"""
import argparse
import os
import resource
import statistics
import subprocess
import tempfile
import time

import torch
import torch.nn.functional as F

from pytorch_attention import P, TILE, make_decay

LAYERS, MODEL, HEADS, KV_HEADS, WIDTH, FFN, VOCAB = 30, 576, 9, 3, 64, 1536, 49152
SLOPE = 19.3  # of the surrogate cell


def quantise(x, high, levels):
    """Rounding passes gradients straight through; the clip does not."""
    step = high / (levels - 1)
    x = torch.clamp(x, 0.0, high)
    return x + (torch.round(x / step) * step - x).detach()


class Cells(torch.autograd.Function):
    """Pulses (H, T, D) through stored u and w (H, T, D); back through the linear cell."""

    @staticmethod
    def forward(ctx, pulse, u, w, decay):
        n = pulse.shape[1]
        tiles = (HEADS, n // TILE, TILE, WIDTH)
        s = P[0] * decay[0] * pulse.sum(-1, keepdim=True)
        for i in (1, 2, 3):
            s += P[i] * decay[i] * (pulse @ (u**i).transpose(1, 2))
        s /= 80
        phi = torch.clamp(s, 0, 1)
        a = torch.zeros(HEADS, n // TILE, n, WIDTH)
        for i in range(4):
            weight = (phi * decay[i]).view(HEADS, n, n // TILE, TILE).transpose(1, 2)
            a += P[i] * (weight @ (w**i).view(tiles))
        a /= 40
        ctx.save_for_backward(pulse, u, w, decay, phi, (s >= 0) & (s <= 1), a.abs() <= 1)
        step = 2 / 31
        return (torch.round(torch.clamp(a, -1, 1) / step) * step).sum(1)

    @staticmethod
    def backward(ctx, dout):
        pulse, u, w, decay, phi, is_linear, is_open = ctx.saved_tensors
        n = pulse.shape[1]
        tiles = (HEADS, n // TILE, TILE, WIDTH)
        slope = SLOPE * decay[1]
        da = torch.where(is_open, dout.unsqueeze(1) / 40, 0.0)
        dphi = (da @ w.view(tiles).transpose(2, 3)).transpose(1, 2).reshape(HEADS, n, n)
        ds = torch.where(is_linear, dphi * slope * slope / 80, 0.0)
        weight = (phi * slope).view(HEADS, n, n // TILE, TILE).transpose(1, 2)
        dw = (weight.transpose(2, 3) @ da).reshape(HEADS, n, WIDTH)
        return ds @ u, ds.transpose(1, 2) @ pulse, dw, None


def norm(x, scale):
    return x * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + 1e-5).to(x.dtype) * scale


def rotate(x, cosine, sine):
    half = x.shape[-1] // 2
    return x * cosine + torch.cat((-x[..., half:], x[..., :half]), -1) * sine


class Model(torch.nn.Module):
    def __init__(self, n_layers, n_tokens):
        super().__init__()

        def matrix(rows, columns):
            return torch.nn.Parameter(0.02 * torch.randn(rows, columns))

        kv = KV_HEADS * WIDTH
        self.embedding = matrix(VOCAB, MODEL)
        self.layers = torch.nn.ModuleList(
            torch.nn.ParameterDict({
                "norm": torch.nn.Parameter(torch.ones(MODEL)), "q": matrix(MODEL, MODEL),
                "k": matrix(kv, MODEL), "v": matrix(kv, MODEL), "o": matrix(MODEL, MODEL),
                "ffn_norm": torch.nn.Parameter(torch.ones(MODEL)), "gate": matrix(FFN, MODEL),
                "up": matrix(FFN, MODEL), "down": matrix(MODEL, FFN),
                "scale": torch.nn.Parameter(torch.ones(4, HEADS, 1, 1)),
                "offset": torch.nn.Parameter(torch.tensor([0, 0.45, 0.45, 0]).view(4, 1, 1, 1)
                                             .repeat(1, HEADS, 1, 1)),
            }) for _ in range(n_layers))
        self.norm = torch.nn.Parameter(torch.ones(MODEL))
        angles = torch.arange(n_tokens)[:, None] * 1e5 ** (-torch.arange(0, WIDTH, 2) / WIDTH)
        angles = torch.cat((angles, angles), -1)
        self.cosine, self.sine = angles.cos(), angles.sin()
        self.decay = make_decay(n_tokens)
        self.mask = torch.full((n_tokens, n_tokens), float("-inf")).triu(1)

    def heads(self, h, layer, dtype):
        n = h.shape[0]
        q = (h @ layer["q"].T.to(dtype)).view(n, HEADS, WIDTH).transpose(0, 1).float()
        k = (h @ layer["k"].T.to(dtype)).view(n, KV_HEADS, WIDTH).transpose(0, 1).float()
        v = (h @ layer["v"].T.to(dtype)).view(n, KV_HEADS, WIDTH).transpose(0, 1).float()
        group = HEADS // KV_HEADS
        q, k = rotate(q, self.cosine, self.sine), rotate(k, self.cosine, self.sine)
        return q, k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)

    def attend(self, q, k, v, layer, is_analog):
        if not is_analog:
            return torch.softmax(q @ k.transpose(1, 2) / WIDTH**0.5 + self.mask, -1) @ v
        scale, offset = layer["scale"], layer["offset"]
        pulse = quantise(scale[0] * q + offset[0], 1.0, 16)
        u = quantise(scale[1] * k + offset[1], 0.9, 8) - 0.45
        w = quantise(scale[2] * v + offset[2], 0.9, 8) - 0.45
        return scale[3] * Cells.apply(pulse, u, w, self.decay) + offset[3]

    def forward(self, tokens, is_analog, dtype):
        x = self.embedding[tokens].to(dtype)
        for layer in self.layers:
            q, k, v = self.heads(norm(x, layer["norm"].to(dtype)), layer, dtype)
            out = self.attend(q, k, v, layer, is_analog).transpose(0, 1).reshape(len(tokens), MODEL)
            x = x + out.to(dtype) @ layer["o"].T.to(dtype)
            h = norm(x, layer["ffn_norm"].to(dtype))
            active = F.silu(h @ layer["gate"].T.to(dtype)) * (h @ layer["up"].T.to(dtype))
            x = x + active @ layer["down"].T.to(dtype)
        return (norm(x, self.norm.to(dtype)) @ self.embedding.T.to(dtype)).float()


def step_of(n_layers, n_tokens, dtype):
    """A function that makes one step."""
    student, teacher = Model(n_layers, n_tokens), Model(n_layers, n_tokens)
    optimiser = torch.optim.AdamW(student.parameters(), lr=1e-5)
    tokens = torch.randint(VOCAB, (n_tokens,))

    def step():
        with torch.no_grad():
            want = torch.log_softmax(teacher(tokens, False, dtype), -1)
        got = torch.log_softmax(student(tokens, True, dtype), -1)
        F.kl_div(got, want, reduction="batchmean", log_target=True).backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


def time_torch(n_layers, n_tokens, dtype, runs):
    torch.manual_seed(0)
    step = step_of(n_layers, n_tokens, dtype)
    step()
    times = []
    for _ in range(runs):
        start = time.process_time()
        step()
        times.append(time.process_time() - start)
    return statistics.median(times)


def time_whole(args, dtype):
    """Seconds of a step of all layers: measured, or from two depths."""
    whole = time_torch(args.layers, args.tokens, dtype, args.runs)
    if args.layers == LAYERS:
        return whole
    half = time_torch(args.layers // 2, args.tokens, dtype, args.runs)
    return whole + (LAYERS - args.layers) * (whole - half) / (args.layers - args.layers // 2)


def run_leyden(args, scratch, n_steps):
    """Seconds of a core and MB of memory of a run."""
    out = os.path.join(scratch, "out.gguf")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run(
        [args.leyden, "adapt", "-m", args.model, "--hw", "paper", "--data", args.text, "--cache",
         os.path.join(scratch, "tokens"), "-o", out, "--method", "distil", "--train", "all", "--ctx",
         str(args.tokens), "--batch", "1", "--pass", "1", "--tokens", str(n_steps * args.tokens),
         "--validation", "0", "-t", str(args.threads)],
        check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    os.remove(out)
    peak = [line.split()[1] for line in text.splitlines() if line.startswith("peak")][0]
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, int(peak)


def time_leyden(args, scratch):
    one, _ = run_leyden(args, scratch, 1)
    more, peak = run_leyden(args, scratch, 1 + args.runs)
    return (more - one) / args.runs, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("leyden")
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=LAYERS)
    parser.add_argument("--runs", type=int, default=3, help="steps of a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--formats", default="float32,bfloat16")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    theirs, ours, peaks = {}, [], []
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(args.rounds):
            for name in args.formats.split(","):
                theirs.setdefault(name, []).append(time_whole(args, getattr(torch, name)))
            seconds, peak = time_leyden(args, scratch)
            ours.append(seconds)
            peaks.append(peak)
    print(f"SmolLM2-135M, {args.tokens} tokens a step, {args.threads} thread(s), seconds of a core")
    medians = {name: statistics.median(times) for name, times in theirs.items()}
    for name, seconds in medians.items():
        print(f"PyTorch {torch.__version__} {name:10s} {seconds:8.2f} s   {args.tokens / seconds:7.1f} tokens/s")
    mine = statistics.median(ours)
    print(f"Leyden{'':24s} {mine:8.2f} s   {args.tokens / mine:7.1f} tokens/s   "
          f"{min(medians.values()) / mine:.1f} x   peak {max(peaks)} MB")


if __name__ == "__main__":
    main()
