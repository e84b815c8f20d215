"""A byte-level BPE tokenizer with a few hundred tokens, and a chat template, for a tiny model that chats."""
import json

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]  # 0, 1, 2
TEXT = """The quick brown fox jumps over the lazy dog. What is the capital of France? The capital of France is Paris.
You are a helpful assistant. system user assistant. Write a function that returns the sum of two numbers in the list.
It was the best of times, it was the worst of times. Once upon a time there was a king who had three daughters.
one two three four five six seven eight nine ten; 1 2 3 4 5 6 7 8 9 10; he said: "yes", she said: "no"! """
TEMPLATE = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nBe brief.<|im_end|>\n' }}{% endif %}"
    "{% if message['role'] not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('Unknown role: ' + message['role']) }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
VOCAB_SIZE = 320


def make():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, special_tokens=[AddedToken(t, special=True) for t in SPECIAL],
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False)
    tokenizer.train_from_iterator([TEXT], trainer)
    return tokenizer


TOKENIZER = make()
CHAT_FILES = {
    "tokenizer.json": json.dumps(json.loads(TOKENIZER.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n",
    "tokenizer_config.json": {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[1], "eos_token": SPECIAL[2],
                              "model_max_length": 1024, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATE},
}


def head_scale():
    """The model should mostly write letters, sometimes other bytes, and seldom end."""
    scale = []
    for i in range(VOCAB_SIZE):
        text = TOKENIZER.decode([i], skip_special_tokens=False)
        letters = text.isascii() and text.isprintable() and i >= len(SPECIAL)
        scale.append(1.0 if letters else 0.7)
    return scale
