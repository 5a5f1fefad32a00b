#!/usr/bin/env python3
"""leyden eval beside lm-evaluation-harness: the same weights, the same items; scores and time.

usage: compare_with_harness.py --leyden build/bin/leyden --model MODEL.gguf --data DIR
           [--tasks LIST] [--limit N] [--pages N] [--threads N] [--batch N] [--dtype f32] [--work DIR]

(needs lm_eval, torch, transformers, tokenizers, gguf). The weights are those of the GGUF file, which
Leyden writes as a float32 folder for transformers; its tokenizer is made anew from the file by the
tokenizers library. The harness gets the items in the form of the data sets on Hugging Face and makes
its own requests (task files with only the data replaced; HellaSwag's contexts, which llama.cpp's
file has cleaned already, are taken as they are). Contexts of at most 1,024 tokens. Both run with as
many threads, one after the other. --golden FILE keeps the first five answers of each task.
"""
import argparse
import bz2
import json
import os
import re
import resource
import subprocess
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1")
CTX = 1024
TASKS = "piqa,winogrande,arc_easy,arc_challenge,lambada_openai,hellaswag,wikitext"


def options():
    parser = argparse.ArgumentParser()
    for name in ("leyden", "model", "data"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--pages", type=int, default=12, help="of wikitext")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--dtype", default="f32")
    parser.add_argument("--work", default="/tmp/compare_with_harness")
    parser.add_argument("--golden")
    return parser.parse_args()


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def read_arc(path):
    for doc in lines(path):
        labels = [chr(65 + i) for i in range(len(doc["choices"]))]
        yield dict(question=doc["query"][len("Question: "):], choices=dict(text=doc["choices"], label=labels),
                   answerKey=labels[doc["gold"]])


def read_piqa(path):
    for doc in lines(path):
        yield dict(goal=doc["query"][len("Question: "):].rstrip("\n"), sol1=doc["choices"][0], sol2=doc["choices"][1],
                   label=doc["gold"])


def read_winogrande(path):
    for doc in lines(path):
        first, second = doc["context_options"]
        shared = os.path.commonprefix([first, second])
        yield dict(sentence=f"{shared}_ {doc['continuation']}", option1=first[len(shared):], option2=second[len(shared):],
                   answer=str(doc["gold"] + 1))


def read_hellaswag(path):
    with bz2.open(path, "rt", encoding="utf-8") as file:
        rows = file.read().split("\n")
    for i in range(0, len(rows) - 5, 6):
        yield dict(query=rows[i], label=int(rows[i + 1]), choices=rows[i + 2:i + 6])


def read_wikitext(path):
    """Blank rows put back around headings; then cut as the data set's own script does."""
    with open(path, encoding="utf-8", newline="") as file:
        old = [row for row in file.read().split("\r\n") if row]
    rows = []
    for row in old:
        rows += [" ", row, " "] if re.fullmatch(r" (=(?: =)*) .* \1 ", row) else [row]
    page = []
    for row in rows + [""]:
        bare = row.replace("= = =", "===").replace("= =", "==").strip()
        if bare.startswith("= ") and bare.endswith(" ="):
            if "\n".join(page).strip():
                yield dict(page="\n".join(page))
            page = []
        page.append(row)
    yield dict(page="\n".join(page))


FILES = {"arc_easy": ("arc_easy.jsonl", read_arc), "arc_challenge": ("arc_challenge.jsonl", read_arc),
         "piqa": ("piqa_first300.jsonl", read_piqa), "winogrande": ("winogrande_first300.jsonl", read_winogrande),
         "lambada_openai": ("lambada_test.jsonl", lines), "hellaswag": ("hellaswag_val_full.txt.bz2", read_hellaswag),
         "wikitext": ("wiki.test.raw", read_wikitext)}


def task(name, o):
    """The harness's own task on the local items."""
    from make_eval_goldens import task_config

    data = f"{o.work}/{name}.jsonl"
    with open(data, "w", encoding="utf-8") as file:
        for doc in FILES[name][1](f"{o.data}/eval/{FILES[name][0]}"):
            file.write(json.dumps(doc) + "\n")
    config = task_config(name, data)
    if name == "hellaswag":
        config.pop("process_docs")
        config["doc_to_target"] = "{{label}}"
    return config


def make_tokenizer(path):
    """As tools/make_smollm2_goldens.py: transformers' reader forgets that digits are split."""
    import gguf
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    own = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    own.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    own.decoder = decoders.ByteLevel()
    bos, eos = (tokens[fields[f"tokenizer.ggml.{name}_token_id"].contents()] for name in ("bos", "eos"))
    return PreTrainedTokenizerFast(tokenizer_object=own, bos_token=bos, eos_token=eos, pad_token=eos)


def open_harness(o):
    import torch
    from lm_eval.models.huggingface import HFLM
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(o.threads)
    subprocess.run([o.leyden, "convert", o.model, "-o", f"{o.work}/model/", "--type", "f32"], check=True,
                   capture_output=True)
    model = AutoModelForCausalLM.from_pretrained(f"{o.work}/model", dtype=torch.float32).eval()
    return HFLM(pretrained=model, tokenizer=make_tokenizer(o.model), backend="causal", batch_size=o.batch,
                max_length=CTX, device="cpu")


def cpu_s(who):
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def run_harness(lm, name, limit, o):
    import lm_eval

    config, start, cpu = task(name, o), time.time(), cpu_s(resource.RUSAGE_SELF)
    result = lm_eval.simple_evaluate(model=lm, tasks=[config], limit=limit, log_samples=True, bootstrap_iters=0)
    seconds, cpu = time.time() - start, cpu_s(resource.RUSAGE_SELF) - cpu
    samples = {}
    for sample in result["samples"][f"own_{name}"]:
        samples[sample["doc_id"]] = [r if isinstance(r, (list, tuple)) else [r, None] for r in sample["filtered_resps"]]
    return samples, seconds, cpu


def run_leyden(name, limit, o):
    samples, out = f"{o.work}/{name}.samples", f"{o.work}/{name}.result"
    cpu = cpu_s(resource.RUSAGE_CHILDREN)
    subprocess.run([o.leyden, "eval", "-m", o.model, "--hw", "digital", "--dtype", o.dtype, "-t", str(o.threads), "--task",
                    name, "--limit", str(limit), "--data", o.data, "--ctx", str(CTX), "--log-samples", samples, "-o", out],
                   check=True, capture_output=True)
    cpu = cpu_s(resource.RUSAGE_CHILDREN) - cpu
    with open(out, encoding="utf-8") as file:
        seconds = json.load(file)["runs"][0]["total_evaluation_time_seconds"]
    return {row["doc_id"]: row["filtered_resps"] for row in lines(samples)}, seconds, cpu


def best(answers):
    return max(range(len(answers)), key=lambda i: answers[i][0])


def main():
    o = options()
    os.makedirs(o.work, exist_ok=True)
    lm = open_harness(o)
    golden = {"tasks": {}}
    for name in o.tasks.split(","):
        limit = o.pages if name == "wikitext" else o.limit
        theirs, their_s, their_cpu = run_harness(lm, name, limit, o)
        ours, our_s, our_cpu = run_leyden(name, limit, o)
        same = sum(best(theirs[i]) == best(ours[i]) for i in theirs)
        greedy = sum(all(a[1] is None or a[1] == b[1] for a, b in zip(theirs[i], ours[i])) for i in theirs)
        most = max(abs(a[0] - b[0]) for i in theirs for a, b in zip(theirs[i], ours[i]))
        print(f"{name:15} {len(theirs):4} items: same choice {same}, greedy {greedy}; log-likelihoods within {most:.1e}; "
              f"harness {their_s:.1f} s (CPU {their_cpu:.1f}), leyden {our_s:.1f} s (CPU {our_cpu:.1f}, with loading)", flush=True)
        golden["tasks"][name] = {"samples": [{"answers": [[round(a, 4), int(b or 0)] for a, b in theirs[i]]} for i in range(min(5, len(theirs)))]}
    if o.golden:
        golden["tasks"].pop("wikitext", None)
        with open(o.golden, "w", encoding="utf-8") as file:
            json.dump(golden, file, separators=(",", ":"))


main()
