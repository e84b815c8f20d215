#!/usr/bin/env python3
"""Writes goldens.json: small tokenizers of every kind and option, and what the `tokenizers` package makes of texts with
them. Needs the tokenizers package (0.23.3 made the file that is here)."""
import collections
import json
import os
import random

import tokenizers

from random_tokenizers import BYTES, SPLITS, charsmap, spell

PROSE = """The quick brown fox jumps over the lazy dog. Hello world, hello there! I'm sure you're right; we've seen it, they'd say.
In 2024 there were 365 days, 12345 and 1000000 of them. def add(a, b): return a + b  # the sum
for (int i = 0; i < 10; i++) { printf("%d\\n", i); }    if (x == y) { x += 1; }
Où est le café déjà? Straße, größer, naïve. Привет мир, это хорошо. 你好世界 日本語 the the there then that this 你好 你好 мир мир"""

# For every kind of tokenizer that models have.
TEXTS = [
    "", " ", "  ", "   ", "\n", "\n\n\n", "\t", "\r\n", " \n \n", "a", " a", "a ", "  a  b  ",
    "Hello world", " Hello  World!", "Hello, y'all! I'M sure you'Re right; WE'VE it'd 'S",
    "def add(a, b):\n    return a + b  # sum\n\n\tif x==1:\r\n\t\tpass\n", "for(i=0;i<10;i++){ x[i]+=1; } // ok",
    "3 33 333 3333 33333 1,000,000.5 12345678901234567890", "in 2024-02-30 at 12:34", "x² Ⅷ ½ ①②③ ١٢٣",
    "Où est le café déjà? cafe\u0301", "Straße ẞ ß GRÖSSER", "Привет, мир! ЁЖИК", "你好世界,日本語 テキスト ひらがな", "안녕하세요 \u1112\u1161\u11ab",
    "नमस्ते दुनिया", "สวัสดี ชาวโลก", "שלום עולם مرحبا", "👋 👩‍👩‍👧‍👦 🇩🇪 ❤️ 👍🏽", "a\u0301\u0323\u0307 o\u0323\u0301 q\u0307\u0323",
    "ﬁ ﷺ ℵ Å Ω ㎏ ｆｕｌｌ ｶﾞ", "\u0000\u0001\u0007\u001b[0m\u007f\u0080\u0085\u009f", "\u00a0nbsp\u2003em\u3000wide\u200bzero\u2028line\ufeff",
    "\ufffd\uffff\U0010ffff\U000e0041\ue000", "<s> <s>x</s> <unk> <0x41> ▁▁the ▁", "<|im_start|>user\nHi<|im_end|>\n", "ĠĊ Ġthe",
    "https://example.org/a?b=c&d=%20", "foo_bar fooBar FOO::bar() __init__", "......!!!!!!   ------", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "the" * 30,
]
# Bytes that are no UTF-8: they count as U+FFFD, one for each longest beginning of a character.
INVALID = ["ff", "80", "41c3", "c328", "e4bd", "e4bd41", "f09f98", "f09f9841", "c0af", "eda080", "f4908080", "f880808080", "61ffc380e282ac62", "e28228a1", "f0288cbc"]


def train(words, alphabet, count):
    """Byte-pair encoding, the plain way; of equally frequent pairs the first in order of the texts."""
    words = collections.Counter(words)
    split = {w: list(w) for w in words}
    merges = []
    for _ in range(count):
        pairs = collections.Counter()
        for w, n in words.items():
            for pair in zip(split[w], split[w][1:]):
                pairs[pair] += n
        if not pairs:
            break
        (a, b), _ = max(pairs.items(), key=lambda kv: (kv[1], kv[0]))
        merges.append([a, b])
        for parts in split.values():
            i = 0
            while i + 1 < len(parts):
                if parts[i] == a and parts[i + 1] == b:
                    parts[i:i + 2] = [a + b]
                i += 1
    vocab = list(dict.fromkeys(list(alphabet) + [a + b for a, b in merges]))
    return vocab, merges


def pieces_of(text, size):
    """Words that begin anywhere, so that merges reach over every border that a pre-tokenizer may draw."""
    return [text[i:i + size] for i in range(0, len(text), size)]


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
USE_NO_REGEX = dict(BYTE_LEVEL, use_regex=False)
BYTE_DECODER = dict(BYTE_LEVEL, add_prefix_space=True)
MARK = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
SPM_NORMALIZER = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, MARK]}
UNMARK = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
STRIP_FIRST = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
SPM_DECODER = {"type": "Sequence", "decoders": [UNMARK, {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP_FIRST]}

byte_vocab, byte_merges = train(pieces_of(spell(PROSE), 11), BYTES, 110)
letters = sorted(set(PROSE.replace(" ", "▁")) | set("▁ \n_ĠéÉİaA") - {"ø"})
piece_vocab, piece_merges = train(pieces_of(PROSE.replace(" ", "▁"), 11), letters, 90)
plain_vocab, plain_merges = train(pieces_of(PROSE, 9), sorted(set(PROSE) | set("▁_")), 70)
SPECIAL = ["<unk>", "<s>", "</s>"]
HEX = ["<0x%02X>" % b for b in range(256)]


def numbered(tokens, start=0):
    return {t: i for i, t in enumerate(tokens, start)}


letters_low = sorted(set(PROSE.lower()) - set(" \n"))
word_pieces = letters_low + ["##" + c for c in letters_low if c != "x"] + "the quick fox hello world ##lo ##ld wor ##orld is it in for print ##ing add return 20 ##24 caf 世 界".split()


def dressed(merges, prefix, suffix):
    """Merges of byte-pair encoding whose characters wear a prefix inside of a word and a suffix at its end."""
    vocab = [prefix * inside + c + suffix * last for c in letters_low for inside in (0, 1) for last in (0, 1)]
    made = []
    for a, b in merges:
        for inside in (0, 1):
            for last in (0, 1):
                left, right = prefix * inside + a, prefix + b + suffix * last
                if left in vocab and right in vocab:
                    made.append([left, right])
                    vocab.append(left + right[len(prefix):])
    return list(dict.fromkeys(vocab)), made


dressed_vocab, dressed_merges = dressed(train(PROSE.lower().split(), letters_low, 40)[1], "##", "</w>")

# Parts of models, which the tokenizers below name: a text "@NAME" stands for the JSON.
PARTS = {
    "bytes": numbered(byte_vocab),
    "byte_merges": [" ".join(m) for m in byte_merges],
    "byte_pairs": byte_merges,
    "pieces": numbered(SPECIAL + HEX + piece_vocab),
    "piece_merges": [" ".join(m) for m in piece_merges],
    "few_bytes": numbered(SPECIAL + [h for i, h in enumerate(HEX) if i % 3] + piece_vocab),
    "plain": numbered(SPECIAL + plain_vocab),
    "plain_merges": plain_merges,
    "unigram": [[t, 0.0] for t in SPECIAL] + [[h, -9.0] for h in HEX] + [[p, -round(3 + 40 / (1 + i % 23) / (len(p) + 1), 4)] for i, p in enumerate(piece_vocab)],
    "wordpiece": numbered(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + word_pieces),
    "words": numbered(["<unk>"] + sorted(set(PROSE.split()))[:60] + [" ", "."]),
    "dressed": numbered(SPECIAL + dressed_vocab),
    "dressed_merges": dressed_merges,
}


def bpe(vocab, merges, **options):
    return {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": False,
            "byte_fallback": False, "ignore_merges": False, **options, "vocab": "@" + vocab, "merges": "@" + merges}


BYTES_BPE = bpe("bytes", "byte_merges")
PIECES_BPE = bpe("pieces", "piece_merges", unk_token="<unk>", fuse_unk=True, byte_fallback=True)
PLAIN_BPE = bpe("plain", "plain_merges", unk_token="<unk>")


def token(content, special=True, **flags):
    return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": not special, "special": special, **flags}


def template(*single, **special):
    def piece(name):
        return {"Sequence": {"id": "A", "type_id": 0}} if name == "$A" else {"SpecialToken": {"id": name, "type_id": 0}}
    return {"type": "TemplateProcessing", "single": [piece(n) for n in single], "pair": [piece("$A"), {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {n: {"id": n, "ids": ids, "tokens": [n] * len(ids)} for n, ids in special.items()}}


def tokenizer(model, normalizer=None, pre=None, post=None, decoder=None, added=()):
    if isinstance(pre, list):
        pre = {"type": "Sequence", "pretokenizers": pre}
    if isinstance(decoder, list):
        decoder = {"type": "Sequence", "decoders": decoder}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "normalizer": normalizer, "pre_tokenizer": pre,
            "post_processor": post, "decoder": decoder, "model": model}


def split(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": pattern if isinstance(pattern, dict) else {"Regex": pattern}, "behavior": behavior, "invert": invert}


UNIGRAM = {"type": "Unigram", "unk_id": 0, "vocab": "@unigram", "byte_fallback": False}
WORD_PIECE = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": "@wordpiece"}
DRESSED_BPE = bpe("dressed", "dressed_merges", unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>")
UNCASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
WORD_PIECE_DECODER = {"type": "WordPiece", "prefix": "##", "cleanup": True}
CHARSMAP = {"type": "Precompiled", "precompiled_charsmap": charsmap({
    "\u00a0": " ", "\n": " ", "\t": " ", "\u3000": " ", "\u200b": "", "ﬁ": "fi", "①": "1", "½": "1⁄2", "ｆ": "f", "か\u3099": "が", "e\u0301": "é", "a": "a", "\u0301": "", "ß": "ss", "\r\n": " ", "ﷺ": "the",
    "İ": "i\u0307", "Å": "Å", "日本": "日"})}
MASK = [token(t) for t in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")]
METASPACE = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
CHAT = [token("<|endoftext|>"), token("<|im_start|>"), token("<|im_end|>")]
SPM = [token(t) for t in SPECIAL]
KINDS = {
    "gpt-2": tokenizer(BYTES_BPE, None, BYTE_LEVEL, dict(BYTE_LEVEL, trim_offsets=False), BYTE_DECODER, [token("<|endoftext|>", normalized=True)]),
    "llama-3": tokenizer(bpe("bytes", "byte_pairs", ignore_merges=True), None, [split(SPLITS["llama3"]), USE_NO_REGEX],
                         {"type": "Sequence", "processors": [dict(BYTE_LEVEL, trim_offsets=False), template("<s>", "$A", **{"<s>": [len(PARTS["bytes"])]})]}, BYTE_DECODER, [token("<s>")] + CHAT),
    "qwen-2": tokenizer(BYTES_BPE, {"type": "NFC"}, [split(SPLITS["qwen2"]), USE_NO_REGEX], dict(BYTE_LEVEL, trim_offsets=False), dict(BYTE_DECODER, add_prefix_space=False),
                        CHAT + [token("<tool>", special=False, normalized=False)]),
    "smollm2": tokenizer(BYTES_BPE, None, [{"type": "Digits", "individual_digits": True}, BYTE_LEVEL], None, BYTE_DECODER, CHAT),
    "cased": tokenizer(bpe("bytes", "byte_pairs"), None, [split(SPLITS["cased"]), USE_NO_REGEX], None, BYTE_DECODER, CHAT),
    "thirds": tokenizer(bpe("bytes", "byte_pairs"), None, [split(SPLITS["numbers"]), split(SPLITS["cjk"]), split(SPLITS["deepseek"]), USE_NO_REGEX],
                        template("<s>", "$A", **{"<s>": [len(PARTS["bytes"])]}), BYTE_DECODER, [token("<s>", normalized=True)]),
    "llama-2": tokenizer(PIECES_BPE, SPM_NORMALIZER, None, template("<s>", "$A", **{"<s>": [1]}), SPM_DECODER, SPM),
    "phi-3": tokenizer(PIECES_BPE, SPM_NORMALIZER, None, template("$A"), SPM_DECODER,
                       SPM[:2] + [token("</s>", special=False, rstrip=True, normalized=False), token("<|user|>", rstrip=True), token("<|im_end|>", rstrip=True)]),
    "mistral": tokenizer(PIECES_BPE, None, {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False},
                         template("<s>", "$A", "</s>", **{"<s>": [1], "</s>": [2]}), [UNMARK, {"type": "ByteFallback"}, {"type": "Fuse"}, STRIP_FIRST], SPM),
    "gemma": tokenizer(PIECES_BPE, MARK, split({"String": " "}, "MergedWithPrevious"), template("<s>", "$A", **{"<s>": [1]}), [UNMARK, {"type": "ByteFallback"}, {"type": "Fuse"}],
                       SPM + [token("\n\n", special=False, normalized=False)]),
    "bert": tokenizer(WORD_PIECE, UNCASED, {"type": "BertPreTokenizer"}, template("[CLS]", "$A", "[SEP]", **{"[CLS]": [2], "[SEP]": [3]}), WORD_PIECE_DECODER, MASK),
    "t5": tokenizer(UNIGRAM, CHARSMAP, METASPACE, template("$A", "</s>", **{"</s>": [2]}), METASPACE, SPM),
    "xlm-r": tokenizer(dict(UNIGRAM, byte_fallback=True), {"type": "Sequence", "normalizers": [CHARSMAP, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]},
                       [{"type": "WhitespaceSplit"}, METASPACE], template("<s>", "$A", "</s>", **{"<s>": [1], "</s>": [2]}), METASPACE, SPM),
    "clip": tokenizer(DRESSED_BPE, {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": " "}, {"type": "Lowercase"}]},
                      split(SPLITS["words"], "Removed", True), {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": False, "add_prefix_space": False},
                      {"type": "BPEDecoder", "suffix": "</w>"}, SPM),
}
HALF = ["t5", "xlm-r", "clip", "qwen-2", "phi-3", "cased", "thirds", "mistral", "gemma"]

OPTIONS, OPTION_TEXTS = {}, {}


def option(name, texts, **parts):
    model = parts.pop("model", PLAIN_BPE)
    model = {k: v for k, v in model.items() if v or type(v) is int}  # files of few words, for a change
    OPTIONS[name] = {k: v for k, v in tokenizer(model, **parts).items() if v or k == "added_tokens"}
    OPTION_TEXTS[name] = texts


ACCENTS = ["", "café déjà cafe\u0301 İ ﬁ Å ｶﾞ", "  Straße  ÉCOLE\u3000 ", "q\u0307\u0323 \u1112\u1161\u11ab ²", "\u0301a"]
for form in ("NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "ByteLevel"):
    option("normalizer " + form, ACCENTS, normalizer={"type": form}, model=BYTES_BPE if form == "ByteLevel" else PIECES_BPE)
for left in (False, True):
    for right in (False, True):
        option(f"normalizer Strip {left} {right}", ["  the  there ", "\u3000the\n", "   ", "", "the"], normalizer={"type": "Strip", "strip_left": left, "strip_right": right})
REPLACE = ["the there  then", "12 345", "aaa", ""]
option("normalizer Replace text", REPLACE, normalizer={"type": "Replace", "pattern": {"String": "the"}, "content": "12"})
option("normalizer Replace regex", REPLACE, normalizer={"type": "Replace", "pattern": {"Regex": r"\s+|\d{2}"}, "content": "▁"})
option("normalizer Replace nothing", REPLACE, normalizer={"type": "Replace", "pattern": {"String": ""}, "content": "_"})
option("normalizer Replace by nothing", REPLACE, normalizer={"type": "Replace", "pattern": {"Regex": "e"}, "content": ""})
option("normalizer Prepend", REPLACE, normalizer={"type": "Prepend", "prepend": "the"})
option("normalizer Sequence", ACCENTS, normalizer={"type": "Sequence", "normalizers": [{"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]}, {"type": "Lowercase"}]})
option("normalizer Sequence of nothing", REPLACE, normalizer={"type": "Sequence", "normalizers": []})

BERT_TEXTS = ACCENTS + ["Hello\tthe\u200dWORLD\u0000 \ufffd\u00ad世界x界 don't", "\u4e00\U00020000\U0002b850a"]
for name, flags in {"all off": (False, False, False, False), "clean": (True, False, False, False), "han": (False, True, False, False), "accents": (False, False, True, False),
                    "lower": (False, False, None, True), "lower with accents": (True, True, False, True), "accents by default": (True, True, None, True)}.items():
    option(f"normalizer BertNormalizer {name}", BERT_TEXTS, normalizer=dict(zip(("type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"), ("BertNormalizer",) + flags)), model=PIECES_BPE)
option("normalizer Nmt", ["a\u0000\u0001b\u200bc\ufeff \u0085\u008f▁\ufffd\tthe\n"], normalizer={"type": "Nmt"}, model=PIECES_BPE)
option("normalizer Precompiled", ACCENTS + ["a\u0301 e\u0301 ﬁ\u0301 ß\u0308 \r\n\r か\u3099 a\u200d \u0600a क\u094dक\u0301 ①②½ 日本", "\u200ba", "\u200b\u200b"], normalizer=CHARSMAP, model=PIECES_BPE)
option("normalizer Precompiled, then Metaspace first", ["\u200bthe <s>ﬁ the", "\u200b\u200bthe", "½ the", "the"], normalizer=CHARSMAP, model=PIECES_BPE, added=SPM,
       pre=dict(METASPACE, prepend_scheme="first"))

CUTS = ["the there, then that.", "  hello  there\n\nthe 12345 x1y ", "in 2024there were,,365", "..the..", "你好 мир_мир", "   "]
for behavior in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"):
    for invert in (False, True):
        option(f"pre_tokenizer Split {behavior} {invert}", CUTS, pre=split(r"[\s,.]|e", behavior, invert))
    option(f"pre_tokenizer Punctuation {behavior}", CUTS[:3] + ["a-b_c! «the» ¿the? $the+the"], pre={"type": "Punctuation", "behavior": behavior})
option("pre_tokenizer Split text", CUTS, pre=split({"String": "the"}))
option("pre_tokenizer Split empty matches", CUTS, pre=split(r"x*"))
option("pre_tokenizer Split words", CUTS, pre=split(r"\b", "Isolated"))
option("pre_tokenizer BertPreTokenizer", CUTS + ["a-b_c! «the»\u3000¿the? $the+the"], pre={"type": "BertPreTokenizer"})
option("pre_tokenizer CharDelimiterSplit", CUTS, pre={"type": "CharDelimiterSplit", "delimiter": "e"})
option("pre_tokenizer FixedLength", CUTS, pre={"type": "FixedLength", "length": 3})
option("pre_tokenizer Whitespace", CUTS + ["a\u0301b _x-y ⓐb²c"], pre={"type": "Whitespace"})
option("pre_tokenizer WhitespaceSplit", CUTS + ["the\u00a0the\u3000the\u200bthe\u0085the"], pre={"type": "WhitespaceSplit"})
for individual in (False, True):
    option(f"pre_tokenizer Digits {individual}", CUTS + ["x²Ⅷ½①١٢٣四"], pre={"type": "Digits", "individual_digits": individual})
for scheme in ("always", "first", "never"):
    for cut in (False, True):
        option(f"pre_tokenizer Metaspace {scheme} {cut}", ["the there", " the  there ", "▁the", "<s>the <s> there", "", " "], model=PIECES_BPE, added=SPM, decoder=SPM_DECODER,
               pre={"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": cut})
option("pre_tokenizer Metaspace of old", ["the there", " the"], model=PIECES_BPE, pre={"type": "Metaspace", "replacement": "▁", "add_prefix_space": True, "prepend_scheme": "always"})
for prefix in (False, True):
    for regex in (False, True):
        option(f"pre_tokenizer ByteLevel {prefix} {regex}", CUTS + ["<s>the <s> there"], model=BYTES_BPE, added=[token("<s>")], decoder=BYTE_DECODER,
               pre=dict(BYTE_LEVEL, add_prefix_space=prefix, use_regex=regex))
option("pre_tokenizer Sequence", CUTS, pre=[{"type": "WhitespaceSplit"}, {"type": "Sequence", "pretokenizers": [{"type": "Punctuation", "behavior": "Isolated"}]}, {"type": "Digits", "individual_digits": True}])
option("pre_tokenizer ByteLevel before others", CUTS, model=BYTES_BPE, pre=[BYTE_LEVEL, split("Ġ|e"), {"type": "Punctuation", "behavior": "Isolated"}])
option("pre_tokenizer ByteLevel twice", CUTS, model=BYTES_BPE, pre=[BYTE_LEVEL, USE_NO_REGEX])

UNKNOWN = ["the €€ there", "€", "€€x日本€", "あ the いう\u0001", "Ω"]
option("model without unk", UNKNOWN, model=bpe("plain", "plain_merges"))
option("model unk", UNKNOWN, model=PLAIN_BPE)
option("model fuse_unk", UNKNOWN, model=bpe("plain", "plain_merges", unk_token="<unk>", fuse_unk=True))
option("model byte_fallback", UNKNOWN, model=bpe("pieces", "piece_merges", byte_fallback=True), decoder=SPM_DECODER)
option("model byte_fallback with missing bytes", UNKNOWN, model=bpe("few_bytes", "piece_merges", unk_token="<unk>", byte_fallback=True), decoder=SPM_DECODER)
option("model byte_fallback, fuse_unk with missing bytes", UNKNOWN, model=bpe("few_bytes", "piece_merges", unk_token="<unk>", fuse_unk=True, byte_fallback=True))
option("model ignore_merges", ["the", "there", "<unk>", "the there", "then"], model=bpe("plain", "plain_merges", ignore_merges=True), pre={"type": "WhitespaceSplit"})
option("model of old, without a type", ["the there", "€"], model={k: v for k, v in PLAIN_BPE.items() if k != "type"})
option("model long words", ["the there" * 20, "then that " * 30 + "€" * 50, "e" * 300, "hellothere" * 12], model=PLAIN_BPE)

WORDS = ["the there then", "The quick brown fox, unaffable", "worldworld", "x" * 30, "€ the", "", "add(a, b): in 2024!"]
option("model Unigram", UNKNOWN + WORDS, model=UNIGRAM)
option("model Unigram with byte_fallback", UNKNOWN + WORDS, model=dict(UNIGRAM, byte_fallback=True), pre=METASPACE)
option("model Unigram, another unk", UNKNOWN + WORDS, model=dict(UNIGRAM, unk_id=300))
option("model WordPiece", WORDS, model=WORD_PIECE, pre={"type": "Whitespace"})
option("model WordPiece of short words", WORDS, model=dict(WORD_PIECE, max_input_chars_per_word=5), pre={"type": "Whitespace"})
option("model WordLevel", WORDS, model={"type": "WordLevel", "vocab": "@words", "unk_token": "<unk>"}, pre=split(r"[ .]"))
option("model with prefix and suffix", WORDS + UNKNOWN, model=DRESSED_BPE, pre={"type": "WhitespaceSplit"}, decoder={"type": "BPEDecoder", "suffix": "</w>"})
option("model with prefix and suffix, long words", ["the there then that" * 8, "therethen" * 12], model=DRESSED_BPE)

MANY = ["<a> the<a>the  <a>  the", "the<a>", "a<a>b", " <a> ", "<a><a>", "<A> the", "xx<a>_<a>é<a>٣"]
for flag in ("single_word", "lstrip", "rstrip"):
    option("added " + flag, MANY, added=[token("<a>", **{flag: True})])
option("added lstrip rstrip", MANY + ["<a>   <a>   <a>"], added=[token("<a>", lstrip=True, rstrip=True)])
option("added single_word of letters", ["the there the", "then, the.the", "the"], added=[token("the", special=False, single_word=True)])
option("added normalized", MANY + ["<á> ÉCOLE É e\u0301"], normalizer={"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Lowercase"}]},
       added=[token("<A>", normalized=True), token("É", special=False), token("e\u0301", special=False, normalized=False)])
option("added normalized with a prefix", ["the <s>there", "x<s>"], model=PIECES_BPE, normalizer=SPM_NORMALIZER, decoder=SPM_DECODER, added=[token("<s>", normalized=True), token("</s>", normalized=False)])
option("added overlapping", ["abcabab", "aabbcc abc ab", "xabcy"], added=[token("ab"), token("abc", special=False), token("abcab", normalized=True), token("bc", special=False, normalized=False)])
option("added in the vocabulary", ["the <s>there</s>", "<unk>"], added=[token("there", special=False), token("<s>"), token("new"), token("newer", special=False)])
option("added twice", ["<a> the <b>"], added=[token("<a>"), token("<b>"), token("<a>", special=False, lstrip=True)])
option("added that normalise to nothing", ["the there", " the "], normalizer={"type": "Strip", "strip_left": True, "strip_right": True}, added=[token("  ", special=False, lstrip=True)])

option("post_processor of several ids", ["the", ""], added=SPM, post=template("<s>", "<s>", "$A", "</s>", **{"<s>": [1, 0], "</s>": [2]}))
option("post_processor BertProcessing", ["the", ""], added=SPM, post={"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]})
option("post_processor RobertaProcessing", ["the", ""], added=SPM, post={"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": True, "add_prefix_space": True})
option("post_processor that repeats", ["the", ""], added=SPM, post=template("$A", "</s>", "$A", **{"</s>": [2]}))
option("post_processor without the text", ["the", ""], added=SPM, post=template("</s>", **{"</s>": [2]}))
option("post_processor of nothing", ["the", ""], post={"type": "Sequence", "processors": []})

TOKENS = ["the there, é ", "▁▁the ▁ <0x41>", "日本 12"]
DECODERS = {
    "none": None,
    "Fuse": {"type": "Fuse"},
    "ByteFallback": {"type": "ByteFallback"},
    "ByteFallback of one": [{"type": "Fuse"}, {"type": "ByteFallback"}],
    "Replace text": UNMARK,
    "Replace text of all": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"String": "eth"}, "content": "[]"}],
    "Replace regex": {"type": "Replace", "pattern": {"Regex": "[▁e]+"}, "content": "-"},
    "Replace regex of all": [{"type": "Fuse"}, {"type": "Replace", "pattern": {"Regex": "t.*e"}, "content": "-"}],
    "Strip start": {"type": "Strip", "content": "▁", "start": 2, "stop": 0},
    "Strip of all": [{"type": "Fuse"}, {"type": "Strip", "content": "▁", "start": 2, "stop": 1}],
    "Metaspace": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
    "Metaspace never": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
    "Sequence": [UNMARK, {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]}, STRIP_FIRST],
    "Sequence of nothing": [],
    "WordPiece": {"type": "WordPiece", "prefix": "▁", "cleanup": False},
    "WordPiece with cleanup": {"type": "WordPiece", "prefix": "the", "cleanup": True},
    "WordPiece of one": [{"type": "Fuse"}, {"type": "WordPiece", "prefix": "▁", "cleanup": True}],
    "BPEDecoder": {"type": "BPEDecoder", "suffix": "▁"},
    "BPEDecoder of one": [{"type": "Fuse"}, {"type": "BPEDecoder", "suffix": "▁"}, {"type": "ByteFallback"}],
    "CTC": {"type": "CTC", "pad_token": "▁", "word_delimiter_token": "e", "cleanup": True},
    "CTC without cleanup": {"type": "CTC", "pad_token": "the", "word_delimiter_token": "▁", "cleanup": False},
    "CTC of one": [{"type": "Fuse"}, {"type": "CTC", "pad_token": "▁", "word_delimiter_token": "e", "cleanup": True}],
    "ByteLevel": BYTE_DECODER,
    "ByteLevel of one": [{"type": "Fuse"}, BYTE_DECODER],
    "ByteLevel before others": [BYTE_DECODER, {"type": "Strip", "content": "é", "start": 1, "stop": 1}, {"type": "Replace", "pattern": {"String": "th"}, "content": "TH"}],
}
for name, decoder in DECODERS.items():
    option("decoder " + name, TOKENS, decoder=decoder, model=BYTES_BPE if "ByteLevel" in name else PIECES_BPE, added=[token("<|end|>"), token("ĠÉ", special=False)])


def golden(rng, name, made, texts):
    """encode: text, ids, special (ids with special tokens, if they differ), decoded (the text of those, if it is another),
    skipped (the same without special tokens, if it is another again). decode: ids, decoded, skipped."""
    whole = json.loads(json.dumps(made))
    for part in {"vocab", "merges"} & set(whole["model"]):
        whole["model"][part] = PARTS[whole["model"][part][1:]]
    oracle = tokenizers.Tokenizer.from_str(json.dumps(whole))
    encoded, decoded = [], []

    def decode(ids, case, text=None):
        kept, skipped = (oracle.decode(ids, skip_special_tokens=s) for s in (False, True))
        case.update(({"decoded": kept} if kept != text else {}) | ({"skipped": skipped} if skipped != kept else {}))
        return case

    def encode(shown, text):
        try:
            oracle.encode(text)
        except BaseException as e:  # a panic of Rust: it loses count of what Precompiled changed
            assert "Precompiled" in json.dumps(made) and "index out of bounds" in str(e), e
            return
        ids, special = (oracle.encode(text, add_special_tokens=s).ids for s in (False, True))
        encoded.append(decode(special, {"text": shown, "ids": ids} | ({"special": special} if special != ids else {}), text))

    for text in texts:
        encode(text, text)
    if name in KINDS:
        for data in INVALID:
            encode({"hex": data}, bytes.fromhex(data).decode(errors="replace"))
    if name in KINDS or name.startswith("decoder"):
        size = oracle.get_vocab_size()
        for _ in range(6):
            ids = [rng.randrange(size + 2) if rng.random() < 0.5 else rng.randrange(60, size) for _ in range(rng.randint(1, 9))]
            decoded.append(decode(ids, {"ids": ids}))
        vocab, broken = oracle.get_vocab(), b"\xe4\xbd\xa0\xe4\xbda\xf0\x9f\x98\x80\xf0\x9f"
        ids = [vocab.get("<0x%02X>" % b, vocab.get(BYTES[b])) for b in broken]
        if None not in ids:
            decoded.append(decode(ids, {"ids": ids}))
    return {"name": name, "json": json.dumps(made, ensure_ascii=False, separators=(",", ":")), "encode": encoded, "decode": decoded}


def main():
    rng = random.Random(1)
    parts = {name: json.dumps(part, ensure_ascii=False, separators=(",", ":")) for name, part in PARTS.items()}
    cases = [golden(rng, n, t, TEXTS[::2] if n in HALF else TEXTS) for n, t in KINDS.items()] + [golden(rng, n, t, OPTION_TEXTS[n]) for n, t in OPTIONS.items()]
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "goldens.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"parts":' + json.dumps(parts, ensure_ascii=False, separators=(",", ":")) + ',\n"cases":[\n')
        f.write(",\n".join(json.dumps(c, ensure_ascii=False, separators=(",", ":")) for c in cases) + "\n]}\n")
    print(len(cases), "tokenizers,", sum(len(c["encode"]) for c in cases), "texts encoded,", sum(len(c["decode"]) for c in cases), "decoded,", os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
