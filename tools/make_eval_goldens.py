#!/usr/bin/env python3
"""Makes tests/golden/eval: a tiny model, items of every task, and what lm-evaluation-harness says.

usage: make_eval_goldens.py OUT_DIR    (needs lm_eval, torch, transformers, tokenizers)

The model is a Llama of random weights (float32 arithmetic on bfloat16 numbers) on the tokenizer
tests/golden/tokenizer/tiny_bpe. Items are our own sentences in the forms of the data sets on Hugging
Face. Prompts, log-likelihoods and metrics are the harness's own: its task files with only the data
replaced, contexts of at most 64 tokens.
"""
import json
import os
import shutil
import sys

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1")
import lm_eval
import torch
import yaml
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks.hellaswag import utils as hellaswag
from lm_eval.tasks.wikitext import preprocess_wikitext as wikitext
from lm_eval.tasks.winogrande import preprocess_winogrande as winogrande
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CTX = 64
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

ARC = [
    ("Which of these keeps a house warm in winter?", ["wool in the walls", "an open door", "ice"], "ABC", "A"),
    ("What do plants take from the air?", ["stone", "carbon dioxide", "sand", "salt"], "1234", "2"),
    ("A ball is dropped from a tower. What pulls it down?", ["gravity", "light", "sound", "heat"], "ABCD", "A"),
    ("Which is a liquid at room temperature?", ["iron", "water", "wood", "glass", "cork"], "ABCDE", "B"),
    ("Why is the sky dark at night?", ["The Sun is below the horizon.", "The Moon takes the light.",
                                        "Stars are far away, é."], "ABC", "A"),
]
PIQA = [
    ("keep bread fresh", "Put it in a box with a lid.", "Put it in a box with a hole.", 0),
    ("dry a wet shoe", "Fill it with water.", "Fill it with paper and wait.", 1),
    ("open a jar, the lid of which is stuck", "Hold it under warm water, then turn.", "Wait for rain", 0),
]
HELLASWAG = [
    ("Baking", "A man stands in a kitchen. He breaks two eggs into a bowl.", "he",
     ["adds flour and stirs.", "sings to the eggs.", "drives the bowl to town.", "is the bowl."], 0),
    ("How to mend a bicycle", "[header] How to mend a bicycle [title] Turn it over. [step] Put it on its saddle.",
     "", ["[substeps] Take the wheel off. [title] Find the hole.", "Paint it  twice.",
          "[step] Eat a sandwich .", "Look at the sky [title] for an hour."], 0),
    ("Swimming", "Children run to the lake.", "a DOG follows", [" and jumps in.", "and reads a book.",
     "and sells the lake .", "into a tree of Lead."], "0"),
]
WINOGRANDE = [
    ("The cup did not fit into the bag because the _ was too big.", "cup", "bag", "1"),
    ("Mary thanked Anna for the book, and _ said it was nothing.", "Mary", "Anna", "2"),
    ("The river flooded the road; after a week the _ was open again.", "river", "road", "2"),
    ("Tom lent Sam his coat as _ was cold", "Tom", "Sam", "2"),
]
LAMBADA = [
    "The key lay on the table. She took it, went to the door, and turned the key",
    "\"You said there would be rain,\" he said.\n\n\"And there will be\" she answered, \"look at the rain",
    "He had lost his dog in the woods and for three days he called the dog",
    "One two three four, one two three four, one two three four",
    "The captain looked at the sea. Nobody had ever crossed this sea in a boat so small. \"We shall\", said the captain",
]
PAGES = [
    " = The old mill = \n \n The old mill is a mill , built in 1820 @-@ 1822 , that stands near the river . "
    "It was sold for 1 @,@ 200 crowns ( and a horse ) in 1901 ; the owner 's son called it \" a ruin \" . \n "
    "In 1934 , a wheel of 3 @.@ 5 metres was added : the largest ! Was it used ? Nobody knows . \n \n"
    " = = The wheel = = \n \n The wheel [ of oak ] turned at 20 ° or so , the workers ' hands { all N of them } said . ",
    " = Second page = \n \n This page is short . \n ",
]


def write_model(folder):
    torch.manual_seed(7)
    config = LlamaConfig(vocab_size=400, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=8,
                         max_position_embeddings=128, tie_word_embeddings=True, rms_norm_eps=1e-5,
                         rope_theta=10000.0, bos_token_id=1, eos_token_id=2)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.normal_(0, 0.15 if "embed" in name else 0.3)
            weight.copy_(weight.bfloat16().float())
    model.bfloat16().save_pretrained(folder)
    for name in os.listdir(folder):
        if name not in ("config.json", "model.safetensors"):
            os.remove(f"{folder}/{name}")
    shutil.copy(f"{ROOT}/tests/golden/tokenizer/tiny_bpe/tokenizer.json", folder)


def write_items(folder):
    def put(name, rows):
        with open(f"{folder}/{name}.jsonl", "w", encoding="utf-8") as file:
            for row in rows:
                file.write(json.dumps(row, ensure_ascii=False) + "\n")

    arc = [dict(question=q, choices=dict(text=c, label=list(l)), answerKey=a) for q, c, l, a in ARC]
    put("arc_easy", arc)
    put("arc_challenge", arc[::-1])
    put("piqa", [dict(goal=g, sol1=a, sol2=b, label=l) for g, a, b, l in PIQA])
    put("hellaswag", [dict(activity_label=l, ctx_a=a, ctx_b=b, endings=e, label=str(g)) for l, a, b, e, g in HELLASWAG])
    put("winogrande", [dict(sentence=s, option1=a, option2=b, answer=g) for s, a, b, g in WINOGRANDE])
    put("lambada_openai_test", [dict(text=t) for t in LAMBADA])
    put("wikitext", [dict(page=p) for p in PAGES])


FUNCTIONS = {"utils.process_docs": hellaswag.process_docs, "preprocess_wikitext.wikitext_detokenizer":
             wikitext.wikitext_detokenizer, "preprocess_wikitext.process_results": wikitext.process_results,
             "preprocess_winogrande.doc_to_text": winogrande.doc_to_text,
             "preprocess_winogrande.doc_to_target": winogrande.doc_to_target,
             "preprocess_winogrande.doc_to_choice": winogrande.doc_to_choice}
FILES = {"arc_easy": "arc/arc_easy", "arc_challenge": "arc/arc_easy", "piqa": "piqa/piqa", "hellaswag": "hellaswag/hellaswag",
         "winogrande": "winogrande/default", "lambada_openai": "lambada/lambada_openai",
         "wikitext": "wikitext/wikitext"}


def task_config(name, data):
    """The harness's own task file on the items of a file."""
    loader = yaml.SafeLoader
    loader.add_constructor("!function", lambda _, node: FUNCTIONS[node.value])
    with open(f"{os.path.dirname(lm_eval.__file__)}/tasks/{FILES[name]}.yaml", encoding="utf-8") as file:
        config = yaml.load(file, loader)
    for key in ("tag", "dataset_name", "training_split", "validation_split", "test_split", "should_decontaminate",
                "doc_to_decontamination_query"):
        config.pop(key, None)
    config.update(task=f"own_{name}", dataset_path="json", dataset_kwargs=dict(data_files=dict(test=data)), test_split="test")
    return config


def main():
    out = os.path.abspath(sys.argv[1])
    os.makedirs(f"{out}/model", exist_ok=True)
    write_model(f"{out}/model")
    write_items(out)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=f"{out}/model/tokenizer.json", bos_token="<|im_start|>",
                                        eos_token="<|im_end|>", pad_token="<|im_end|>")
    model = LlamaForCausalLM.from_pretrained(f"{out}/model", dtype=torch.float32).eval()
    lm = HFLM(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=1, max_length=CTX, device="cpu")
    golden = {"lm_eval": lm_eval.__version__, "ctx": CTX, "tasks": {}}
    for name in FILES:
        data = f"{out}/{name}{'_test' if name == 'lambada_openai' else ''}.jsonl"
        result = lm_eval.simple_evaluate(model=lm, tasks=[task_config(name, data)], log_samples=True, bootstrap_iters=100)
        samples = []
        for sample in result["samples"][f"own_{name}"]:
            arguments = [list(a.values()) if isinstance(a, dict) else list(a) for a in
                         (sample["arguments"].values() if isinstance(sample["arguments"], dict) else sample["arguments"])]
            answers = [r if isinstance(r, (list, tuple)) else [r, False] for r in sample["filtered_resps"]]
            samples.append(dict(arguments=arguments, answers=[[round(a[0], 5), int(a[1])] for a in answers]))
        metrics = {k.split(",")[0]: v for k, v in result["results"][f"own_{name}"].items()
                   if k.endswith(",none") and not isinstance(v, str)}
        golden["tasks"][name] = dict(metrics=metrics, samples=samples)
    with open(f"{out}/golden.json", "w", encoding="utf-8") as file:
        json.dump(golden, file, ensure_ascii=False, indent=1)
    print({name: row["metrics"] for name, row in golden["tasks"].items()})


if __name__ == "__main__":
    main()
