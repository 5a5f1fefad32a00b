#!/usr/bin/env python3
"""Makes tests/golden/tinystories: what Hugging Face transformers computes for tinystories656K.

usage: make_tinystories_goldens.py MODEL_DIR OUT_DIR     (needs torch, transformers, numpy)

float32: token ids of a prompt, all logits of every second position, 64 greedy tokens after it.
"""
import sys

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPT = "Once upon a time, a small dog named Spot wanted to see the big red barn behind the hill."

model_dir, out = sys.argv[1:3]
tokenizer = AutoTokenizer.from_pretrained(model_dir)
model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32).eval()
ids = torch.tensor([tokenizer(PROMPT)["input_ids"]])
with torch.no_grad():
    logits = model(ids).logits[0, ::2].numpy()
    greedy = ids
    for _ in range(64):
        greedy = torch.cat([greedy, model(greedy).logits[:, -1:].argmax(-1)], 1)
np.save(f"{out}/prompt_ids.npy", ids[0].numpy().astype("<i4"))
np.save(f"{out}/logits.npy", np.ascontiguousarray(logits, dtype="<f4"))
np.save(f"{out}/greedy_ids.npy", greedy[0, ids.shape[1]:].numpy().astype("<i4"))
open(f"{out}/prompt.txt", "w").write(PROMPT)
