#!/usr/bin/env python3
"""Writes src/text/unicode_tables.h and src/text/grapheme_tables.h: where the Unicode data of the `tokenizers` package (which comes from several
libraries of several ages) differs from Unicode 14, which Python 3.11's unicodedata has. Run with the oracle Python."""
import os
import struct
import unicodedata

from tokenizers import Regex, normalizers, pre_tokenizers

assert unicodedata.unidata_version == "14.0.0", "the base of the tables is Unicode 14"
POINTS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]
ALL = "".join(map(chr, POINTS))
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()


def members(pattern):
    rest = set(normalizers.Replace(Regex(pattern), "").normalize_str(ALL))
    return {c for c in POINTS if chr(c) not in rest}


def ranges(points, key=lambda c: 0):
    out = []
    for c in sorted(points):
        if out and c == out[-1][1] + 1 and key(c) == out[-1][2]:
            out[-1][1] = c
        else:
            out.append([c, c, key(c)])
    return out


def split_by(pre_tokenizer):
    return {c for c in POINTS if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "a")) == 3}


def table(out, comment, declaration, rows):
    out.append(f"/* {comment} */")
    out.append(f"static const {declaration} = {{")
    line = "   "
    for row in rows:
        item = " {" + ", ".join(row) + "},"
        if len(line) + len(item) > 120:
            out.append(line)
            line = "   "
        line += item
    out.extend([line, "};", ""])


category = {c: "Cn" for c in POINTS}
for name in CATEGORIES:
    for c in members(r"\p{%s}" % name):
        category[c] = name

added = [c for c in POINTS if category[c] != unicodedata.category(chr(c))]
numeric, punctuation = split_by(pre_tokenizers.Digits(True)), split_by(pre_tokenizers.Punctuation("isolated"))
accents = normalizers.StripAccents()
marks = {c for c in POINTS if accents.normalize_str("a" + chr(c)) == "a"}
ascii_punctuation = set(map(ord, "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"))


def overrides(found, base):
    return [(c, c in found) for c in POINTS if (c in found) != base(c)]


def override_rows(pairs):
    value = dict(pairs)
    return [(f"0x{a:04X}", f"0x{b:04X}", "true" if v else "false") for a, b, v in ranges(value, value.get)]


bert = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
other = {c for c in POINTS if bert.normalize_str("a" + chr(c) + "b") == "ab"} - {0, 0xFFFD}
bert = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
nonspacing = {c for c in POINTS if bert.normalize_str("a" + chr(c) + "b") == "ab"}
decomposed = {c for c in POINTS if len(bert.normalize_str("a" + chr(c) + "b")) != 3} - nonspacing  # what they become is asked

lower = normalizers.Lowercase()
lowered = {}
for c in POINTS:
    text = lower.normalize_str(chr(c))
    if text != chr(c).lower() and len(text) == 1:
        lowered[c] = ord(text) - c
    assert len(text) == 1 or c == 0x130, "a character with a long lower-case form"

# Characters that the forms leave alone because their data is older: no decomposition, no class, no composition.
nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
PROBES = ["\u0334", "\u0323", "\u0301", "\u0345"]
opaque = set(added)
for c in POINTS:
    ch = chr(c)
    if nfkd.normalize_str(ch) != unicodedata.normalize("NFKD", ch) or nfd.normalize_str(ch) != unicodedata.normalize("NFD", ch):
        opaque.add(c)
    elif unicodedata.combining(ch):
        texts = [t for p in PROBES for t in ("a" + ch + p, "a" + p + ch)]
        if any(nfd.normalize_str(t) != unicodedata.normalize("NFD", t) for t in texts):
            opaque.add(c)
    parts = unicodedata.decomposition(ch)
    if parts and not parts.startswith("<") and c in opaque:
        opaque.update(int(p, 16) for p in parts.split() if unicodedata.normalize("NFC", "".join(chr(int(p, 16)) for p in parts.split())) == ch)

out = [
    "/* Written by tests/text/tokenizer/make_unicode_tables.py; do not edit. Where the character data of the `tokenizers`",
    " * package differs from Unicode 14, the least that the libraries below may have. */",
    "#ifndef WE_TEXT_UNICODE_TABLES_H",
    "#define WE_TEXT_UNICODE_TABLES_H",
    "",
    "#include <stdbool.h>",
    "#include <stdint.h>",
    "#include <utf8proc.h>",
    "",
]
table(out, "General categories of characters that came after Unicode 14.",
      "struct { uint32_t first, last; uint8_t category; } unicode_added[]",
      [(f"0x{a:04X}", f"0x{b:04X}", f"UTF8PROC_CATEGORY_{k.upper()}") for a, b, k in ranges(added, category.get)])
table(out, "Numeric (Rust's char::is_numeric), where that is not the categories N*.",
      "struct { uint32_t first, last; bool value; } unicode_numeric[]",
      override_rows(overrides(numeric, lambda c: category[c][0] == "N")))
table(out, "Punctuation, where that is not the categories P* and ASCII's.",
      "struct { uint32_t first, last; bool value; } unicode_punctuation[]",
      override_rows(overrides(punctuation, lambda c: category[c][0] == "P" or c in ascii_punctuation)))
table(out, "Combining marks, where that is not the categories M*.",
      "struct { uint32_t first, last; bool value; } unicode_marks[]",
      override_rows(overrides(marks, lambda c: category[c][0] == "M")))
table(out, "Other characters (categories C* but Cn), where that is not theirs; without controls that count as spaces.",
      "struct { uint32_t first, last; bool value; } unicode_other[]",
      override_rows(overrides(other | {0, 9, 10, 13}, lambda c: category[c] in ("Cc", "Cf", "Co"))))
table(out, "Nonspacing marks, where that is not the category Mn.",
      "struct { uint32_t first, last; bool value; } unicode_nonspacing[]",
      override_rows([(c, v) for c, v in overrides(nonspacing, lambda c: category[c] == "Mn") if c not in decomposed]))
table(out, "Lower case, where Unicode 14 has none: the distance to it.",
      "struct { uint32_t first, last; int32_t delta; } unicode_lower[]",
      [(f"0x{a:04X}", f"0x{b:04X}", str(d)) for a, b, d in ranges(lowered, lowered.get)])
table(out, "Characters that no normalisation form touches.",
      "struct { uint32_t first, last; } unicode_opaque[]",
      [(f"0x{a:04X}", f"0x{b:04X}") for a, b, _ in ranges(opaque)])
out.append("#endif")
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../src/text/unicode_tables.h")
with open(path, "w", encoding="ascii") as f:
    f.write("\n".join(out) + "\n")

# Where graphemes (extended clusters) begin, as far as Precompiled can tell: it looks at those of up to five bytes. With a map
# from every first byte to one letter, each of these becomes one letter, and each character of a longer one.
units = [256 << 10] + [0] * 1023
for byte in list(range(1, 0x80)) + list(range(0xC2, 0xF5)):
    units[256 ^ byte] = 512 << 10 | 1 << 8 | byte
    units[768 ^ byte] = 1 << 31
precompiled = normalizers.Precompiled(struct.pack("<1025I", 4 * len(units), *units) + b"X\0")


def count(*parts):
    return len(precompiled.normalize_str("".join(p if isinstance(p, str) else chr(p) for p in parts)))


KA, VIRAMA = "\u0915", "\u094d"
points = [c for c in POINTS if c]
extends = {c for c in points if count("a", c) == 1}
prepends = {c for c in points if count(c, "a") == 1}
controls = {c for c in points if c < 0x10000 and count(c, "\u0301") == 2}
pictures = {c for c in points if count("\u00a9\u200d", c) == 3} - extends
linkers = {c for c in extends if count(KA, c, KA, "\u0301") == 4}
passing = {c for c in extends if count(KA, VIRAMA, c, KA, "\u0301") == 5}
consonants = {c for c in points if c < 0x10000 and count(KA, VIRAMA, c, "\u0301") == 4} - extends

out = [
    "/* Written by tests/text/tokenizer/make_unicode_tables.py; do not edit. What grapheme clusters are made of. */",
    "#ifndef WE_TEXT_GRAPHEME_TABLES_H",
    "#define WE_TEXT_GRAPHEME_TABLES_H",
    "",
    "#include <stdint.h>",
    "",
    "enum { EXTENDS = 1, PREPENDS = 2, CONTROL = 4, PICTURE = 8, LINKER = 16, PASSING = 32, CONSONANT = 64 };",
    "",
]
kinds = {}
for bit, members_of in ((1, extends), (2, prepends), (4, controls), (8, pictures), (16, linkers), (32, passing), (64, consonants)):
    for c in members_of:
        kinds[c] = kinds.get(c, 0) | bit
kinds[0] = kinds[1]  # no map has it as a key, so it cannot be asked; it is a control as the others
table(out, "Characters below U+10000 are controls only if it says so; of those above it does not matter.",
      "struct { uint32_t first, last; uint8_t kind; } graphemes[]",
      [(f"0x{a:04X}", f"0x{b:04X}", str(k)) for a, b, k in ranges(kinds, kinds.get)])
out.append("#endif")
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../src/text/grapheme_tables.h")
with open(path, "w", encoding="ascii") as f:
    f.write("\n".join(out) + "\n")
