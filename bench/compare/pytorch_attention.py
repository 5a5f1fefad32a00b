#!/usr/bin/env python3
"""Analog attention of one layer: Leyden beside an eager PyTorch float32 implementation.

Both compute MODEL.md's equations for the `paper` chip (cubic cell, 16/8/32 levels, 64-token tiles,
leakage) on the same random input, 12 heads, width 64, on the same cores, in turns; medians are
compared. The masks and powers of the decay are made once and not timed. Needs torch and numpy.

    bench/compare/pytorch_attention.py build/bin/leyden [--tokens 1024] [--runs 7] [--isa LIST]
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import torch

P = (0.5213636139, 13.612260634, -2.620445619, 46.05483778)
HEADS, WIDTH, TILE = 12, 64, 64


def quantise(x, low, high, levels):
    step = (high - low) / (levels - 1)
    return torch.round(torch.clamp(x, low, high) / step) * step


def make_decay(n):
    """delta^i for i = 0..3, zero where a query sees nothing: (4, T, T)."""
    t = torch.arange(n)
    age = t[:, None] - t[None, :]
    seen = (age >= 0) & (age < 1024)
    delta = torch.exp(-1.6e-4 * age.clamp(min=0))
    return torch.stack([torch.where(seen, delta**i, 0.0) for i in range(4)])


def attention(q, k, v, decay):
    """q, k, v (H, T, D) after the projections; the initial scalers of the paper."""
    n = q.shape[1]
    pulse = quantise(q, 0.0, 1.0, 16)
    u = quantise(k + 0.45, 0.0, 0.9, 8) - 0.45
    w = quantise(v + 0.45, 0.0, 0.9, 8) - 0.45
    s = P[0] * decay[0] * pulse.sum(-1, keepdim=True)
    for i in (1, 2, 3):
        s += P[i] * decay[i] * (pulse @ (u**i).transpose(1, 2))
    phi = torch.clamp(s / 80, 0, 1)
    a = torch.zeros(HEADS, n // TILE, n, WIDTH)
    for i in range(4):
        weight = (phi * decay[i]).view(HEADS, n, n // TILE, TILE).transpose(1, 2)
        a += P[i] * (weight @ (w**i).view(HEADS, n // TILE, TILE, WIDTH))
    step = 2 / 31
    counts = torch.round(torch.clamp(a / 40, -1, 1) / step) * step
    return counts.sum(1)


def time_torch(n, runs):
    torch.manual_seed(0)
    q = torch.rand(HEADS, n, WIDTH) - 0.4
    k, v = torch.rand(2, HEADS, n, WIDTH) - 0.5
    decay = make_decay(n)
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        attention(q, k, v, decay)
        times.append(time.perf_counter() - start)
    return times[1:]


def time_leyden(leyden, n, runs, isa):
    command = [leyden, "bench", "attention", "--heads", str(HEADS), "--width", str(WIDTH),
               "--tokens", str(n), "--runs", str(runs), "--json"]
    text = subprocess.run(command, check=True, capture_output=True, text=True,
                          env=dict(os.environ, LEYDEN_ISA=isa)).stdout
    return json.loads(text)["results"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("leyden")
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--isa", default="avx2,avx512,amx")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    os.environ["OMP_NUM_THREADS"] = str(args.threads)
    theirs, ours = [], {}
    for _ in range(args.rounds):
        theirs += time_torch(args.tokens, args.runs)
        for isa in args.isa.split(","):
            for result in time_leyden(args.leyden, args.tokens, args.runs, isa):
                if result["isa"] == isa and not result["counts_events"]:
                    ours.setdefault(isa, []).append(result["median_s"])
    base = statistics.median(theirs)
    print(f"{HEADS} heads, {args.tokens} tokens, width {WIDTH}, {args.threads} threads")
    print(f"PyTorch {torch.__version__} float32 eager  {1e3 * base:8.2f} ms")
    for isa, times in ours.items():
        median = statistics.median(times)
        print(f"Leyden {isa:24s} {1e3 * median:8.2f} ms   {base / median:6.1f} x")


if __name__ == "__main__":
    main()
