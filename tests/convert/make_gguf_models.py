"""models/*.gguf: tiny random models of every type, written by the `gguf` package, and models/goldens.json: what a conversion
of each must give. Weights are made in Hugging Face's layout; the file gets them as GGUF has them (rows of q and k of the llama
architecture permuted), and the golden holds the checksum of what gguf's own dequantisation makes of the layout before.
Golden ids come from the tokenizers that the vocabularies were taken from (tokenizers, sentencepiece).

Usage: make_gguf_models.py"""
import io
import json
import pathlib
import sys
import zlib

import gguf
import mlx.core as mx
import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Q
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

HERE = pathlib.Path(__file__).parent
OUT = HERE / "models"
TEXT = """The quick brown fox jumps over the lazy dog. What is the capital of France? The capital of France is Paris.
It was the best of times, it was the worst of times. one two three four five; 1 2 3 4 5 10 2024 "yes" (no)! naïve café
You are a helpful assistant. Write a function that returns the sum of two numbers in the list. Schöne Grüße aus München."""
TEMPLATE = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
PHI_TEMPLATE = ("{{ bos_token }}{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
                "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}")
PROMPTS = ["The capital of France is", " two  spaces\tand a tab", "naïve café, Grüße", "日本 \U0001f600 no pieces", "12345 and 6.5", "", "a\nb\n\n",
           "it's the best!"]
goldens = {}


# ---- vocabularies ----

def bpe():
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=300, special_tokens=[AddedToken(t, special=True) for t in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    state = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(state["vocab"], key=state["vocab"].get)
    merges = [m if isinstance(m, str) else " ".join(m) for m in state["merges"]]

    def write(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("smollm")
        writer.add_token_list(tokens)
        writer.add_token_types([3 if t in special else 1 for t in tokens])
        writer.add_token_merges(merges)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_pad_token_id(2)
        writer.add_unk_token_id(0)
        writer.add_add_bos_token(False)
        writer.add_chat_template(TEMPLATE)

    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in PROMPTS]
    return len(tokens), write, ids, TEMPLATE, {"eos_token_id": 2, "bos_token_id": 1, "pad_token_id": 2}


def spm(phi3):
    stream = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT.split("\n")), model_writer=stream, vocab_size=330, model_type="bpe", byte_fallback=True,
        character_coverage=1.0, minloglevel=2, num_threads=1, normalization_rule_name="identity", remove_extra_whitespaces=False)
    sp = sentencepiece.SentencePieceProcessor(model_proto=stream.getvalue())
    extra = ["<|endoftext|>", "<|assistant|>", "<|user|>", "<|end|>"] if phi3 else ["<|im_end|>"]
    pieces = [sp.id_to_piece(i) for i in range(sp.vocab_size())] + extra
    scores = [sp.get_score(i) for i in range(sp.vocab_size())] + [-1000.0] * len(extra)
    types = [2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1 for i in range(sp.vocab_size())] + [3] * len(extra)
    template = PHI_TEMPLATE if phi3 else TEMPLATE
    eos = len(pieces) - len(extra) if phi3 else 2

    def write(writer):
        writer.add_tokenizer_model("llama")
        writer.add_tokenizer_pre("default")
        writer.add_token_list(pieces)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(eos)
        writer.add_unk_token_id(0)
        writer.add_chat_template(template)

    # tokenizers gives no prefix space to an empty text, nor does sentencepiece.
    ids = [[1] + sp.encode(text) for text in PROMPTS]
    ends = [eos] + [i for i, t in enumerate(pieces) if t in ("<|end|>", "<|im_end|>") and i != eos]
    return len(pieces), write, ids, template, {"eos_token_id": ends if len(ends) > 1 else eos, "bos_token_id": 1}


# ---- weights ----

def permute(weight, heads):
    """Pairs of dimensions (i, i + half) of each head become neighbours."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:]).swapaxes(1, 2).reshape(weight.shape)


AGAIN = (Q.Q2_K, Q.Q3_K, Q.Q6_K)  # groups of 16 with two digits: quantised again, with 8 bits
# Where the float16 numbers of a block stand, in bytes.
HALVES = {Q.Q2_K: (80, 82), Q.Q3_K: (108,), Q.Q4_K: (0, 2), Q.Q5_K: (0, 2), Q.Q6_K: (208,), Q.IQ4_XS: (0,), Q.IQ4_NL: (0,), Q.NVFP4: ()}


def random_blocks(rng, kind, shape):
    """What gguf cannot quantise itself: random bits, with scales that make sense."""
    values, size = gguf.GGML_QUANT_SIZES[kind]
    data = rng.integers(0, 256, (shape[0], shape[1] // values, size), dtype=np.uint8)
    for at in HALVES[kind]:
        halves = (rng.standard_normal(data.shape[:2]) / 64).astype(np.float16)
        data[:, :, at:at + 2] = halves[:, :, None].view(np.uint8)
    if kind == Q.NVFP4:
        data[:, :, :4] = rng.choice(np.array([0, 1, 7, 8, 0x38, 0x3F, 0x41, 0x7E, 0x7F], np.uint8), (*data.shape[:2], 4))
    return data.reshape(shape[0], -1)


def quantised_again(values, dtype=mx.float16):
    """What 8 bits in groups of 32 make of float32 values, computed in `dtype`."""
    w, scales, biases = mx.quantize(mx.array(values).astype(dtype), group_size=32, bits=8, stream=mx.cpu)
    return np.array(mx.dequantize(w, scales.astype(mx.float32), biases.astype(mx.float32), group_size=32, bits=8, stream=mx.cpu))


class Model:
    def __init__(self, name, arch, kind, hidden=32, ff=64, layers=1, heads=4, kv_heads=2, vocab=40, vocabulary=None, tied=False,
                 biases=False, rope=None, kinds=None, scale=0.5, context=256, rope_dims=None, norm_kind=Q.F32, head_dim=None):
        self.rng = np.random.default_rng(zlib.crc32(name.encode()))
        self.arch, self.kind, self.kinds, self.scale, self.norm_kind = arch, kind, kinds or {}, scale, norm_kind
        self.writer = gguf.GGUFWriter(str(OUT / f"{name}.gguf"), arch)
        self.tensors, golden = {}, {}
        w, head_dim = self.writer, head_dim or hidden // heads
        ids = template = None
        if vocabulary:
            vocab, write, ids, template, generation = vocabulary
            write(w)
            golden.update(ids=ids, prompts=PROMPTS, chat_template=template, generation=generation)
        w.add_context_length(context)
        w.add_embedding_length(hidden)
        w.add_feed_forward_length(ff)
        w.add_block_count(layers)
        w.add_head_count(heads)
        w.add_head_count_kv(kv_heads)
        w.add_layer_norm_rms_eps(1e-5)
        w.add_rope_dimension_count(rope_dims or head_dim)
        if head_dim * heads != hidden:
            w.add_key_length(head_dim)
            w.add_value_length(head_dim)
        w.add_rope_freq_base(500000.0 if rope == "llama3" else 10000.0)
        config = {"model_type": arch, "hidden_size": hidden, "intermediate_size": ff, "num_hidden_layers": layers,
                  "num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": vocab, "rms_norm_eps": 1e-5,
                  "max_position_embeddings": context, "rope_theta": 500000.0 if rope == "llama3" else 10000.0,
                  "tie_word_embeddings": tied, "attention_bias": biases, "rope_scaling": self.rope(rope, rope_dims or head_dim, context)}
        if arch == "phi3":
            config["original_max_position_embeddings"] = 128 if rope == "longrope" else context
            if rope_dims:
                config["partial_rotary_factor"] = rope_dims / head_dim
        else:
            config.update(head_dim=head_dim, mlp_bias=biases)
        kv = kv_heads * head_dim
        self.add("token_embd", "model.embed_tokens", (vocab, hidden))
        for i in range(layers):
            g, m = f"blk.{i}.", f"model.layers.{i}."
            self.norm(g + "attn_norm", m + "input_layernorm", hidden)
            if arch == "llama":
                for letter, rows, count in (("q", head_dim * heads, heads), ("k", kv, kv_heads), ("v", kv, 0)):
                    self.add(f"{g}attn_{letter}", f"{m}self_attn.{letter}_proj", (rows, hidden), count, biases)
                self.add(g + "attn_output", m + "self_attn.o_proj", (hidden, head_dim * heads), 0, biases)
                self.add(g + "ffn_gate", m + "mlp.gate_proj", (ff, hidden), 0, biases)
                self.add(g + "ffn_up", m + "mlp.up_proj", (ff, hidden), 0, biases)
            else:
                self.add(g + "attn_qkv", m + "self_attn.qkv_proj", (hidden + 2 * kv, hidden))
                self.add(g + "attn_output", m + "self_attn.o_proj", (hidden, hidden))
                self.add(g + "ffn_up", m + "mlp.gate_up_proj", (2 * ff, hidden))
            self.norm(g + "ffn_norm", m + "post_attention_layernorm", hidden)
            self.add(g + "ffn_down", m + "mlp.down_proj", (hidden, ff), 0, biases)
        self.norm("output_norm", "model.norm", hidden)
        if not tied:
            self.add("output", "lm_head", (vocab, hidden))
        w.write_header_to_file()
        w.write_kv_data_to_file()
        w.write_tensors_to_file()
        w.close()
        golden.update(config=config, tensors=self.tensors)
        goldens[name] = golden

    def rope(self, kind, dims, context):
        w, half = self.writer, dims // 2
        if kind is None:
            return None
        if kind == "llama3":
            # Hugging Face's llama3 parameters: frequencies are divided by these factors.
            factor, low, high, original = 8.0, 1.0, 4.0, 8192
            wavelength = 2 * np.pi * 500000.0 ** (np.arange(half) * 2 / dims)
            smooth = (original / wavelength - low) / (high - low)
            factors = np.where(wavelength < original / high, 1.0, np.where(wavelength > original / low, factor, 1 / ((1 - smooth) / factor + smooth)))
            w.add_tensor("rope_freqs.weight", factors.astype(np.float32))
            return {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192}
        if kind == "longrope":
            short, long = 1 + np.arange(half, dtype=np.float32) / 7, 2 + np.arange(half, dtype=np.float32) * np.float32(1.3)
            w.add_tensor("rope_factors_short.weight", short)
            w.add_tensor("rope_factors_long.weight", long)
            w.add_rope_scaling_orig_ctx_len(128)
            w.add_rope_scaling_attn_factors(float(np.sqrt(1 + np.log(context / 128) / np.log(128))))
            return {"type": "longrope", "rope_type": "longrope", "short_factor": [float(x) for x in short],
                    "long_factor": [float(x) for x in long]}
        w.add_rope_scaling_type(gguf.RopeScalingType.LINEAR if kind == "linear" else gguf.RopeScalingType.YARN)
        w.add_rope_scaling_factor(4.0)
        if kind == "linear":
            return {"rope_type": "linear", "factor": 4.0}
        w.add_rope_scaling_orig_ctx_len(64)
        return {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}

    def expect(self, name, values):
        values = np.ascontiguousarray(values, np.float32) + np.float32(0)  # no -0: the sum q*s + b has none
        self.tensors[name] = {"shape": list(values.shape), "crc32": zlib.crc32(values.tobytes()), "first": [float(v) for v in values.ravel()[:3]]}

    def add(self, name, module, shape, heads=0, bias=False):
        kind = self.kinds.get(name.split(".")[-1], self.kind)
        values = self.rng.standard_normal(shape).astype(np.float32) * np.float32(self.scale)
        data = random_blocks(self.rng, kind, shape) if kind in HALVES else gguf.quants.quantize(values, kind)
        values = gguf.quants.dequantize(data, kind)
        self.expect(module + ".weight", quantised_again(values) if kind in AGAIN else values)
        reorder = (lambda a: permute(a, heads)) if heads else (lambda a: a)
        self.writer.add_tensor(name + ".weight", np.ascontiguousarray(reorder(data)), raw_dtype=kind)
        if bias:
            values = self.rng.standard_normal(shape[0]).astype(np.float32)
            self.expect(module + ".bias", values)
            self.writer.add_tensor(name + ".bias", np.ascontiguousarray(reorder(values)))

    def norm(self, name, module, size):
        values = 1 + self.rng.standard_normal(size).astype(np.float32) / 8
        data = gguf.quants.quantize(values, self.norm_kind)
        self.expect(module + ".weight", gguf.quants.dequantize(data, self.norm_kind))
        self.writer.add_tensor(name + ".weight", data, raw_dtype=self.norm_kind)


def random_model(rng, name):
    """A model whose shapes, types and order of tensors nobody chose; its path."""
    every = [Q.F32, Q.F16, Q.BF16, Q.Q4_0, Q.Q4_1, Q.Q5_0, Q.Q5_1, Q.Q8_0, Q.MXFP4, *HALVES]
    large = rng.random() < 0.7
    arch, unit = str(rng.choice(["llama", "phi3"])), 256 if large else 32
    kinds = every if large else [k for k in every if gguf.GGML_QUANT_SIZES[k][0] <= 32]
    hidden, heads, kv = unit * int(rng.integers(1, 3)), 8, int(rng.choice([1, 2, 4]))
    small = [k for k in kinds if gguf.GGML_QUANT_SIZES[k][0] <= 32]
    head_dim = None if arch == "phi3" or rng.random() < 0.5 else 8
    ff = int(rng.integers(1, 4)) * (unit if rng.random() < 0.3 else 32)
    pick = lambda width: (kinds if width % 256 == 0 else [k for k in small if width % gguf.GGML_QUANT_SIZES[k][0] == 0])  # noqa: E731
    width = {"ffn_down": ff, "attn_output": (head_dim or hidden // heads) * heads}
    names = ["token_embd", "attn_q", "attn_k", "attn_v", "attn_qkv", "attn_output", "ffn_gate", "ffn_up", "ffn_down", "output"]
    chosen = {n: (lambda options: options[int(rng.integers(len(options)))])(pick(width.get(n, hidden))) for n in names}
    Model(name, arch, Q.F32, hidden=hidden, ff=ff, heads=heads, kv_heads=kv, head_dim=head_dim, vocab=int(rng.integers(20, 60)),
          tied=bool(rng.random() < 0.5) and arch == "llama", biases=bool(rng.random() < 0.3) and arch == "llama", kinds=chosen,
          layers=int(rng.integers(1, 3)), scale=float(rng.choice([0.02, 0.5, 3])), norm_kind=[Q.F32, Q.F16][int(rng.integers(2))])
    return str(OUT / f"{name}.gguf")


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    mixed = {"token_embd": Q.Q8_0, "attn_q": Q.Q4_1, "attn_k": Q.Q5_0, "attn_v": Q.F16, "attn_output": Q.Q5_1, "ffn_gate": Q.BF16, "output": Q.F32}
    Model("llama-q4_0", "llama", Q.Q4_0, vocabulary=bpe(), tied=True)
    Model("llama-q4_1", "llama", Q.Q4_1, rope="llama3", layers=2)
    Model("llama-q5_0", "llama", Q.Q5_0, rope="linear", kv_heads=4)
    Model("llama-q5_1", "llama", Q.Q5_1, rope="yarn", kv_heads=1)
    Model("llama-q8_0", "llama", Q.Q8_0, vocabulary=spm(False), biases=True, tied=True)
    Model("llama-f32", "llama", Q.F32)
    Model("llama-f16", "llama", Q.F16, norm_kind=Q.F16)
    Model("llama-bf16", "llama", Q.BF16, tied=True, norm_kind=Q.BF16, scale=1e5)  # beyond float16
    Model("llama-mixed", "llama", Q.Q4_0, kinds=mixed)
    Model("phi3-q4_0", "phi3", Q.Q4_0, vocabulary=spm(True), rope="longrope", kv_heads=4)
    Model("phi3-q8_0-large", "phi3", Q.Q8_0, scale=1e5, heads=2, kv_heads=1, rope_dims=12)  # -128 d is beyond float16
    Model("phi3-f16", "phi3", Q.F16, layers=2)
    ks = {"token_embd": Q.Q6_K, "attn_q": Q.Q4_K, "attn_k": Q.Q5_K, "attn_v": Q.Q3_K, "attn_output": Q.IQ4_NL, "ffn_gate": Q.Q2_K,
          "ffn_up": Q.IQ4_XS, "ffn_down": Q.MXFP4, "output": Q.NVFP4}
    Model("llama-k", "llama", Q.F32, hidden=256, ff=32, head_dim=8, vocab=24, kinds=ks)
    (OUT / "goldens.json").write_text(json.dumps(goldens, separators=(",", ":")).replace('},"', '},\n"') + "\n")


if __name__ == "__main__":
    main()
