"""Random chat requests: sensible ones, and ones that no client should send."""
import json

WORDS = ["hello", "What is", "the weather", "in", "Zürich", "日本語", "😀", "e\u0301", "\u00a0", "<think>", "</think>", "<tool_call>", "{{ x }}",
         "\n", "\n\n", " ", "  ", "\t", "\"", "'", "\\", "<|im_end|>", "[INST]", "&amp;", "<b>", "{\"a\": 1}", "%s", "\u2028", "\u200b", "1.5", "ß", "İ",
         "\r\n", "\x7f", "<|channel|>final", "##", "---", "a,b;c", "null", "True", "/think", "/no_think", "```\ncode\n```", "</tool_response>",
         "<think>\nwhy?\n</think>\n\n", "ﬁ", "\U0001F1E9\U0001F1EA", "\ufeff"]
ROLES = ["system", "user", "assistant", "tool", "developer", "ipython", "function", "tools", "environment_response", "critic", "", "System"]
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
FLAGS = {
    "add_thoughts": [True, False], "add_vision_id": [True, False], "builtin_tools": [["brave_search", "code_interpreter"], ["browser", "python"], []],
    "available_tools": [["x"], []], "controls": [{"length": "short"}, {"length": "short", "originality": "extractive"}, {}, "c"],
    "custom_instructions": ["Be brief.", ""], "date_string": ["1 Jan 2000", ""], "datetime": ["now"],
    "functions": ["[]", [], [{"name": "f"}]], "default_system_prompt": ["Default"], "developer_message": ["Dev"], "drop_thinking": [True, False],
    "enable_thinking": [True, False, None, "on"], "keep_past_thinking": [True, False], "model_identity": ["You are Z."],
    "preserve_thinking": [True, False], "reasoning_effort": ["low", "medium", "high", "max", "none", 1, None], "reasoning_mode": ["/think", "/no_think"],
    "render_assistant_messages_raw": [True, False], "response_declaration": [{"type": "object"}], "response_format": [{"type": "object"}, "json"],
    "system_message": ["SM"], "system_prompt": ["SP"], "think_render_option": ["lastthink", "all", "x"], "thinking": [True, False],
    "thinking_budget": [0, 1, 512, 4096, 20000, -1, "5"], "thinking_mode": ["interleaved", "disabled", "enabled", "adaptive"],
    "tool_output_instructions": ["TI"], "tools_in_user_message": [True, False], "training_prompt": [True, False],
    "truncate_history_thinking": [True, False], "use_json_tooldef": [True, False], "xml_tools": [[]], "python_tools": [[]], "is_training": [True],
    "tool_choice": ["auto", "none", "required"], "extra": [1], "date": ["x"], "tool_call_id": ["q"], "content": ["C"], "message": [{"role": "x"}],
}


def text(rng, most=6):
    return "".join(rng.choice(WORDS) + rng.choice(["", " "]) for _ in range(rng.randint(0, most)))


def value(rng, depth=0):
    kind = rng.randint(0, 12 if depth < 3 else 8)
    if kind < 3:
        return text(rng, 2)
    if kind < 5:
        return rng.choice([0, 1, -1, 42, 10**15, 2**53 + 1, -(2**63), 2**63 - 1, 2**70])
    if kind < 6:
        return rng.choice([0.5, -0.0, 1e16, 1e-7, 3.14159, 1e300, 0.1, 123456789.125, 1.0])
    if kind < 9:
        return rng.choice([True, False, None, ""])
    if kind < 11:
        return [value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {text(rng, 1) or "k": value(rng, depth + 1) for _ in range(rng.randint(0, 3))}


def schema(rng, depth=0):
    kinds = ["string", "integer", "number", "boolean", "object", "array", ["string", "null"], "null"]
    result = {"type": rng.choice(kinds)}
    if rng.random() < 0.1:
        del result["type"]
    for key, values in (("description", [text(rng), "d"]), ("enum", [["a", "b"], [1, 2], []]), ("default", [value(rng, 2)]), ("nullable", [True, False]),
                        ("title", ["T"]), ("format", ["date"]), ("minimum", [0, 0.5]), ("oneOf", [[{"type": "string"}, {"type": "number", "default": 1}]]),
                        ("anyOf", [[{"type": "string"}, {"type": "null"}]]), ("$ref", ["#/x"]), ("const", [5]), ("maxItems", [3])):
        if rng.random() < 0.2:
            result[key] = rng.choice(values)
    if depth < 3 and (result.get("type") == "object" or rng.random() < 0.1):
        result["properties"] = {rng.choice(["city", "days", "x_y", "größe", "type", "items", "keys", "a-b"]): schema(rng, depth + 1)
                                for _ in range(rng.randint(0, 3))}
        if rng.random() < 0.6:
            result["required"] = [k for k in result["properties"] if rng.random() < 0.5]
        if rng.random() < 0.3:
            result["additionalProperties"] = rng.choice([True, False, {"type": "string"}])
    if depth < 3 and result.get("type") == "array" and rng.random() < 0.8:
        result["items"] = rng.choice([schema(rng, depth + 1), {}])
    return result


def tool(rng):
    parameters = schema(rng)
    if rng.random() < 0.9:
        parameters.update(type="object")
        parameters.setdefault("properties", {"q": schema(rng, 1)})
    function = {"name": rng.choice(["get_weather", "noop", "browser.search", "naïve", "code_interpreter"]), "description": text(rng),
                "parameters": parameters}
    for key in ("description", "parameters", "name"):
        if rng.random() < 0.06:
            del function[key]
    if rng.random() < 0.2:
        function["return"] = rng.choice([schema(rng), {"type": "string", "description": "r"}])
    if rng.random() < 0.2:
        function["strict"] = True
    shape = rng.random()
    return {"type": "function", "function": function} if shape < 0.85 else function if shape < 0.95 else {"function": function}


def call(rng):
    arguments = {rng.choice(["city", "days", "x", "größe"]): value(rng) for _ in range(rng.randint(0, 3))}
    shape = rng.random()
    if shape < 0.2:
        arguments = json.dumps(arguments, ensure_ascii=rng.random() < 0.5)
    elif shape < 0.25:
        arguments = text(rng)
    function = {"name": rng.choice(["get_weather", "noop", "python", "functions.get_weather:0"]), "arguments": arguments}
    if shape > 0.95:
        del function["arguments"]
    result = {"type": "function", "function": function} if rng.random() < 0.9 else dict(function)
    if rng.random() < 0.7:
        result["id"] = rng.choice(["call_1", "functions.get_weather:0", "abcdef123", 5])
    return result


def part(rng):
    kind = rng.choice(["text", "text", "text", "image", "image_url", "video", "audio", "thinking", "tool_result", "odd"])
    if kind == "text":
        return {"type": "text", "text": text(rng)}
    if kind == "image_url":
        return {"type": "image_url", "image_url": {"url": "http://x/y.png"}}
    if kind == "thinking":
        return {"type": "thinking", "thinking": text(rng)}
    if kind == "odd":
        return rng.choice([{"text": text(rng)}, {"type": "text"}, text(rng), {"image": "x"}, None, 5])
    return {"type": kind}


def content(rng, chaos):
    """`chaos`: 0 for texts alone, 1 for lists of parts too, 2 for whatever."""
    shape = rng.random()
    if chaos == 0 or shape < 0.8:
        return text(rng, 8)
    if chaos == 1 or shape < 0.9:
        return [part(rng) if rng.random() < 0.3 else {"type": "text", "text": text(rng)} for _ in range(rng.randint(1, 3))]
    return rng.choice([None, "", 5, {"a": text(rng)}, [], text(rng)])


def message(rng, role, chaos):
    result = {"role": role, "content": content(rng, chaos)}
    if role == "assistant":
        if rng.random() < 0.3:
            result["tool_calls"] = [call(rng) for _ in range(rng.randint(0 if chaos == 2 else 1, 2))]
            if rng.random() < 0.5:
                result["content"] = rng.choice([None, ""]) if chaos else ""
            if chaos and rng.random() < 0.3:
                del result["content"]
        for key in ("reasoning_content", "thinking", "reasoning"):
            if rng.random() < 0.15:
                result[key] = rng.choice([text(rng), "", None]) if chaos == 2 else text(rng)
    if role in ("tool", "function", "ipython"):
        for key, values in (("tool_call_id", ["call_1", "functions.get_weather:0", "zz"]), ("name", ["get_weather", "noop"])):
            if rng.random() < 0.7:
                result[key] = rng.choice(values)
        if chaos and rng.random() < 0.3:
            result["content"] = rng.choice([json.dumps(value(rng)), value(rng), [{"type": "text", "text": "r"}],
                                            [{"name": "get_weather", "output": "1"}]])
    if chaos == 2 and rng.random() < 0.2:
        result[rng.choice(["name", "weight", "prefix", "tool_responses", "mask", "tool_plan", "items", "recipient", "channel"])] = value(rng)
    if chaos == 2 and rng.random() < 0.04:
        result.pop(rng.choice(sorted(result)))
    return result


def messages(rng, chaos):
    if chaos == 2 and rng.random() < 0.3:
        return [message(rng, rng.choice(ROLES), chaos) for _ in range(rng.randint(1, 6))]
    result = [message(rng, rng.choice(["system", "system", "developer"]) if chaos else "system", chaos)] if rng.random() < 0.5 else []
    for _ in range(rng.randint(1, 4)):
        result.append(message(rng, "user", chaos))
        reply = message(rng, "assistant", chaos)
        result.append(reply)
        for one in reply.get("tool_calls", []):
            answer = message(rng, "tool", chaos)
            if "id" in one and rng.random() < 0.8:
                answer["tool_call_id"] = one["id"]
            result.append(answer)
    if rng.random() < 0.6:
        result.append(message(rng, "user", chaos))
    return result


def random_request(rng):
    chaos = rng.choice([0, 0, 1, 2])
    request = {"messages": messages(rng, chaos)}
    if rng.random() < 0.9:
        request.update(SPECIAL)
    if rng.random() < 0.4:
        request["tools"] = [tool(rng) for _ in range(rng.randint(0 if chaos == 2 else 1, 3))]
    if rng.random() < 0.1:
        request["documents"] = [{"title": text(rng), "text": text(rng), **({"doc_id": rng.randint(1, 9)} if rng.random() < 0.5 else {})}
                                for _ in range(rng.randint(0, 2))]
    if rng.random() < 0.4:
        request["add_generation_prompt"] = rng.choice([True, False])
    if rng.random() < 0.15:
        request["continue_final_message"] = rng.choice([True, True, True, "reasoning_content", "thinking", "content"])
    for name in rng.sample(sorted(FLAGS), rng.choice([0, 0, 1, 1, 2, 4, 8])):
        request[name] = rng.choice(FLAGS[name])
    return request
