#!/usr/bin/env python3
"""Plain text of the articles in a MediaWiki dump (.xml or .xml.bz2), one document each.

    wiki_text.py DUMP > TEXT

Templates, tables, references and files are dropped, redirects too. Needs mwparserfromhell. Documents are
separated by <|endoftext|>, which leyden adapt and leyden train read as the end of a text.
"""
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


def plain(text):
    text = re.sub(r"(?s)<!--.*?-->|<ref[^>/]*/>|<ref.*?</ref>|<math.*?</math>|\{\|.*?\n\|\}", "", text)
    text = re.sub(r"\[\[(File|Image|Category|[a-z-]{2,12}):(?:[^\[\]]|\[\[[^\[\]]*\]\])*\]\]", "", text)
    text = mwparserfromhell.parse(text).strip_code()
    lines = [line.strip(" \t*#:;") for line in text.split("\n")]
    return "\n\n".join(line for line in lines if line)  # paragraphs, as --join-lines reads them


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for title, text in articles(sys.argv[1]):
        text = plain(text)
        if ":" not in title and len(text) > 1000:
            print(title + "\n\n" + text + "\n\n<|endoftext|>")


main()
