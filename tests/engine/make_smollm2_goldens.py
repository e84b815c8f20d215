"""Writes smollm2.json: what float32 mlx-lm says for SmolLM2-135M-Instruct-4bit.

Usage: make_smollm2_goldens.py [MODEL_DIRECTORY]
The directory is what `make run` or tests/models/smollm2_from_gguf.py makes (the same values either way). Takes minutes.

`greedy`: name, text or messages, ids, 64 tokens (the end token is passed over, as with ignore_end_tokens), and the gap
between the two highest logits at each. `samples`: settings, seed, ids' name, tokens.
"""
import json
import pathlib
import sys

from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "models"))
import tiny  # noqa: E402

MODEL = HERE.parent.parent / "models/mlx/HuggingFaceTB/SmolLM2-135M-Instruct-4bit"

STORY = ("Once upon a time, in a village between two rivers, there lived a clockmaker who could not sleep. Every night he "
         "walked along the older river and counted the lights of the barges, and every morning he set the clock in the "
         "tower two minutes late, so that the children would not be scolded. ")
CODE = '''#include <stdio.h>

/* Returns the greatest common divisor. */
static unsigned gcd(unsigned a, unsigned b)
{
    while (b != 0) {
        unsigned t = a % b;
        a = b;
        b = t;
    }
    return a;
}

int main(void)
{
    for (unsigned i = 1; i <= 20; i++)
        printf("%u %u\\n", i, gcd(i, 360));
'''

CHAT = {
    "capital": [("user", "What is the capital of France?")],
    "hello": [("user", "Hi")],
    "why-sky": [("user", "Why is the sky blue? Explain it to a child.")],
    "python": [("user", "Write a Python function that reverses a linked list, with a docstring.")],
    "system": [("system", "You are a pirate. Answer in one sentence."), ("user", "How do I cook rice?")],
    "turns": [("user", "Name three planets."), ("assistant", "Mars, Venus and Saturn."),
              ("user", "Which of them is the largest, and why?")],
    "french": [("user", "Traduis en français : « Où est la bibliothèque ? » Merci d'avance, à bientôt !")],
    "unicode": [("user", "What do these mean: 你好, привет, γειά σου, שלום, 🙂👩‍🚀? naïve café Ⅷ ½")],
    "math": [("user", "A train travels 120 km in 1.5 hours. What is its speed in m/s? Show each step.")],
    "long-system": [("system", "You are a careful editor. " + STORY * 3), ("user", "Summarise the text above.")],
}
RAW = {
    "one-token": "The",
    "paris": "The capital of France is",
    "count": "1, 2, 3, 4, 5, 6, 7,",
    "code": CODE,
    "json": '{"name": "Ada", "born": 1815, "fields": ["mathematics", "computing"],\n "quote": "',
    "spaces": "def f(x):\n\n\n        if x  ==   1:\n\t\treturn",
    "story": STORY,
    "story-long": STORY * 7,
    "page": "the of and to in a is that for it as was with be by on not he his but at are this have from or had an they "
            "which one you were all her she there would their we him been has when who will no more if out so up said what "
            "its about than into",
    "cyrillic": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья",
}
SAMPLES = [
    ("capital", 1, {"temperature": 0.7, "top_p": 0.9}),
    ("why-sky", 2, {"temperature": 0.7, "top_p": 0.9}),
    ("story", 3, {"temperature": 1.0, "min_p": 0.05}),
    ("python", 4, {"temperature": 0.9, "top_k": 40}),
    ("story", 5, {"temperature": 1.0, "xtc_probability": 0.5, "xtc_threshold": 0.1}),
    ("count", 6, {"temperature": 0.8, "repetition_penalty": 1.2}),
    ("system", 7, {"temperature": 1.0, "top_p": 0.95, "top_k": 50, "min_p": 0.01, "presence_penalty": 0.5,
                   "frequency_penalty": 0.2}),
    ("unicode", 123456789012, {"temperature": 1.5}),
]


def main(path=MODEL):
    model, config = tiny.load(path)
    tokenizer = AutoTokenizer.from_pretrained(path)
    end = tiny.end_tokens(config)
    spared = tokenizer.encode("\n") + list(end)
    greedy, ids = [], {}
    for name, turns in CHAT.items():
        messages = [{"role": role, "content": content} for role, content in turns]
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        greedy.append({"name": name, "messages": messages, "ids": tokenizer.encode(text, add_special_tokens=False)})
    greedy += [{"name": name, "text": text, "ids": tokenizer.encode(text)} for name, text in RAW.items()]
    for entry in greedy:
        ids[entry["name"]] = entry["ids"]
        reply = tiny.greedy(model, entry["ids"], 64)
        entry |= {"tokens": reply["tokens"], "gaps": [round(g, 3) if g > 0.01 else g for g in reply["gaps"]]}
        print(entry["name"], len(entry["ids"]), min(entry["gaps"]), repr(tokenizer.decode(entry["tokens"])), flush=True)
    samples = []
    for name, seed, settings in SAMPLES:
        samples.append({"prompt": name} | tiny.sample(model, ids[name], 40, seed, end, spared=spared, **settings))
        print(name, settings, repr(tokenizer.decode(samples[-1]["tokens"])), flush=True)
    text = json.dumps({"end": list(end), "greedy": greedy, "samples": samples}, separators=(",", ":"), ensure_ascii=False)
    (HERE / "smollm2.json").write_text(text.replace('{"name"', '\n{"name"').replace('{"prompt"', '\n{"prompt"') + "\n",
                                       encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
