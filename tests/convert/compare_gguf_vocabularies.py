#!/usr/bin/env python3
"""Vocabularies of every kind that GGUF has: trained with tokenizers and sentencepiece, written as GGUF, turned into a
tokenizer.json by us, and compared with the originals on random texts. Not part of the suite.
Usage: compare_gguf_vocabularies.py PIPE [--texts N] [--seed N]     (PIPE is the built tests/text/tokenizer/tokenizer_pipe)
       compare_gguf_vocabularies.py --goldens     writes vocabularies.json and vocabularies/*.gguf, which test_models reads"""
import base64
import io
import json
import os
import random
import sys
import tempfile

import gguf
import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../text/tokenizer"))
import compare_with_tokenizers
import random_texts
import random_tokenizers

TEXT = ["The quick brown fox jumps over the lazy dog. Hello world! I'm sure you're right; WE'VE seen it, they'd say.",
        "In 2024 there were 365 days, 12345 and 1000000 of them.  def add(a, b):\n    return a + b  # the sum\n\n\tif x==1:\r\n",
        "Où est le café déjà? Straße, größer, naïve. Привет мир, это хорошо. 你好世界 日本語 テキスト 안녕하세요 the then there fooBar FOO::bar()"]
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
         r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|"
          r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"


def split(pattern, behavior="isolated"):
    return pre_tokenizers.Split(Regex(pattern), behavior)


def plain():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)


def spelled():
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def digits(individual=True):
    return pre_tokenizers.Digits(individual_digits=individual)


# The pre-tokenizers of the models after which GGUF names them: normalizer, steps, ignore_merges.
BYTES = {
    "gpt-2": (None, [plain()], False),
    "smollm": (None, [digits(), plain()], False),
    "starcoder": (None, [digits(), plain()], False),
    "command-r": (normalizers.NFC(), [digits(), plain()], False),
    "llama-bpe": (None, [split(random_tokenizers.SPLITS["llama3"]), spelled()], True),
    "qwen2": (normalizers.NFC(), [split(random_tokenizers.SPLITS["qwen2"]), spelled()], False),
    "deepseek-v3": (None, [split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(random_tokenizers.SPLITS["deepseek"]), spelled()], False),
    "deepseek-coder": (None, [split("[\r\n]"), split(r"\s?\p{L}+"), split(r"\s?\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), digits(), spelled()], False),
    "falcon": (None, [pre_tokenizers.Punctuation("contiguous"), plain(), digits(False), split("[0-9][0-9][0-9]")], False),
    "gpt-4o": (None, [split(O200K), spelled()], False),
    "tekken": (None, [split(TEKKEN), spelled()], True),
    "kimi-k2": (None, [split(KIMI), spelled()], False),
    "bailingmoe": (None, [split(BAILING), spelled()], False),
    "tiny_aya": (None, [split(r"\d{1,3}(?=(?:\d{3})*\b)"), split(O200K), spelled()], False),
    "bloom": (None, [split(r" ?[^(\s|.,!?…。，、।۔،)]+"), spelled()], False),
    "viking": (None, [split(r" ?[^(\s|.,!?…。，、।۔،)]+"), digits(), spelled()], False),
}


def write(path, kind, tokens, types, scores=None, merges=None, pre=None, **more):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model(kind)
    if pre:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if scores:
        writer.add_token_scores(scores)
    if merges is not None:
        writer.add_token_merges(merges)
    for name, value in more.items():
        getattr(writer, name)(value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


NORMAL, UNKNOWN, CONTROL, USER, BYTE = (gguf.TokenType.NORMAL, gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.USER_DEFINED, gguf.TokenType.BYTE)


def in_order(vocab):
    return [t for t, _ in sorted(vocab.items(), key=lambda item: item[1])]


def byte_level(path, name):
    normalizer, steps, whole = BYTES[name]
    made = Tokenizer(models.BPE(ignore_merges=whole))
    if normalizer:
        made.normalizer = normalizer
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=420, special_tokens=["<|begin|>", "<|end|>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    state = json.loads(made.to_str())["model"]
    tokens = in_order(state["vocab"])
    write(path, "gpt2", tokens, [CONTROL, CONTROL] + [NORMAL] * (len(tokens) - 2), merges=[" ".join(m) for m in state["merges"]], pre=name,
          add_bos_token_id=0, add_eos_token_id=1, add_add_bos_token=False)
    return made


def t5(path, small=False, fallback=False, prefix=True):
    """SentencePiece's own Unigram model, as Hugging Face converts it."""
    made = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXT * 3), model_writer=made, vocab_size=470 if fallback else 210, hard_vocab_limit=False, byte_fallback=fallback, pad_id=0, eos_id=1, unk_id=2,
                                             bos_id=-1, user_defined_symbols=["<extra_0>"], minloglevel=9, add_dummy_prefix=prefix)
    proto = sentencepiece_model_pb2.ModelProto.FromString(made.getvalue())
    charsmap = proto.normalizer_spec.precompiled_charsmap
    if small:
        charsmap = base64.b64decode(random_tokenizers.charsmap({"\u00a0": " ", "\n": " ", "\t": " ", "ﬁ": "fi", "½": "1⁄2", "e\u0301": "é", "\u200b": ""}))
    t = Tokenizer(models.Unigram([(p.piece, p.score) for p in proto.pieces], unk_id=2, byte_fallback=fallback))
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Strip(left=False, right=True), normalizers.Replace(Regex(" {2,}"), "▁")])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always" if prefix else "never")
    t.decoder = decoders.Metaspace(prepend_scheme="always" if prefix else "never")
    t.post_processor = processors.TemplateProcessing("$A </s>", "$A </s> $B </s>", [("</s>", 1)])
    t.add_special_tokens(["<pad>", "</s>", "<unk>"])
    t.add_tokens([__import__("tokenizers").AddedToken("<extra_0>", normalized=False)])
    write(path, "t5", [p.piece for p in proto.pieces], [gguf.TokenType(p.type) for p in proto.pieces], scores=[p.score for p in proto.pieces], add_eos_token_id=1, add_unk_token_id=2, add_pad_token_id=0,
          add_precompiled_charsmap=charsmap, add_remove_extra_whitespaces=True, add_add_space_prefix=prefix)
    return t


def bert(path):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=100))
    t.normalizer, t.pre_tokenizer, t.decoder = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer(), decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    t.train_from_iterator(TEXT, trainers.WordPieceTrainer(vocab_size=250, special_tokens=special, show_progress=False))
    t.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", [("[CLS]", 2), ("[SEP]", 3)])
    tokens = [w if w in special else w[2:] if w.startswith("##") else "▁" + w for w in in_order(t.get_vocab())]
    write(path, "bert", tokens, [CONTROL if w in special else NORMAL for w in tokens], add_unk_token_id=1, add_sep_token_id=3, add_pad_token_id=0, add_mask_token_id=4, add_bos_token_id=2, add_eos_token_id=3)
    return t


def gemma4(path):
    special = ["<pad>", "<eos>", "<bos>", "<unk>"]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Replace(" ", "▁")
    t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    t.train_from_iterator([x[i:i + 12] for x in TEXT for i in range(0, len(x), 12)], trainers.BpeTrainer(vocab_size=500, special_tokens=special + ["<0x%02X>" % b for b in range(256)], show_progress=False))
    state = json.loads(t.to_str())
    state["added_tokens"] = [a for a in state["added_tokens"] if a["content"] in special]  # bytes are no added tokens
    t = Tokenizer.from_str(json.dumps(state))
    t.post_processor = processors.TemplateProcessing("<bos> $A", "<bos> $A $B", [("<bos>", 2)])
    tokens = in_order(state["model"]["vocab"])
    merges = [m for m in state["model"]["merges"] if " " not in m[0] + m[1]]
    types = [UNKNOWN if w == "<unk>" else CONTROL if w in special else BYTE if len(w) == 6 and w.startswith("<0x") else NORMAL for w in tokens]
    write(path, "gemma4", tokens, types, merges=[" ".join(m) for m in merges], add_bos_token_id=2, add_eos_token_id=1, add_unk_token_id=3, add_pad_token_id=0, add_add_bos_token=True)
    return t


KINDS = {"t5": t5, "t5-bytes": lambda p: t5(p, fallback=True), "t5-no-prefix": lambda p: t5(p, prefix=False), "bert": bert, "gemma4": gemma4,
         **{name: (lambda p, n=name: byte_level(p, n)) for name in BYTES}}
GOLDENS = {"t5": lambda p: t5(p, small=True), "bert": bert, "gemma4": gemma4, "tekken": KINDS["tekken"], "kimi-k2": KINDS["kimi-k2"], "falcon": KINDS["falcon"]}


def write_goldens():
    rng = random.Random(4)
    texts = ["", " ", "Hello world", "  the  quick\n\nbrown fox ", "In 2024: 12345 ½ ① don't WE'VE", "Où est le café cafe\u0301 déjà", "你好世界 日本語 안녕하세요", "👋🏽 \u200b\u00a0x\ufffd"] + [random_texts.text(rng) for _ in range(12)]
    os.makedirs(os.path.join(HERE, "vocabularies"), exist_ok=True)
    cases = {}
    for name, make in GOLDENS.items():
        t = make(os.path.join(HERE, "vocabularies", name + ".gguf"))
        cases[name] = [t.encode(x).ids for x in texts]
    with open(os.path.join(HERE, "vocabularies.json"), "w", encoding="utf-8") as f:
        f.write('{"texts":' + json.dumps(texts) + ',\n"ids":{\n' + ",\n".join(f"{json.dumps(k)}:{json.dumps(v, separators=(',', ':'))}" for k, v in cases.items()) + "}}\n")


def main():
    if sys.argv[1:] == ["--goldens"]:
        return write_goldens()
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    options = dict(zip(sys.argv[2::2], map(int, sys.argv[3::2])))
    comparison = compare_with_tokenizers.Comparison(compare_with_tokenizers.Pipe(sys.argv[1]), False)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for name, make in KINDS.items():
            rng = random.Random(options.get("--seed", 1))
            path = os.path.join(folder, name + ".gguf")
            original = make(path)
            status, made = comparison.pipe.ask("G", path.encode())
            if status:
                raise SystemExit(made.decode())
            status, message = comparison.pipe.ask("L", made)
            if status:
                raise SystemExit(message.decode())
            before = comparison.compared
            ok = comparison.texts(original, [random_texts.text(rng, ["</s>", "<extra_0>", "[SEP]", "<|end|>"]) for _ in range(options.get("--texts", 300))], rng, name)
            failed += not ok
            print(f"{name}: {comparison.compared - before} comparisons, {'the same' if ok else 'DIFFERENT'}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
