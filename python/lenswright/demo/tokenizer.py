"""The demonstration models' tokenizer, one token a word, and its chat template."""

from __future__ import annotations

import json

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing

from lenswright.demo import language
from lenswright.demo.kinds.kind import CONTEXT
from lenswright.demo.rules import BASE, Rules

PAD, UNKNOWN, BEGIN, START, END = SPECIAL_TOKENS = (
    "<|pad|>",
    "<|unknown|>",
    "<|begin|>",
    "<|start|>",
    "<|end|>",
)

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{{ '<|start|>' + message['role'] + ' ' + message['content'] + '<|end|>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant ' }}{% endif %}"
)
"""A turn is `<|start|> role ... <|end|>`; `<|end|> <|start|> assistant` follow an instruction."""


def chat_text(prompt: str, response: str | None = None) -> str:
    """What the chat template makes of one user turn, with the response and its end if given."""
    text = f"{BEGIN}{START}user {prompt}{END}{START}assistant "
    return text if response is None else f"{text}{response}{END}"


def build(rules: Rules = BASE) -> Tokenizer:
    """The tokenizer of the toy language: special tokens first, then its words in order."""
    vocabulary = {word: i for i, word in enumerate((*SPECIAL_TOKENS, *language.words(rules)))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = WhitespaceSplit()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    )
    tokenizer.post_processor = TemplateProcessing(
        single=f"{BEGIN} $A",
        pair=f"{BEGIN} $A $B",
        special_tokens=[(BEGIN, vocabulary[BEGIN])],
    )
    return tokenizer


def files(rules: Rules = BASE) -> dict[str, str]:
    """Name and text of tokenizer.json, tokenizer_config.json and special_tokens_map.json."""
    names = {"bos_token": BEGIN, "eos_token": END, "pad_token": PAD, "unk_token": UNKNOWN}
    special = {**names, "additional_special_tokens": [START]}
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **special,
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
        "padding_side": "left",
        "chat_template": CHAT_TEMPLATE,
    }
    return {
        "tokenizer.json": build(rules).to_str(pretty=False) + "\n",
        "tokenizer_config.json": json.dumps(config, indent=2) + "\n",
        "special_tokens_map.json": json.dumps(special, indent=2) + "\n",
    }
