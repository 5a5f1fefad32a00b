#!/usr/bin/env python3
# make_model_goldens.py - logits and greedy tokens of tiny random models, by transformers
#
# usage: tools/make_model_goldens.py [tests/golden/model]
#
# Needs numpy, torch, transformers (tests do not: the results are in the repository). The weights are
# those of tests/support/random_model.c, rebuilt here by the same formula. float32 on the CPU.
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

L, C, H, D, F, V, T = 2, 32, 4, 8, 48, 61, 96
PROMPT = [(7 * i * i + 3 * i + 1) % V for i in range(20)]
N_NEW = 64
MASK = (1 << 64) - 1


def seed_of(name, layer):
    value = 0xCBF29CE484222325
    for char in name.encode():
        value = (value ^ char) * 0x100000001B3 & MASK
    return value + layer & MASK


def uniform(name, layer, n):
    """random_between(seed, 0..n-1, -1, 1) of tests/support/support.c"""
    with np.errstate(over="ignore"):
        z = np.arange(n, dtype=np.uint64) * np.uint64(0xD1342543DE82EF95)
        z += np.uint64((seed_of(name, layer) * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & MASK)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return -1 + 2 * ((z >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def weight(name, layer, rows, columns):
    x = uniform(name, layer, rows * columns).reshape(rows, columns)
    if "NORM" in name and "BIAS" not in name:
        x = 1 + 0.5 * x
    elif "EMBEDDING" not in name:
        x = x * (0.1 if rows == 1 else 2.5 / np.sqrt(columns))
    x = torch.from_numpy(x.astype(np.float32))
    return x[0] if rows == 1 else x


def llama():
    kv = 2
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=V, hidden_size=C, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H,
        num_key_value_heads=kv, max_position_embeddings=T, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=False, bos_token_id=None, eos_token_id=None, attn_implementation="eager"))
    state = {"model.embed_tokens.weight": weight("TOKEN_EMBEDDING", 0, V, C),
             "model.norm.weight": weight("FINAL_NORM", 0, 1, C), "lm_head.weight": weight("OUTPUT", 0, V, C)}
    for i in range(L):
        p = f"model.layers.{i}."
        state[p + "input_layernorm.weight"] = weight("ATTN_NORM", i, 1, C)
        state[p + "post_attention_layernorm.weight"] = weight("FFN_NORM", i, 1, C)
        state[p + "self_attn.q_proj.weight"] = weight("ATTN_Q", i, H * D, C)
        state[p + "self_attn.k_proj.weight"] = weight("ATTN_K", i, kv * D, C)
        state[p + "self_attn.v_proj.weight"] = weight("ATTN_V", i, kv * D, C)
        state[p + "self_attn.o_proj.weight"] = weight("ATTN_OUT", i, C, H * D)
        state[p + "mlp.gate_proj.weight"] = weight("FFN_GATE", i, F, C)
        state[p + "mlp.up_proj.weight"] = weight("FFN_UP", i, F, C)
        state[p + "mlp.down_proj.weight"] = weight("FFN_DOWN", i, C, F)
    model.load_state_dict(state)
    return model


def gpt2():
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=V, n_positions=T, n_embd=C, n_layer=L, n_head=H, n_inner=F,
        activation_function="gelu_new", layer_norm_epsilon=1e-5, bos_token_id=None, eos_token_id=None, attn_implementation="eager"))
    embedding = weight("TOKEN_EMBEDDING", 0, V, C)
    state = {"transformer.wte.weight": embedding, "lm_head.weight": embedding,
             "transformer.wpe.weight": weight("POSITION_EMBEDDING", 0, T, C),
             "transformer.ln_f.weight": weight("FINAL_NORM", 0, 1, C),
             "transformer.ln_f.bias": weight("FINAL_NORM_BIAS", 0, 1, C)}
    for i in range(L):
        p = f"transformer.h.{i}."
        qkv = ("ATTN_Q", "ATTN_K", "ATTN_V")
        state[p + "ln_1.weight"] = weight("ATTN_NORM", i, 1, C)
        state[p + "ln_1.bias"] = weight("ATTN_NORM_BIAS", i, 1, C)
        state[p + "ln_2.weight"] = weight("FFN_NORM", i, 1, C)
        state[p + "ln_2.bias"] = weight("FFN_NORM_BIAS", i, 1, C)
        state[p + "attn.c_attn.weight"] = torch.cat([weight(n, i, C, C) for n in qkv]).T
        state[p + "attn.c_attn.bias"] = torch.cat([weight(n + "_BIAS", i, 1, C) for n in qkv])
        for hf, name, rows, columns in (("attn.c_proj", "ATTN_OUT", C, C), ("mlp.c_fc", "FFN_UP", F, C),
                                        ("mlp.c_proj", "FFN_DOWN", C, F)):
            state[p + hf + ".weight"] = weight(name, i, rows, columns).T
            state[p + hf + ".bias"] = weight(name + "_BIAS", i, 1, rows)
    model.load_state_dict(state)
    return model


def main():
    out = Path(sys.argv[1] if len(sys.argv) > 1 else "tests/golden/model")
    for name, make in (("llama", llama), ("gpt2", gpt2)):
        model = make().eval()
        tokens = list(PROMPT)
        smallest_lead = np.inf  # between best and second logit: how safe greedy choice is
        with torch.no_grad():
            logits = model(torch.tensor([PROMPT])).logits[0].numpy()
            for _ in range(N_NEW):
                last = model(torch.tensor([tokens])).logits[0, -1]
                best = torch.topk(last, 2).values
                smallest_lead = min(smallest_lead, float(best[0] - best[1]))
                tokens.append(int(last.argmax()))
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "logits.npy", logits.astype("<f4"))
        np.save(folder / "tokens.npy", np.array(tokens, dtype="<i4"))
        print(f"{name}: largest logit {abs(logits).max():.2f}, smallest lead {smallest_lead:.4f}, "
              f"{len(set(tokens[len(PROMPT):]))} different tokens")
    print(f"transformers {transformers.__version__}, torch {torch.__version__}")


main()
