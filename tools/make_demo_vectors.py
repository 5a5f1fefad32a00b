#!/usr/bin/env python3
"""Makes examples/demo: q, k, v of one layer of a real model on real text, with scalers.

usage: make_demo_vectors.py MODEL_DIR OUT_DIR     (needs torch, transformers, numpy)

MODEL_DIR is a Hugging Face folder of the llama family (tinystories656K, Apache-2.0). The vectors
are what the projections of layer 1 give, rotary positions applied. Scalers place the middle of q
at 0.25 with three standard deviations in its range, centre k and v at 0.45 V with two standard
deviations in theirs, and leave the output as it is.
"""
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.llama import modeling_llama

TEXT = (
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big dog. The dog was sad because it had lost its ball. Lily wanted to help "
    "the dog. She looked under the tree and behind the bench. At last she found the ball in the "
    "tall grass. The dog was very happy and licked her hand. They played together all day long. "
    "When the sun went down, her mom called her home for dinner. Lily told her about the dog and "
    "the red ball. Her mom smiled and said that helping a friend is the best thing to do. That "
    "night Lily slept well and dreamed of the park, the tall grass and her new friend."
)


def main():
    model_dir, out_dir = sys.argv[1:3]
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, attn_implementation="eager").eval()
    seen = []
    plain = modeling_llama.eager_attention_forward

    def spy(module, q, k, v, *args, **kwargs):
        seen.append((q.detach().numpy(), k.detach().numpy(), v.detach().numpy()))
        return plain(module, q, k, v, *args, **kwargs)

    modeling_llama.eager_attention_forward = spy
    with torch.no_grad():
        model(torch.tensor([tokenizer(TEXT)["input_ids"]]))
    q, k, v = seen[1]
    for name, x in (("q", q), ("k", k), ("v", v)):
        np.save(f"{out_dir}/{name}.npy", np.ascontiguousarray(x, dtype="<f4"))
    for name, x, middle, spread in (("q", q, 0.25, 0.75 / 3), ("k", k, 0.45, 0.225), ("v", v, 0.45, 0.225)):
        mean, sd = x.mean(axis=(0, 2, 3)), x.std(axis=(0, 2, 3))
        np.save(f"{out_dir}/scaler_{name}_a.npy", (spread / sd).astype("<f4"))
        np.save(f"{out_dir}/scaler_{name}_b.npy", (middle - mean * spread / sd).astype("<f4"))
    n = q.shape[1]
    np.save(f"{out_dir}/scaler_output_a.npy", np.ones(n, "<f4"))
    np.save(f"{out_dir}/scaler_output_b.npy", np.zeros(n, "<f4"))
    print(q.shape, k.shape)


main()
