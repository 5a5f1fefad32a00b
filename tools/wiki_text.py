#!/usr/bin/env python3
"""Plain text of the articles in a MediaWiki dump (.xml or .xml.bz2), one document each.

    wiki_text.py [--wikitext] DUMP > TEXT

Templates, tables, references and files are dropped, redirects too. Needs mwparserfromhell. Documents are
separated by <|endoftext|>, which leyden adapt and leyden train read as the end of a text.
--wikitext writes as WikiText is written: words and signs apart, headings between =, one paragraph a line;
needs sacremoses too.
"""
import argparse
import bz2
import re
import sys
import xml.etree.ElementTree as ElementTree

import mwparserfromhell


def articles(path):
    opener = bz2.open if path.endswith(".bz2") else open
    with opener(path, "rb") as file:
        title = None
        for _, node in ElementTree.iterparse(file):
            name = node.tag.rsplit("}", 1)[-1]
            if name == "title":
                title = node.text
            elif name == "text" and node.text and not node.text.lstrip().lower().startswith("#redirect"):
                yield title, node.text
            if name == "page":
                node.clear()


def one_line(text):
    return " ".join(mwparserfromhell.parse(text).strip_code().split())


def paragraphs(text):
    """(level, text) of each: 0 for a paragraph, 2 and more for a heading."""
    text = re.sub(r"(?s)<!--.*?-->|<ref[^>/]*/>|<ref.*?</ref>|<math.*?</math>|\{\|.*?\n\|\}", "", text)
    text = re.sub(r"\[\[(File|Image|Category|[a-z-]{2,12}):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", "", text)
    parts = re.split(r"(?m)^(={2,6})(.+?)\1[ \t]*$", text)  # text, then mark, heading, text again and again
    for i in range(0, len(parts), 3):
        if i:
            yield len(parts[i - 2]), one_line(parts[i - 1])
        for line in mwparserfromhell.parse(parts[i]).strip_code().split("\n"):
            line = line.strip(" \t*#:;")
            if line:
                yield 0, line


def plain(title, lines):
    return "\n\n".join([title] + [line for _, line in lines]) + "\n\n<|endoftext|>"  # as --join-lines reads them


def wikitext(title, lines):
    from sacremoses import MosesTokenizer

    moses = MosesTokenizer("en")

    def apart(text):
        text = re.sub(r"[“”„]|''", '"', text)
        text = moses.tokenize(text, aggressive_dash_splits=True, return_str=True, escape=False)
        return re.sub(r"(?<=\d)([.,])(?=\d)", r" @\1@ ", text)

    out = [" = " + apart(title) + " = "]
    for level, line in lines:
        mark = " ".join("=" * level)
        out.append(f" {mark} {apart(line)} {mark} " if level else f" {apart(line)} ")
    return "\n".join(out) + "\n<|endoftext|>"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wikitext", action="store_true", help="written as WikiText is")
    parser.add_argument("dump", help=".xml or .xml.bz2")
    options = parser.parse_args()
    write = wikitext if options.wikitext else plain
    for title, text in articles(options.dump):
        lines = list(paragraphs(text))
        if ":" not in title and sum(len(line) for _, line in lines) > 1000:
            print(write(title, lines))


main()
