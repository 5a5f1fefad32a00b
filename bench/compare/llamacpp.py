#!/usr/bin/env python3
"""Leyden beside llama.cpp on the same model, text and cores, in one run: medians and ratios.

usage: llamacpp.py --leyden build/bin/leyden --model MODEL.gguf [--repeats 5] [--threads 2]
                   [--prompt 512] [--generate 64] [--hw digital,paper] [--json FILE]

Needs llama-cpp-python in the Python that runs this (build it outside the project:
pip install --no-binary llama-cpp-python llama-cpp-python). llama.cpp runs the file as it is and an
F16 copy made by leyden convert; Leyden reads the file as it is (bf16 or f32 inside). The runs take
turns, so that other load on the machine meets all of them.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

from llama_cpp import Llama

TEXT = ("The river had risen in the night, and by morning the lower fields were a grey lake with fence posts "
        "standing in it like the masts of sunken boats. Nobody in the village was surprised. ") * 40


def run_leyden(args, hw, prompt_file):
    out = subprocess.run(
        [args.leyden, "run", "-m", args.model, "-f", prompt_file, "-n", str(args.generate), "--temp", "0",
         "--hw", hw, "-t", str(args.threads), "--json"], capture_output=True, text=True, check=True)
    result = json.loads(out.stdout)
    return result["prompt_tokens_per_s"], result["generated_tokens_per_s"], result["prompt_tokens"]


def run_llama(llama, ids, n_generate):
    llama.reset()
    start = time.perf_counter()
    llama.eval(ids)
    middle = time.perf_counter()
    token = ids[-1]
    for _ in range(n_generate):
        token = llama.sample(temp=0.0)
        llama.eval([token])
    return len(ids) / (middle - start), n_generate / (time.perf_counter() - middle)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leyden", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--generate", type=int, default=64)
    parser.add_argument("--hw", default="digital")
    parser.add_argument("--json")
    args = parser.parse_args()
    scratch = tempfile.mkdtemp()
    f16 = os.path.join(scratch, "f16.gguf")
    subprocess.run([args.leyden, "convert", args.model, "-o", f16, "--type", "f16"], check=True,
                   stdout=subprocess.DEVNULL)
    peers = {"llama.cpp as it is": args.model, "llama.cpp F16": f16}
    llamas = {name: Llama(path, n_ctx=2048, n_batch=512, n_threads=args.threads, n_threads_batch=args.threads,
                          verbose=False) for name, path in peers.items()}
    ids = next(iter(llamas.values())).tokenize(TEXT.encode(), add_bos=False)[:args.prompt]
    prompt_file = os.path.join(scratch, "prompt.txt")
    with open(prompt_file, "wb") as f:
        f.write(next(iter(llamas.values())).detokenize(ids))
    rates = {}
    for _ in range(args.repeats):
        for hw in args.hw.split(","):
            prompt, generate, n = run_leyden(args, hw, prompt_file)
            assert abs(n - len(ids)) <= 2, (n, len(ids))
            rates.setdefault(f"leyden {hw}", []).append((prompt, generate))
        for name, llama in llamas.items():
            rates.setdefault(name, []).append(run_llama(llama, ids, args.generate))
    medians = {k: [statistics.median(x[i] for x in v) for i in (0, 1)] for k, v in rates.items()}
    print(f"{'':22s} prompt {len(ids)}: tokens/s   generate {args.generate}: tokens/s   (medians of {args.repeats})")
    for name, (prompt, generate) in medians.items():
        print(f"{name:22s} {prompt:20.1f} {generate:24.1f}")
    ours = medians[f"leyden {args.hw.split(',')[0]}"]
    for name in peers:
        print(f"{'ratio to ' + name:30s} prompt {ours[0] / medians[name][0]:.2f}   "
              f"generate {ours[1] / medians[name][1]:.2f}")
    if args.json:
        json.dump({"medians": medians, "all": rates, "args": vars(args)}, open(args.json, "w"), indent=1)


main()
