#!/usr/bin/env python3
"""Writes regex_goldens.json: regular expressions in Oniguruma's syntax, and where the Split of the `tokenizers` package
finds them in texts. Needs the tokenizers package (0.23.3 made the file that is here)."""
import json
import os
import random

from compare_regexes import alternatives, oracle, subject
from random_tokenizers import SPLITS

TEXT = "Hello, World's 'RE 123 4567 foo_bar\tx²Ⅷ½ é e\u0301 ǅ ß \u0130 日本語 ひらがな Ελλάς мир \u0660١ ａ\r\n\r\n  end \u00a0\u3000.\u2028 👩‍👧 -=+$€ ⓐⅰª\u200c\u200d\ufeff\x00\x1c\x85"
PROPERTIES = """L Lu Ll Lt Lm Lo LC M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Cn Co Any Assigned Letter Uppercase_Letter
Lowercase_Letter Mark Number Decimal_Number Punctuation Symbol Separator Other Control Han Latin Greek Cyrillic Hiragana Katakana Arabic Hebrew Thai Devanagari Hangul
Alpha Alphabetic Digit Space White_Space Upper Uppercase Lower Lowercase Punct Alnum Word XDigit Blank Cntrl Graph Print ASCII Emoji Ideographic
Cased Dash Math Hex_Digit Emoji_Presentation Extended_Pictographic ID_Start XID_Continue""".split()
POSIX = "alpha digit alnum upper lower punct space blank cntrl xdigit word graph print ascii".split()

PATTERNS = [
    # escapes
    r"\w+", r"\W+", r"\d+", r"\D+", r"\s+", r"\S+", r"\h+", r"\H+", r"\bw", r"\Bo", r"\b", r"\R", r"\X", r"\N+", r"\O", r"\x41|\x{e9}|\u00df|\061|\x0d", r"\e|\a|\f|\v|\n|\r|\t",
    r"\.|\-|\'|\$|\_|\/", r"\xc3\xa9", r"\A\w", r"\w\z", r"\s*\Z", r"\G.", r"l\K.", r"^.", r".$", r".", r"(?m:.)+", r"$", r"^",
    # groups
    r"(H)(e)(?:l)+", r"(?<name>o)", r"(?'name'o)", r"(?>a|ab)c|f(?>oo|o)_", r"o(?=_)", r"o(?!_)", r"(?<=o)_", r"(?<!o).r", r"(?<=o|e)\w", r"(?#comment)o", r"(?i)HELLO", r"h(?i)ELLO|WORLD", r"(?i:h)ello",
    r"(?i:H(?-i:e))ll", r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"(?i:é|ü|λ)", r"(?mi:w.+?e)", r"(?i-m:W.+?e)", r"(?-x:a b|o, W)", r"a||b", r"(|o)l", r"()",
    # quantifiers
    r"l*", r"l+", r"l?", r"l{2}", r"l{1,2}", r"l{,2}o", r"l{2,}", r"l*?", r"l+?o", r"l??l", r"l{1,2}?", r"l{2}?", r"l{2}+", r"l{1,2}+", r"l*+", r"l++o", r"l?+l", r"\d{1,3}", r"\d{1,3}(?=(\d{3})*\b)", r"l**",
    r"(?:l*)*", r"(?:l+)+o", r"(l|o)*?r", r"x{", r"x{,}|l{", r"l{a}|o", r"\d{2}{2}", r"a{0}o", r"(?:\d\d){1,2}",
    # classes
    r"[a-z]+", r"[^a-z]+", r"[a-z&&[^aeiou]]+", r"[a-z&&^e]+", r"[^a-z&&[aeiou]]+", r"[\p{L}&&[^\p{Han}]]+", r"[\p{L}&&\p{Lu}]", r"[[a-c][x-z]]", r"[^[a-z][A-Z]]+", r"[a-z&&b-y&&c-x]+", r"[]a]", r"[^]a]", r"[a-]",
    r"[-a]", r"[\-a-c]", r"[\]\[]", r"[\^a]", r"[a^]", r"[\d_]+", r"[^\d\s]+", r"[\s\S]", r"[\w&&[^\d_]]+", r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[^[:alpha:]]+", r"[[:alpha:][:digit:]]+", r"[:alpha:]", r"[\x{e0}-\x{ff}]", r"[\t-\r ]+",
    r"[一-龥]+", r"[\u3040-\u309f]+", r"[\p{^L}]+", r"[\P{L}]+", r"\p{^L}+", r"\P{^L}+", r"[\b]", r"[.$*+?(){}|]", r"[!-/:-@]", r"(?i)[a-c]+", r"(?i)[^a-c]+", r"(?i)[k-m]", r"(?i)[é-ü]", r"[\R]" if False else r"[\n]",
    # of tokenizers
    *SPLITS.values(),
    r"[^\r\n\p{L}\p{N}]?((?=[\p{L}])([^a-z]))*((?=[\p{L}])([^A-Z]))+(?:'[sS]|'[tT])?|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"\s?\p{L}+|\s?\p{N}+|\s?[^\s\p{L}\p{N}]++|\s+$|\s+(?!\S)|\s+", r" ?[^(\s|[.,!?…。，、।۔،])]+", r"\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N}))|[^\p{N}]+", r"(?:\r?\n)+(?!\r?\n)",
    r"\p{Lu}?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Lo}++", r"(?=(\d{3})+(?!\d))", r"'(?:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
]
PATTERNS += [r"\p{%s}" % p for p in PROPERTIES] + ["[[:%s:]]" % p for p in POSIX]

# Where case does not count: classes as a whole, and characters that fold to several.
FOLD_TEXT = "Straße STRASSE ſs ẞ ﬁn FIN fi ffi ﬃ ﬀi \u212a k K ǅǆǄ \u0390 \u1fd3 ŉ 'N st ﬅ ﬆ İi ⓐⒶ ⅰⅠ ΣΑΣ σς"
FOLDS = [r"(?i)[\p{Lu}]+", r"(?i)[^\p{Lu}]+", r"(?i)\p{Lu}+", r"(?i)[[:lower:]]", r"(?i)[[:^lower:]]", r"(?i)[\p{L}&&[^k]]+", r"(?i)[^[^k]]", r"(?i)[^\P{Lu}]", r"(?i)[\p{Lt}]",
         r"(?i)ss", r"(?i)ß", r"(?i)ß+", r"(?i)[ß]", r"(?i)[ßx]e", r"(?i)s+", r"(?i)ffi", r"(?i)fi", r"(?i)st", r"(?i)\u0390", r"(?i:ſs)", r"(?i)S(?-i:S)e", r"(?i)(?<=s)s", r"(?i)σ", r"(?i)ŉ", r"(?i)i"]


def in_bytes(text, found):
    spans, cuts = found
    at = [0]
    for c in text:
        at.append(at[-1] + len(c.encode()))
    return [[at[a], at[b]] for a, b in spans], sorted(at[c] for c in cuts)


def case(pattern, text):
    spans, cuts = in_bytes(text, oracle(pattern, text))
    edges = {e for s in spans for e in s} - {0, len(text.encode())}
    assert edges <= set(cuts)
    steps, last = [], 0  # from the end of the last match to the next one's beginning, from there to its end, and so on
    for edge in (e for s in spans for e in s):
        steps.append(edge - last)
        last = edge
    return [pattern, text, steps, sorted(set(cuts) - edges)]  # the rest are empty matches


def main():
    cases = [case(p, TEXT) for p in PATTERNS] + [case(p, FOLD_TEXT) for p in FOLDS]
    rng = random.Random(7)
    while len(cases) < len(PATTERNS) + len(FOLDS) + 110:
        pattern, text = alternatives(rng), subject(rng)
        try:
            made = case(pattern, text) if text else None
        except BaseException:  # refused, or given up
            continue
        if made and len(made[2]) >= 4:
            cases.append(made)
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "regex_goldens.json")
    texts = {TEXT: 0}
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"text":' + json.dumps(TEXT) + ',\n"cases":[\n')
        f.write(",\n".join(json.dumps([p, None if t in texts else t, s, c], ensure_ascii=False, separators=(",", ":")) for p, t, s, c in cases) + "\n]}\n")
    print(len(cases), "patterns,", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
