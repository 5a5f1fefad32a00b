#!/usr/bin/env python3
"""Makes tests/golden/smollm2: what Hugging Face transformers computes from the same GGUF file.

usage: make_smollm2_goldens.py MODEL.gguf WIKI_TEST_RAW OUT_DIR   (needs torch, transformers, gguf)

float32, weights dequantised by transformers' own reader. Writes token ids of a prompt, logits of
the first 512 vocabulary entries at every position of it, 64 greedy tokens after it, and (in
meta.json) the mean negative log-likelihood of the first 32 windows of 1,024 tokens of the text:
consecutive, not overlapping, 1,023 predictions each.
"""
import json
import os
import sys

import numpy as np
import torch
import gguf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM

PROMPT = (
    "The history of computing in memory begins with a simple question: why move the data at all? "
    "In 1969 (or was it 1970?), engineers noticed that"
)


def make_tokenizer(path):
    """SmolLM2's own: transformers' GGUF reader forgets that digits are split one by one."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def main():
    path, text_path, out = sys.argv[1:4]
    folder, name = os.path.split(os.path.abspath(path))
    tokenizer = make_tokenizer(path)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32).eval()
    os.makedirs(out, exist_ok=True)
    ids = torch.tensor([tokenizer.encode(PROMPT).ids])
    with torch.no_grad():
        logits = model(ids).logits[0].numpy()
        greedy = ids
        past = None
        for _ in range(64):
            step = model(greedy if past is None else greedy[:, -1:], past_key_values=past, use_cache=True)
            past = step.past_key_values
            greedy = torch.cat([greedy, step.logits[:, -1:].argmax(-1)], 1)
    np.save(f"{out}/prompt_ids.npy", ids[0].numpy().astype("<i4"))
    open(f"{out}/prompt.txt", "w").write(PROMPT)
    np.save(f"{out}/logits.npy", np.ascontiguousarray(logits[:, :512]).astype("<f4"))
    np.save(f"{out}/greedy_ids.npy", greedy[0, ids.shape[1]:].numpy().astype("<i4"))
    meta = {"prompt": PROMPT, "model": name}
    text = tokenizer.encode(open(text_path, encoding="utf-8", newline="").read()).ids
    losses = []
    for i in range(32):
        window = torch.tensor([text[i * 1024:(i + 1) * 1024]])
        with torch.no_grad():
            lg = model(window).logits[0, :-1].double()
        losses.append(torch.nn.functional.cross_entropy(lg, window[0, 1:]).item())
        print(i, losses[-1], flush=True)
    meta["text_tokens_total"] = len(text)
    meta["first_text_ids"] = text[:64]
    meta["nll_of_windows"] = losses
    meta["perplexity"] = float(np.exp(np.mean(losses)))
    json.dump(meta, open(f"{out}/meta.json", "w"), indent=1)
    print(meta["perplexity"])


main()
