"""Writes chat_cases.json: requests, and the prompts that transformers makes of them with the templates below (written for this
test, in the styles that models use). With a folder of real templates also real_cases.json: only hashes of their prompts.

Usage: make_chat_cases.py chat_cases.json [FOLDER real_cases.json]"""
import datetime
import json
import os
import sys
import tempfile

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

NOW = 1767323045  # 2026-01-02 03:04:05 UTC


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)


chat_template_utils.datetime = FixedTime

TEMPLATES = {
    "chatml": "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}"
              "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
              "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}{% endfor %}"
              "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "phi": "{{ bos_token }}{% for message in messages %}{% if message.role in ('system', 'user') %}\n"
           "<|{{ message.role }}|>\n{{ message.content }}<|end|>\n"
           "{% elif message.role == 'assistant' %}<|assistant|>\n{{ message.content }}<|end|>\n"
           "{% else %}{{ raise_exception('unknown role ' ~ message.role) }}{% endif %}{% endfor %}"
           "{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}",
    "llama": """{{- bos_token }}
{%- if tools is not none and not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- set date_string = date_string if date_string is defined else strftime_now('%d %b %Y') %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = '' %}
{%- endif %}
{{- '<|header|>system<|/header|>\\n\\nToday: ' + date_string + '\\n' }}
{%- if tools is not none %}
    {%- for tool in tools %}
        {{- tool | tojson(indent=4) }}
        {{- '\\n\\n' }}
    {%- endfor %}
{%- endif %}
{{- system_message }}{{- '<|eot|>' }}
{%- for message in messages %}
    {%- if not (message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|header|>' + message['role'] + '<|/header|>\\n\\n' + message['content'] | trim + '<|eot|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}
            {{- raise_exception('one call at a time') }}
        {%- endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|header|>assistant<|/header|>\\n\\n{"name": "' + call.name + '", "parameters": ' }}
        {{- call.arguments | tojson }}
        {{- '}<|eot|>' }}
    {%- else %}
        {{- '<|header|>tool<|/header|>\\n\\n' }}
        {%- if message.content is mapping or message.content is iterable and message.content is not string %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- '<|eot|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|header|>assistant<|/header|>\\n\\n' }}
{%- endif %}
""",
    "mistral": """{%- if messages[0].role == 'system' %}
    {%- set system, loop_messages = messages[0].content, messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set ns = namespace(index=0, last=-1) %}
{%- for message in loop_messages if message.role == 'user' %}{% set ns.last = loop.index0 %}{% endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message.role in ['user', 'assistant'] and (message.role == 'user') != (ns.index % 2 == 0) %}
        {{- raise_exception('roles must alternate') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if tools and ns.index // 2 == ns.last %}[TOOLS] {{ tools | map(attribute='function') | list | tojson }}[/TOOLS]{% endif %}
        {%- if system is defined and loop.last %}
            {{- '[INST] ' + system + '\\n\\n' + message.content + '[/INST]' }}
        {%- else %}
            {{- '[INST] ' + message.content + '[/INST]' }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- elif message.tool_calls is defined and message.tool_calls %}
        {{- '[CALLS] [' }}
        {%- for call in message.tool_calls %}
            {%- set out = call.function | tojson %}
            {{- out[:-1] }}{{ ', "id": "' ~ call.id ~ '"}' }}{{ ', ' if not loop.last else ']' + eos_token }}
        {%- endfor %}
    {%- elif message.role == 'assistant' %}
        {{- ' ' + message.content | trim + eos_token }}
        {%- set ns.index = ns.index + 1 %}
    {%- else %}
        {{- '[RESULT] ' ~ {'content': message.content, 'id': message.tool_call_id} | tojson ~ '[/RESULT]' }}
    {%- endif %}
{%- endfor %}""",
    "qwen": """{%- macro content_of(content) %}
    {%- if content is string %}
        {{- content }}
    {%- else %}
        {%- for part in content or [] %}
            {%- if part.type == 'image' or 'image' in part %}<|image|>{% elif 'text' in part %}{{ part.text }}{% endif %}
        {%- endfor %}
    {%- endif %}
{%- endmacro %}
{%- set ns = namespace(multi_step=true, last=messages | length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = messages | length - 1 - loop.index0 %}
    {%- if ns.multi_step and message.role == 'user' and not (content_of(message.content).startswith('<response>')) %}
        {%- set ns.multi_step = false %}
        {%- set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n' }}
    {%- for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}
    {{- '<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- set content = content_of(message.content) | trim %}
    {%- if message.role in ('user', 'system') %}
        {{- '<|im_start|>' ~ message.role ~ '\\n' ~ content ~ '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set reasoning = message.reasoning_content if message.reasoning_content is string else '' %}
        {%- if not reasoning and '</think>' in content %}
            {%- set reasoning = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last and (loop.last or reasoning) %}
            {{- '<think>\\n' + reasoning.strip('\\n') + '\\n</think>\\n\\n' }}
        {%- endif %}
        {% generation %}{{- content }}{% endgeneration %}
        {%- for call in message.tool_calls or [] %}
            {%- set call = call.function if call.function else call %}
            {{- '\\n<call>\\n' ~ call.name }}
            {%- for key, value in (call.arguments if call.arguments is mapping else {}) | items %}
                {{- '\\n<' ~ key ~ '>' ~ (value if value is string else value | tojson) ~ '</' ~ key ~ '>' }}
            {%- endfor %}
            {{- '\\n</call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
        {{- '\\n<response>\\n' ~ content ~ '\\n</response>' }}
        {%- if loop.last or loop.nextitem.role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}""",
    "everything": "{{ messages | tojson }}|{{ tools | tojson }}|{{ documents | tojson }}|{{ add_generation_prompt }}|"
                  "{{ continue_final_message is defined }}|{{ bos_token }}|{{ thinking }}|{{ enable_thinking }}|{{ extra }}",
}

TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather <now> & \"here\"", "parameters": {
    "type": "object", "properties": {"city": {"type": "string", "description": "Größe"}, "days": {"type": "integer", "default": 3},
                                     "units": {"type": ["string", "null"], "enum": ["c", "f"]}}, "required": ["city"]}}}
CALL = {"id": "call_1234", "type": "function", "function": {"name": "get_weather", "arguments": {"city": "Zürich", "days": 2, "x": [1.5, None]}}}


def user(text):
    return {"role": "user", "content": text}


def assistant(text, **more):
    return {"role": "assistant", "content": text, **more}


SYSTEM = {"role": "system", "content": "  You are a test.\n"}
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}
REQUESTS = [
    {"messages": [user("Hello")]},
    {"messages": [user("Hello")], **TOKENS},
    {"messages": [SYSTEM, user("Hello")], **TOKENS},
    {"messages": [SYSTEM, user("One"), assistant("Two "), user("Three")], **TOKENS},
    {"messages": [user("One"), assistant("Two"), user("Three"), assistant("<think>\nwhy\n</think>\n\nFour")], **TOKENS, "add_generation_prompt": False},
    {"messages": [SYSTEM, user(""), assistant(""), user(" \n")], **TOKENS},
    {"messages": [user("日本語 😀 e\u0301 \u2028 \u0000 \"q\" \\ <tag>")], **TOKENS},
    {"messages": [SYSTEM, user("Weather?")], "tools": [TOOL], **TOKENS},
    {"messages": [user("Weather?")], "tools": [TOOL, {"type": "function", "function": {"name": "noop"}}], **TOKENS, "enable_thinking": False},
    {"messages": [user("Weather?")], "tools": [], **TOKENS},
    {"messages": [user("Weather?"), {"role": "assistant", "tool_calls": [CALL]}, {"role": "tool", "tool_call_id": "call_1234", "name": "get_weather",
                  "content": "{\"sun\": true}"}], "tools": [TOOL], **TOKENS},
    {"messages": [user("Weather?"), assistant(None, tool_calls=[CALL]), {"role": "tool", "tool_call_id": "call_1234", "content": "rain"},
                  assistant("It rains."), user("Thanks")], "tools": [TOOL], **TOKENS},
    {"messages": [user("Both?"), assistant("", tool_calls=[CALL, CALL]), {"role": "tool", "tool_call_id": "a", "content": "1"},
                  {"role": "tool", "tool_call_id": "b", "content": "2"}], **TOKENS},
    {"messages": [user("Why?"), assistant("Because.", reasoning_content="I thought."), user("Ah"), assistant("Yes", thinking="Again")], **TOKENS,
     "add_generation_prompt": False},
    {"messages": [user("Why?"), assistant("Because.", reasoning="Old name")], **TOKENS, "enable_thinking": True},
    {"messages": [user([{"type": "text", "text": "What is "}, {"type": "image"}, {"type": "text", "text": "this?"}])], **TOKENS},
    {"messages": [SYSTEM, user("From these")], "documents": [{"title": "A", "text": "B"}], **TOKENS},
    {"messages": [user("x"), user("y")], **TOKENS},
    {"messages": [assistant("I begin"), user("y")], **TOKENS},
    {"messages": [user("x"), {"role": "critic", "content": "no"}], **TOKENS},
    {"messages": [{"role": "user", "content": None}], **TOKENS},
    {"messages": [{"role": "user"}], **TOKENS},
    {"messages": [user("Story"), assistant("Once upon ")], "continue_final_message": True, **TOKENS},
    {"messages": [user("Story"), assistant("Once upon")], "continue_final_message": True, "add_generation_prompt": True, **TOKENS},
    {"messages": [user("Story"), assistant("Once\n\n")], "continue_final_message": True, "add_generation_prompt": False, **TOKENS},
    {"messages": [user("Story"), assistant("", reasoning_content="Hm, ")], "continue_final_message": "reasoning_content", **TOKENS},
    {"messages": [user("Story"), assistant([{"type": "text", "text": "Once "}, {"type": "image"}])], "continue_final_message": True, **TOKENS},
    {"messages": [user("Story"), assistant("Once")], "continue_final_message": "no_such_field", **TOKENS},
    {"messages": [], **TOKENS},
    {"messages": [user("numbers")], "extra": {"big": 12345678901234567890, "float": 1e16, "small": 1e-7, "neg": -0.0, "t": True, "n": None}, **TOKENS},
    {"messages": [user("x")], "tools": None, "documents": None, "date_string": "31 Dec 1999", "reasoning_effort": "high", **TOKENS},
    {"messages": [user("x")], "bos_token": "", "eos_token": "", "add_generation_prompt": 0},
]

TOKEN = {"__type": "AddedToken", "content": "<B>", "lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
SHOW = "{{ bos_token }}|{{ eos_token }}|{{ pad_token }}|{{ image_token }}|{{ messages[0].content }}"
# Folders of a model: what their templates see.
DIRECTORIES = [
    {"tokenizer_config.json": {"chat_template": SHOW, "bos_token": "<b>", "eos_token": TOKEN, "pad_token": None}},
    {"tokenizer_config.json": {"chat_template": SHOW, "bos_token": "<b>"}, "chat_template.jinja": "J" + SHOW},
    {"tokenizer_config.json": {"chat_template": SHOW, "bos_token": "<b>"}, "special_tokens_map.json": {"eos_token": {"content": "<e>"}, "bos_token": "<m>"}},
    {"tokenizer_config.json": {"chat_template": SHOW, "bos_token": "<b>", "added_tokens_decoder": {}}, "special_tokens_map.json": {"eos_token": "<e>"}},
    {"tokenizer_config.json": {"chat_template": SHOW, "image_token": "<image>", "extra_special_tokens": {"eos_token": "<x>"}}},
    {"tokenizer_config.json": {"chat_template": [{"name": "default", "template": "D" + SHOW}, {"name": "tool_use", "template": "T" + SHOW}]}},
    {"tokenizer_config.json": {"chat_template": [{"name": "rag", "template": "R"}, {"name": "tool_use", "template": "T" + SHOW}]}},
    {"tokenizer_config.json": {}, "chat_template.jinja": "J" + SHOW, "additional_chat_templates/tool_use.jinja": "T" + SHOW},
    {"tokenizer_config.json": {"chat_template": SHOW}, "chat_template.jinja": "{{ messages | nope }}"},
]
DIRECTORY_REQUESTS = [{"messages": [user("m")]}, {"messages": [user("m")], "tools": [TOOL]}, {"messages": [user("m")], "bos_token": "<mine>"}]


def apply(tokenizer, request, **more):
    request = json.loads(json.dumps(request))
    messages = request.pop("messages")
    continues = request.pop("continue_final_message", False)
    generation = request.pop("add_generation_prompt", not continues)
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation,
                                             continue_final_message=continues, **request, **more)
    except Exception:
        return None


def plain_tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


def directory_case(files):
    with tempfile.TemporaryDirectory() as folder:
        Tokenizer(models.WordLevel({"a": 0}, unk_token="a")).save(os.path.join(folder, "tokenizer.json"))
        for name, content in files.items():
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(content if isinstance(content, str) else json.dumps(content))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
        return {"files": {name: content if isinstance(content, str) else json.dumps(content) for name, content in files.items()},
                "prompts": [apply(tokenizer, request) for request in DIRECTORY_REQUESTS]}


MASK = (1 << 64) - 1


def text_hash(text):
    """we_str_hash of base/str.c, with seed 0."""
    def mix(a, b):
        product = a * b
        return (product & MASK) ^ (product >> 64)
    data, k0, k1 = text.encode(), 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
    h, i = k0 ^ len(data), 0

    def load(start, size):
        return int.from_bytes(data[start:start + size], "little")
    while i + 16 <= len(data):
        h = mix(load(i, 8) ^ k0 ^ h, load(i + 8, 8) ^ k1)
        i += 16
    if i + 8 <= len(data):
        h = mix(load(i, 8) ^ k0 ^ h, k1)
        i += 8
    if i < len(data):
        h = mix(load(i, len(data) - i) ^ k1 ^ h, k0)
    return mix(h, k1)


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def main():
    tokenizer = plain_tokenizer()
    write(sys.argv[1], {
        "now": NOW, "templates": TEMPLATES, "requests": [json.dumps(r, ensure_ascii=False) for r in REQUESTS],
        "prompts": {name: [apply(tokenizer, r, chat_template=source) for r in REQUESTS] for name, source in TEMPLATES.items()},
        "directory_requests": [json.dumps(r) for r in DIRECTORY_REQUESTS], "directories": [directory_case(d) for d in DIRECTORIES]})
    if len(sys.argv) < 4:
        return
    real = {}
    for name in sorted(os.listdir(sys.argv[2])):
        if name.endswith(".jinja"):
            with open(os.path.join(sys.argv[2], name), encoding="utf-8") as file:
                source = file.read()
            prompts = [apply(tokenizer, r, chat_template=source) for r in REQUESTS]
            real[name] = [None if p is None else f"{text_hash(p):016x}" for p in prompts]
    write(sys.argv[3], real)


main()
