#!/usr/bin/env python3
"""English prose of today from Debian packages, to adapt a model with; documents end with <|endoftext|>.

    debian_text.py [--folder FOLDER] [--most MB] > TEXT

Stories and talk of games (endless-sky-data, wesnoth-1.16-data, naev-data), a long essay (anarchism), what words
mean (wordnet-base), how things are done (gnome-user-docs); of each at most MB megabytes (1.5). Packages are fetched
with apt-get and unpacked below FOLDER (out/debian), not installed. Standard library only; needs apt-get and dpkg-deb.
"""
import argparse
import glob
import html
import os
import random
import re
import subprocess
import sys

END = "<|endoftext|>"
SKIP = [f"--exclude=*.{kind}" for kind in ("png", "jpg", "webp", "ogg", "wav", "mo", "svg")]


def unpack(package, folder):
    """The folder of its files."""
    files = os.path.join(folder, package)
    if not os.path.isdir(files):
        got = subprocess.run(["apt-get", "download", package], cwd=folder, stdout=subprocess.DEVNULL).returncode
        archives = glob.glob(os.path.join(glob.escape(folder), package + "_*.deb"))
        if got != 0 or not archives:
            sys.stderr.write(f"debian_text.py: apt-get cannot fetch {package}: Debian 12, fresh lists?\n")
            sys.exit(2)
        os.makedirs(files + ".part", exist_ok=True)
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archives[0]], stdout=subprocess.PIPE) as tar:
            subprocess.run(["tar", "-x", "-C", files + ".part", *SKIP], stdin=tar.stdout, check=True)
        os.remove(archives[0])
        os.rename(files + ".part", files)
    return files


def read(files, *patterns):
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(glob.escape(files), pattern), recursive=True)):
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="ignore") as file:
                    yield file.read()


def tidy(text):
    """A line for each paragraph, without marks."""
    text = html.unescape(re.sub(r"<[^<>]*>", "", text))
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip())


def endless_sky(files):
    for text in read(files, "usr/share/games/endless-sky/data/**/*.txt"):
        for part in re.split(r"\n(?=\S)", text):
            lines = re.findall(r"(?m)^[\t ]*(?:description|dialog|choice|`|\"|)[\t ]*`([^`]{30,})`", part)
            lines = [re.sub(r"<[a-z ]+>", "the captain", line).strip() for line in lines]
            yield "\n\n".join(lines)


def wesnoth(files):
    for text in read(files, "usr/share/games/wesnoth/*/data/**/*.cfg"):
        lines = re.findall(r'(?:message|story|description|text|note)\s*=\s*_\s*"((?:[^"]|"")+)"', text)
        yield "\n\n".join(tidy(line.replace('""', '"')) for line in lines if len(line) > 40)


def naev(files):
    for text in read(files, "usr/share/naev/dat/missions/**/*.lua", "usr/share/naev/dat/events/**/*.lua"):
        lines = re.findall(r'_\(\s*(?:\[\[(.{40,}?)\]\]|"((?:[^"\\]|\\.){40,})")\s*\)', text, re.DOTALL)
        yield "\n\n".join(tidy((a or b).replace('\\"', '"').replace("\\n", "\n")) for a, b in lines)
    for text in read(files, "usr/share/naev/dat/**/*.xml"):
        yield "\n\n".join(tidy(line) for line in re.findall(r"<(?:description|bar)>([^<]{60,})<", text))


def anarchism(files):
    for text in read(files, "usr/share/doc/anarchism/html/sec*.html", "usr/share/doc/anarchism/html/app*.html"):
        text = re.sub(r"(?s)<head.*?</head>|<script.*?</script>", "", text)
        yield tidy(re.sub(r"(?i)</?(p|h\d|li|blockquote|div)\b[^>]*>", "\n\n", text))


def wordnet(files):
    """Words and what they mean, twelve a document, in random order: in that of the file neighbours are alike."""
    entries = []
    for text in read(files, "usr/share/wordnet/data.*"):
        for line in text.splitlines():
            match = re.match(r"\d{8} \d\d \w [0-9a-f]{2} (\S+) .*\| (.{60,})", line)
            if match:
                word = re.sub(r"\(.*\)", "", match[1]).replace("_", " ")
                entries.append(f"{word}: {match[2].strip()}")
    random.Random(0).shuffle(entries)
    for i in range(0, len(entries), 12):
        yield "\n".join(entries[i:i + 12])


def gnome(files):
    for text in read(files, "usr/share/help/C/gnome-help/*.page"):
        text = re.sub(r"(?s)<info>.*?</info>|<!--.*?-->", "", text)
        yield tidy(re.sub(r"</?(p|title|item|section|steps|list)\b[^>]*>", "\n\n", text))


PACKAGES = {"endless-sky-data": endless_sky, "wesnoth-1.16-data": wesnoth, "naev-data": naev,
            "anarchism": anarchism, "wordnet-base": wordnet, "gnome-user-docs": gnome}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default="out/debian", help="where packages are unpacked (out/debian)")
    parser.add_argument("--most", type=float, default=1.5, metavar="MB", help="of a package (1.5)")
    options = parser.parse_args()
    os.makedirs(options.folder, exist_ok=True)
    for package, documents in PACKAGES.items():
        size = 0
        texts = [text for text in documents(unpack(package, options.folder)) if len(text) > 200]
        random.Random(1).shuffle(texts)
        for text in texts:
            if size < 1e6 * options.most:
                size += len(text)
                print(text + "\n" + END)
        sys.stderr.write(f"{package}: {size / 1e6:.1f} MB\n")


main()
