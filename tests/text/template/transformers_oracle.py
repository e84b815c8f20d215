"""What transformers makes of chat requests, at a fixed time."""
import datetime
import json

from jinja2 import exceptions
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

NOW = 1767323045  # 2026-01-02 03:04:05 UTC


class FixedTime(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)


chat_template_utils.datetime = FixedTime


def plain_tokenizer():
    return PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))


def apply(tokenizer, request, **more):
    """The prompt. None if there is an error, {"raised": message} if the template raised it."""
    request = json.loads(json.dumps(request))
    messages = request.pop("messages")
    continues = request.pop("continue_final_message", False)
    generation = request.pop("add_generation_prompt", not continues)
    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=generation,
                                             continue_final_message=continues, **request, **more)
    except Exception as error:
        return {"raised": error.message} if type(error) is exceptions.TemplateError else None
