#!/usr/bin/env python3
"""Writes the tables of docs/RESULTS.md and README.md from the results in tests/regress.

usage: results_table.py    (standard library only)

Results are files of `leyden eval -o`, named MODEL.KIND.json; a row is one hardware with one kind of
scalers. What stands between <!-- results --> and <!-- /results --> is replaced.
"""
import glob
import json
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MODEL = "smollm2-135m-instruct"
TASKS = ["arc_easy", "arc_challenge", "winogrande", "hellaswag", "lambada_openai", "piqa"]
NAMES = {"none": "digital", "calibrated now": "mapped", "calibrated": "mapped", "matched": "matched", "adapted": "adapted"}
# As the paper states them (S6.3): average accuracy [%], perplexity. It names no metric for an average.
PAPER = [("GPT-2 124M, public (the paper)", 43.02, 36.26), ("GPT-2, trained by the authors (the paper)", 41.46, 43.82)]


def load():
    """{(kind of scalers, hardware): run}, results of all files of a run together."""
    rows = {}
    for path in sorted(glob.glob(f"{ROOT}/tests/regress/{MODEL}.*.json")):
        with open(path, encoding="utf-8") as file:
            for run in json.load(file)["runs"]:
                key = (NAMES[run.get("scalers", "none")], run["hw"])
                row = rows.setdefault(key, {"results": {}, "samples": {}, "parts": []})
                row["results"].update(run["results"])
                row["samples"].update(run["n-samples"])
                row["parts"].append(run)
    order = ["digital", "mapped", "matched", "adapted"]
    return dict(sorted(rows.items(), key=lambda item: (order.index(item[0][0]), item[0][1] != "paper-linear")))


def number(value, error, scale=1):
    """Mean and standard error, with the digits that the error leaves."""
    if not isinstance(value, (int, float)):
        return "-"
    digits = 0 if value * scale >= 1000 else 1 if scale == 100 else 2
    text = f"{value * scale:.{digits}f}"
    return text + (f" &plusmn; {error * scale:.{digits}f}" if isinstance(error, (int, float)) else "")


def cell(row, task, metric, scale=1):
    result = row["results"].get(task, {})
    return number(result.get(f"{metric},none"), result.get(f"{metric}_stderr,none"), scale)


def average(row, norm):
    """Mean over the six tasks; norm: acc_norm where a task has it."""
    values, square = [], 0
    for task in TASKS:
        result = row["results"].get(task, {})
        metric = "acc_norm" if norm and "acc_norm,none" in result else "acc"
        if f"{metric},none" not in result:
            return None, None
        values.append(result[f"{metric},none"])
        square += result[f"{metric}_stderr,none"] ** 2
    return sum(values) / len(values), square**0.5 / len(values)


def name(key):
    kind, hw = key
    return "digital" if kind == "digital" else f"`{hw}`, {kind}"


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "|---" + "|---:" * (len(head) - 1) + "|"
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def first(row, key):
    return next((part[key] for part in row["parts"] if key in part), None)


def chip(row):
    """Energy and latency of attention per token, over the tokens of the six tasks."""
    cost = first(row, "cost")
    if not cost:
        return ["-", "-"]
    return [f"{cost['energy_per_token_j'] * 1e6:.3f}", f"{cost['latency_per_token_s'] * 1e6:.2f}"]


def pages(row):
    return row["samples"]["wikitext"]["effective"] if "wikitext" in row["samples"] else 0


def results(rows):
    """All of docs/RESULTS.md that is measured."""
    head = ["SmolLM2-135M-Instruct"] + TASKS + ["average"]
    for metric, title in (("acc", "Accuracy, %"), ("acc_norm", "Normalised by the length of the answer (`acc_norm`), where a task has it; else accuracy, %")):
        yield f"{title}:\n"
        body = [[paper] + ["-"] * 6 + [f"{mean:.2f}"] for paper, mean, _ in PAPER] if metric == "acc" else []
        for key, row in rows.items():
            cells = []
            for task in TASKS:
                has = f"{metric},none" in row["results"].get(task, {})
                cells.append(cell(row, task, metric if has else "acc", 100))
            body.append([name(key)] + cells + [number(*average(row, metric == "acc_norm"), 100)])
        yield from table(head, body)
        yield ""
    for key, row in rows.items():
        counts = ", ".join(f"{task} {row['samples'][task]['effective']}" for task in TASKS if task in row["samples"])
        yield f"Items of {name(key)}: {counts}; WikiText {pages(row)} of 62 pages.  "
    yield ""
    yield "Perplexities (the paper's own, 36.26 and 43.82, are of GPT-2 on WikiText-2), distance from the digital model on WikiText, and what attention of a token costs on the chip:\n"
    body = []
    for key, row in rows.items():
        divergence = first(row, "divergence") or {}
        body.append([name(key), cell(row, "lambada_openai", "perplexity"), cell(row, "wikitext", "word_perplexity"),
                     cell(row, "wikitext", "byte_perplexity"), cell(row, "wikitext", "token_perplexity"),
                     number(divergence.get("kl_mean"), divergence.get("kl_mean_stderr")), number(divergence.get("kl_median"), None),
                     number(divergence.get("same_top"), None, 100)] + chip(row))
    yield from table(["", "LAMBADA", "WikiText, a word", "a byte", "a token", "KL, mean", "median", "same top-1, %", "uJ a token", "us a token"], body)


def summary(rows):
    """README's table."""
    body = [[paper, "", f"{mean:.2f}", "-", f"{perplexity:.2f}"] for paper, mean, perplexity in PAPER]
    for key, row in rows.items():
        items = sum(row["samples"][task]["effective"] for task in TASKS if task in row["samples"])
        body.append([f"SmolLM2-135M-Instruct, {name(key)}", f"{items:.0f}", number(*average(row, False), 100), number(*average(row, True), 100),
                     cell(row, "wikitext", "word_perplexity") + ("" if pages(row) in (0, 62) else f" ({pages(row)} pages)")])
    yield from table(["", "items", "six tasks, acc, %", "acc_norm or acc, %", "WikiText-2, a word"], body)


def replace(path, lines):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    block = "<!-- results -->\n" + "\n".join(lines) + "\n<!-- /results -->"
    text, n = re.subn(r"<!-- results -->.*?<!-- /results -->", lambda _: block, text, flags=re.S)
    if n != 1:
        raise SystemExit(f"{path}: no place for results")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


rows = load()
replace(f"{ROOT}/docs/RESULTS.md", results(rows))
replace(f"{ROOT}/README.md", summary(rows))
