#!/usr/bin/env python3
"""A text to adapt a model with: pieces of texts in random order, and texts that say things again.

    mix_text.py [--copies MB [--span N]] [--seed N] [wrapped:|talk:|crlf:]FILE=MB... > TEXT

Of each FILE about MB megabytes are taken, in pieces of 8,000 characters that end with a line. wrapped: lines
of a paragraph are joined, as old books need; talk: so too, and only from the fifth of the pieces with talk
where most names come again: the last words of LAMBADA mostly stand before; crlf: lines end with a carriage
return, as in some files of WikiText. --copies: so many megabytes more of passages of the same texts, half of which come again a little
later, of blocks said twice and of random words, listed two to four times: to go on with what was said is what
attention on a chip unlearns first, and what most texts ask for too seldom to learn it again. Standard
library only; the same seed gives the same text.
"""
import argparse
import random
import re
import sys

END = "<|endoftext|>"
PIECE = 8000  # characters of a text


def fail(text):
    sys.stderr.write(f"mix_text.py: {text}\n")
    sys.exit(2)


def documents(path, kind):
    try:
        with open(path, encoding="utf-8", errors="ignore", newline="") as file:
            text = file.read().replace("\r", "")
    except OSError as error:
        fail(f"cannot read {path}: {error.strerror}")
    for document in text.split(END):
        document = document.strip("\n")
        if kind in ("wrapped", "talk"):
            document = re.sub(r"(?<!\n)\n(?!\n)", " ", document)
        if document:
            yield document


def names_again(piece):
    """Names, words with a capital inside a sentence, that come again; 0 where few talk."""
    if len(re.findall(r'["“]', piece)) < 30:
        return 0
    names = re.findall(r"(?<=[a-z,;] )[A-Z][a-z]{2,}", piece)
    return len(names) - len(set(names))


def pieces(path, kind, n, draw):
    found = []
    for document in documents(path, kind):
        at = 0
        while at < len(document):
            end = document.find("\n", at + PIECE)
            end = len(document) if end < 0 else end
            found.append(document[at:end].strip("\n"))
            at = end
    if kind == "talk":
        found = sorted(found, key=names_again, reverse=True)[: len(found) // 5]
    draw.shuffle(found)
    taken, size = [], 0
    for piece in found:
        if size >= n:
            break
        size += len(piece)
        taken.append(piece.replace("\n", "\r\n") + "\r\n" if kind == "crlf" else piece)
    return taken


def said_again(passages, span, draw):
    """Passages, of which about half were among the last four new ones."""
    out, new = [], []
    while sum(map(len, out)) < span:
        if new and draw.random() < 0.45:
            out.append(draw.choice(new[-4:]))
        else:
            new.append(draw.choice(passages))
            out.append(new[-1])
    return draw.choice(["\n\n", "\r\n", "\n"]).join(out)


def lists(words, span, draw):
    out, size = [], 0
    while size < 0.8 * span:
        k = draw.randint(8, max(9, span // 45))
        some = draw.choice([" ", " ", " ", ", ", "\n"]).join(draw.choices(words, k=k))
        out.append(draw.choice(["\n\n", "\n", " "]).join([some] * draw.randint(2, 4)))
        size += len(out[-1])
    return "\n\n".join(out)


def copies(texts, n, span, draw):
    """Texts that say things again; their passages are lines, or sentences where lines are too long."""
    lines = [line for text in texts for line in re.split(r"[\r\n]+", text)]
    least, most = span // 36, span // 2
    if span < 3000:
        lines = [sentence for line in lines for sentence in re.split(r"(?<=[.!?]) (?=[A-Z\"“])", line)]
    passages = [line for line in lines if least < len(line) < most]
    words = sorted({word for text in texts for word in re.findall(r"[A-Za-z][a-z]{2,9}", text[:1500])})
    if not passages or not words:
        fail(f"no passages of {least} to {most} characters in these texts: are lines wrapped?")
    out, size = [], 0
    while size < n:
        kind = draw.random()
        if kind < 0.5:
            out.append(said_again(passages, span, draw))
        elif kind < 0.8:
            out.append(lists(words, span, draw))
        else:
            block = "\n\n".join(draw.choices(passages, k=draw.randint(2, 4)))
            out.append(block + "\n\n" + block)
        size += len(out[-1])
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--copies", type=float, default=0, metavar="MB", help="texts that say things again (0)")
    parser.add_argument("--span", type=int, default=5500, metavar="N", help="characters of each (5500)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("texts", nargs="+", metavar="[KIND:]FILE=MB")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    texts = []
    for name in options.texts:
        match = re.fullmatch(r"(?:(wrapped|talk|crlf):)?(.+)=([0-9.]+)", name)
        if not match:
            fail(f"'{name}' is not [wrapped:|talk:|crlf:]FILE=MB")
        texts += pieces(match[2], match[1], 1e6 * float(match[3]), draw)
    texts += copies(texts, 1e6 * options.copies, options.span, draw) if options.copies else []
    draw.shuffle(texts)
    sys.stdout.reconfigure(newline="")
    sys.stdout.write((END + "\n").join(texts) + END + "\n")


main()
