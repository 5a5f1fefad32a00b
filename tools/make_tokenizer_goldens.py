#!/usr/bin/env python3
"""Makes tests/golden/tokenizer: token ids of nasty strings by the reference tokenizers.

usage: tools/make_tokenizer_goldens.py [--data DIR] [--gguf SMOLLM2.gguf [--smollm-folder DIR]]

Needs the packages tokenizers, transformers, sentencepiece and gguf. Without --gguf the goldens of
SmolLM2 stay as they are; --smollm-folder keeps its tokenizer.json for the tests. Two small vocabularies are trained here on a fixed text, so that tests
without other data exist: byte-level BPE (tiny_bpe, with the pre-tokenizer of each family in turn)
and SentencePiece BPE (tiny_spm). Files hold ids per string, in the order of strings.json.
"""
import argparse
import io
import json
import os

import sentencepiece
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "tests", "golden", "tokenizer")
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")

STRINGS = [
    "", " ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", "\r\n\r\n  \r\n", " \n ", "\t\t\tx", "a\n\n\nb",
    "Hello", "Hello world", " Hello world", "Hello  world", "Hello   world   ", "hello\tworld\n",
    "I'm you're he'll they've it's we'd don't", "I'M YOU'RE HE'LL THEY'VE IT'S WE'D DON'T",
    "'s'S't'T 'Re 'vE''ll '", "it\u2019s can\u2019t", "'\u017f '\u017fx", "rock'n'roll o'clock's",
    "1", "12", "123", "1234", "12345678901234567890", " 1 22 333 4444", "3.14159e-10 0x1F 1,000,000",
    "x1y22z333", "a  1", "a   12b", "\n1\n22", "\u0663\u0664\u0665 \u0967\u0968 \u2167 \u00bd \u00b2\u00b3 \u4e09 \uff11\uff12",
    "\U0001d7d8\U0001d7d9 \u2460\u2461 \u3007", "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u3053\u3093\u306b\u3061\u306f \u30ab\u30bf\u30ab\u30ca", "\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f44d\U0001f3fd", "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
    "e\u0301 n\u0303 a\u0308\u0308", "Z\u0351\u0343a\u0360l\u0358g\u0361o\u0362", "\u00e9\u00e8\u00ea\u00eb na\u00efve r\u00e9sum\u00e9", "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
    "\u202babc\u202c \u200fx\u200e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5",
    "a\u00a0b", "a\u2003b\u2009c\u200ad", "\u3000x\u3000\u3000y", "a\u2028b\u2029c\u0085d", "\u1680x\u180ey\u202fz\u205fw", "\ufeffBOM", "zero\u200bwidth\u2060joiner",
    "\v\f\v", "\x1c\x1d\x1e\x1f", "\x01\x02\x7f\x80\x9f", "a\x00b", "\x00", "\u00ad soft\u00adhyphen",
    "a" * 300, " " * 200, "\n" * 100, "ab" * 150, "!" * 120, "=" * 64 + "\n" + "-" * 64, "\u6f22" * 40, " \t" * 40,
    "9" * 100, " x" * 60, "\r" * 9 + "a", "    if (x) {\n        return y;\n    }\n", "int main(void) { printf(\"%d\\n\", 42); }",
    "def f(x):\n\treturn x ** 2  # square\n", "<div class=\"a b\">&nbsp;</div>", "https://example.com/a/b?x=1&y=%20z#frag", "user.name+tag@example.co.uk",
    "C:\\Windows\\System32", "a_b-c.d/e\\f|g~h`i", "$100 \u20ac50 \u00a320 \u00a5", "\u2200x\u2208\u211d: x\u00b2\u22650", "#hashtag @user", "...!?\u2026\u2014\u2013\u201c\u201d\u2018\u2019", "(())[[]]{{}}<<>>",
    "<|endoftext|", "<|im_start", "|endoftext|>", "<unk", "[INST]", "<0x0A>", "<0x41>x", "\u0120hello \u010a", "\u2581x", "UPPER lower MiXeD cAsE", "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "\u01c5 \u02b0 \u00aa \u00ba \u2126", "\ufb01 \ufb03 \u1e9e \u0130 \u0131", "\U0001f9d1\U0001f3ff\u200d\U0001f680 astronaut", "\ue000\uf8ff\U000f0000", "\ufffd\ufffe\uffff\U0010ffff", "tab\there  two\t\tthree",
    "The quick brown fox jumps over the lazy dog.", "Once upon a time, there was a little girl named Lily.", "In 1984, 2 + 2 = 5; 3.5% of $7.", " leading", "trailing ", "\n leading newline", "a \nb", "a \n b", "a\n  b", "x\u3000\n y", "' s 't", "''''", "'", "I'", " 's",
]
SPECIAL = [
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", " <|endoftext|> ", "x <|im_start|>user\nhi<|im_end|>\n", "<|im_start|><|im_start|>", "<<|im_end|>>", "<|im_end|", "  <|im_end|>  y",
]


def training_text():
    words = ("the quick brown fox jumps over a lazy dog and it's 1234 times that we've seen them "
             "running there when she said hello world to him other than her").split()
    lines = []
    for i in range(400):
        lines.append(" ".join(words[(i * k + k) % len(words)] for k in range(3, 14)) + ".")
        lines.append("    if (x%d == %d) { return caf\u00e9; }" % (i, i * 7919))
    return lines


def write(name, value):
    with open(os.path.join(OUT, name), "w", encoding="ascii") as f:
        json.dump(value, f, separators=(",", ":"))
        f.write("\n")


def pre(name):
    gpt2 = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if name == "gpt2":
        return gpt2
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), gpt2])
    raw = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name == "llama3":
        return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), raw])
    return raw


def ids(tokenizer, strings):
    return [tokenizer.encode(s, add_special_tokens=False).ids for s in strings]


def byte_level(vocab, merges, specials, pre_name, ignore_merges=False):
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=ignore_merges))
    tokenizer.pre_tokenizer = pre(pre_name)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(specials)
    return tokenizer


def make_tiny_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre("gpt2")
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(training_text(), trainer)
    folder = os.path.join(OUT, "tiny_bpe")
    os.makedirs(folder, exist_ok=True)
    answers = {}
    for name in ("gpt2", "smollm", "llama3", "none"):
        tokenizer.pre_tokenizer = pre(name)
        answers[name] = ids(tokenizer, STRINGS + SPECIAL)
    tokenizer.pre_tokenizer = pre("gpt2")
    tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    write("tiny_bpe.json", answers)


def make_trained():
    """The merges that are learned from the strings, which are full of ties and of runs of one character."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre("gpt2")
    trainer = trainers.BpeTrainer(vocab_size=700, min_frequency=2, special_tokens=["<|endoftext|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    tokenizer.train_from_iterator(STRINGS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    write("trained.json", {"vocab": model["vocab"], "merges": [" ".join(m) for m in model["merges"]]})


def make_tiny_spm():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(training_text()), model_writer=model, model_type="bpe", vocab_size=500,
        byte_fallback=True, split_digits=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        allow_whitespace_only_pieces=True, character_coverage=1.0, minloglevel=2)
    sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    kind = lambda i: 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1
    n = range(sp.get_piece_size())
    write("tiny_spm_vocab.json", {"token": [sp.id_to_piece(i) for i in n], "score": [sp.get_score(i) for i in n],
                                  "type": [kind(i) for i in n]})
    write("tiny_spm.json", {"spm": sp.encode(STRINGS)})


def make_smollm(path, folder):
    import gguf
    reader = gguf.GGUFReader(path)
    get = lambda key: reader.fields["tokenizer." + key].contents()
    tokens, kinds = get("ggml.tokens"), get("ggml.token_type")
    merges = [tuple(m.split(" ")) for m in get("ggml.merges")]
    specials = [t for t, k in zip(tokens, kinds) if k == 3]
    tokenizer = byte_level({t: i for i, t in enumerate(tokens)}, merges, specials, "smollm")
    write("smollm2.json", {"smollm": ids(tokenizer, STRINGS + SPECIAL)})
    if folder:
        os.makedirs(folder, exist_ok=True)
        tokenizer.save(os.path.join(folder, "tokenizer.json"), pretty=False)
    make_chat(get("chat_template"))


def make_chat(smollm_template):
    """Conversations by transformers' own renderer of chat templates."""
    from transformers.utils.chat_template_utils import render_jinja_template
    folder = os.path.join(OUT, "chat_templates.json")
    with open(folder, encoding="utf-8") as f:
        templates = json.load(f)
    templates["smollm2"] = smollm_template
    write("chat_templates.json", templates)
    turn = lambda role, content: {"role": role, "content": content}
    conversations = [
        [turn("user", "Hi")],
        [turn("user", "  padded \n"), turn("assistant", " yes "), turn("user", "More?")],
        [turn("system", "You are terse."), turn("user", "2+2?")],
        [turn("system", " S "), turn("user", " a "), turn("assistant", "b\n"), turn("user", "c")],
    ]
    answers = {name: [render_jinja_template([c], chat_template=text, add_generation_prompt=True,
                                            bos_token="<s>", eos_token="</s>")[0][0] for c in conversations]
               for name, text in templates.items()}
    write("chat.json", {"conversations": conversations, "answers": answers})


def make_external(data):
    """Vocabularies that are not part of the project: only the ids are kept."""
    with open(os.path.join(data, "bpe_gpt2", "encoder.json"), encoding="utf-8") as f:
        vocab = json.load(f)
    with open(os.path.join(data, "bpe_gpt2", "vocab.bpe"), encoding="utf-8") as f:
        merges = [tuple(line.split()) for line in f.read().split("\n")[1:] if line]
    write("gpt2.json", {"gpt2": ids(byte_level(vocab, merges, ["<|endoftext|>"], "gpt2"), STRINGS + SPECIAL[:4])})
    tokenizer = Tokenizer.from_file(os.path.join(data, "models", "tinystories656K", "tokenizer.json"))
    write("tinystories656K.json", {"spm": ids(tokenizer, STRINGS)})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", default=os.path.join(HERE, "..", "..", "shared", "data"))
    parser.add_argument("--gguf")
    parser.add_argument("--smollm-folder")
    args = parser.parse_args()
    os.makedirs(OUT, exist_ok=True)
    as_hex = lambda strings: [s.encode("utf-8").hex() for s in strings]  # JSON readers stumble over zero bytes
    write("strings.json", {"strings": as_hex(STRINGS), "special": as_hex(SPECIAL)})
    make_tiny_bpe()
    make_trained()
    make_tiny_spm()
    make_external(args.data)
    if args.gguf:
        make_smollm(args.gguf, args.smollm_folder)


if __name__ == "__main__":
    main()
