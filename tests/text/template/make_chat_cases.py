"""Writes chat_cases.json: requests, and the prompts that transformers makes of them with the templates below (written for this
test, in the styles that models use). With a folder of real templates also real_cases.json: requests, random ones among them,
and only hashes of the prompts.

A prompt is null where transformers raises an error, and an object with "raised" where the template did.

Usage: make_chat_cases.py chat_cases.json [FOLDER real_cases.json]"""
import json
import os
import random
import sys
import tempfile

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

import random_requests
from transformers_oracle import NOW, apply, plain_tokenizer

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
    "gemma": """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- if messages[0]['content'] is string -%}
        {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- else -%}
        {%- set first_user_prefix = messages[0]['content'][0]['text'] + '\\n\\n' -%}
    {%- endif -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = '' -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception('roles must alternate user/assistant/...; found ' ~ message['role'] ~ ' at ' ~ loop.index) }}
    {%- endif -%}
    {{ '<turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + (first_user_prefix if loop.first else '') }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- elif message['content'] is iterable -%}
        {%- for item in message['content'] -%}
            {%- if item['type'] == 'image' -%}{{ '<image>' }}{%- elif item['type'] == 'text' -%}{{ item['text'] | trim }}{%- endif -%}
        {%- endfor -%}
    {%- else -%}
        {{ raise_exception('no content') }}
    {%- endif -%}
    {{ '<end>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}{{ '<turn>model\\n' }}{%- endif -%}
""",
    "harmony": """{%- macro type_of(spec, depth=0) -%}
    {%- if spec.type == 'array' -%}{{ type_of(spec['items'], depth + 1) }}[]
    {%- elif spec.type is iterable and spec.type is not string -%}{{ spec.type | join(' | ') }}
    {%- elif spec.enum -%}{{ '"' ~ spec.enum | join('" | "') ~ '"' }}
    {%- elif spec.type == 'object' and spec.properties -%}
        {{- '{\\n' }}
        {%- for name, inner in spec.properties.items() -%}
            {{ '  ' * depth }}{{ name }}{{ '' if name in (spec.required or []) else '?' }}: {{ type_of(inner, depth + 1) }}
            {%- if inner.default is defined %} = {{ inner.default | tojson }}{% endif %}{{ ', // ' ~ inner.description if inner.description }}
            {{- '\\n' }}
        {%- endfor -%}
        }
    {%- else -%}{{ spec.type | default('any', true) }}
    {%- endif -%}
{%- endmacro -%}
{{ '<|start|>system<|message|>Reasoning: ' ~ reasoning_effort | default('medium') ~ ', ' ~ strftime_now('%Y-%m-%d') ~ '<|end|>' }}
{%- if tools %}
    {{- '<|start|>developer<|message|>namespace functions {\\n' }}
    {%- for tool in tools %}{% set tool = tool.function %}
        {{- '// ' ~ tool.description ~ '\\n' if tool.description else '' }}type {{ tool.name }} = (_: {{ type_of(tool.parameters or {}) }}) => any;
    {% endfor %}
    {{- '}<|end|>' }}
{%- endif %}
{%- set last = namespace(call=none) %}
{%- for message in messages recursive %}
    {%- if message.tool_calls %}
        {%- if message.reasoning_content %}{{ '<|start|>assistant<|channel|>analysis<|message|>' ~ message.reasoning_content ~ '<|end|>' }}{% endif %}
        {%- for call in message.tool_calls %}
            {%- set last.call = call.function.name %}
            {{- '<|start|>assistant to=functions.' ~ call.function.name ~ '<|message|>' ~ call.function.arguments | tojson ~ '<|call|>' }}
        {%- endfor %}
    {%- elif message.role == 'tool' %}
        {%- if last.call is none %}{{ raise_exception('a tool answers, but none was called') }}{% endif %}
        {{- '<|start|>functions.' ~ last.call ~ '<|message|>' ~ message.content | tojson ~ '<|end|>' }}
    {%- else %}
        {%- if loop.last and not add_generation_prompt and message.thinking %}{{ '<|channel|>analysis<|message|>' + message.thinking }}{% endif %}
        {{- '<|start|>' + message.role + '<|message|>' }}
        {%- if message.content is string or message.content is not defined %}{{ message.content }}
        {%- else %}{{ message.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join }}{% endif %}
        {{- '<|return|>' if loop.last and message.role == 'assistant' else '<|end|>' }}
    {%- endif %}
{%- endfor %}
{%- if documents %}{% for document in documents %}{{ '[' ~ loop.index ~ '] ' ~ document.title | upper ~ ': ' ~ document['text'] }}{% endfor %}{% endif %}
{%- if add_generation_prompt %}<|start|>assistant{% endif %}
""",
    "silent": "{% if messages[0].content == 'never' %}x{% endif %}",
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
    {"messages": [{"role": "system", "content": [{"type": "text", "text": "Parts "}, {"type": "text", "text": "too"}]},
                  user([{"type": "text", "text": " One "}, {"type": "text", "text": "two\n"}]), assistant([{"type": "text", "text": "Three"}])], **TOKENS},
    {"messages": [user("Deep"), assistant(None, reasoning_content="Think\nhard", tool_calls=[CALL]), {"role": "tool", "content": {"a": [1, {"b": None}]}},
                  assistant("Done", reasoning="Short")], "tools": [TOOL], "add_generation_prompt": False, **TOKENS},
    {"messages": [user("Nested")], "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["list"], "properties": {
        "list": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}, "default": [1.0, 1e-9]},
        "o": {"type": "object", "properties": {"é": {"type": ["integer", "null"], "description": "tief"}, "z": {}}}}}}}],
     "documents": [{"title": "straße", "text": "<a>"}, {"title": "B", "text": ""}], "reasoning_effort": "low", **TOKENS},
    {"messages": [user("a"), assistant("b", tool_calls=[]), user("c")], "enable_thinking": None, **TOKENS},
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


def text_hash(text):
    """FNV-1a of 64 bits."""
    value = 0xCBF29CE484222325
    for byte in text.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def write(path, value):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
        file.write("\n")


def real_requests():
    """Those above, ones for templates that want more, and random ones, of which only the short ones are kept."""
    rng = random.Random(6)
    requests = list(REQUESTS)
    for extra in ({"functions": "[]", "datetime": "2026-01-02"}, {"functions": [TOOL], "datetime": "now", "tools": [TOOL]},
                  {"functions": json.dumps(TOOL), "datetime": "x", "tools": [TOOL, TOOL], "add_generation_prompt": False}):
        requests.append({"messages": [SYSTEM, user("Weather?"), assistant("", tool_calls=[CALL]), {"role": "tool", "name": "get_weather", "content": "1"}],
                         **extra, **TOKENS})
        requests.append({"messages": [user("Hi"), assistant("Ho"), user("<b>")], **extra, **TOKENS})
    while len(requests) < 110:
        request = random_requests.random_request(rng)
        if len(json.dumps(request)) < 1500:
            requests.append(request)
    return requests


def digest(prompt):
    if prompt is None:
        return None
    return f"{text_hash(prompt) >> 32:08x}" if isinstance(prompt, str) else prompt


def main():
    tokenizer = plain_tokenizer()
    write(sys.argv[1], {
        "now": NOW, "templates": TEMPLATES, "requests": [json.dumps(r, ensure_ascii=False) for r in REQUESTS],
        "prompts": {name: [apply(tokenizer, r, chat_template=source) for r in REQUESTS] for name, source in TEMPLATES.items()},
        "directory_requests": [json.dumps(r) for r in DIRECTORY_REQUESTS], "directories": [directory_case(d) for d in DIRECTORIES]})
    if len(sys.argv) < 4:
        return
    requests = real_requests()
    real = {"now": NOW, "requests": [json.dumps(r, ensure_ascii=False) for r in requests], "templates": {}}
    for name in sorted(os.listdir(sys.argv[2])):
        if name.endswith(".jinja"):
            with open(os.path.join(sys.argv[2], name), encoding="utf-8") as file:
                source = file.read()
            prompts = [digest(apply(tokenizer, r, chat_template=source)) for r in requests]
            real["templates"][name] = {"hash": f"{text_hash(source) >> 32:08x}", "prompts": prompts}
    write(sys.argv[3], real)


main()
