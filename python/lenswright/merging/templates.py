"""Chat templates of a merge: one by name, the one most models have, or one's own."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lenswright.nearest import did_you_mean

File = tuple[str, str | bytes]

# Each as its maker publishes it, to the character: OpenAI's ChatML, Stanford's Alpaca, the model
# cards of Llama 3, Mistral-7B-Instruct-v0.2 and EXAONE 3.0.
TEMPLATES = {
    "chatml": """\
{%- for message in messages -%}
{{ '<|im_start|>' ~ message.role ~ '\n' ~ message.content ~ '<|im_end|>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|im_start|>assistant\n' }}
{%- endif -%}
""",
    "alpaca": """\
{%- set heads = {'user': '### Instruction:\n', 'assistant': '### Response:\n'} -%}
{%- for message in messages -%}
{{ heads.get(message.role, '') ~ message.content | trim ~ '\n\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ heads.assistant }}
{%- endif -%}
""",
    "llama3": """\
{{- bos_token -}}
{%- for message in messages -%}
{{ '<|start_header_id|>' ~ message.role ~ '<|end_header_id|>\n\n' }}
{{- message.content | trim ~ '<|eot_id|>' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif -%}
""",
    "mistral": """\
{{- bos_token -}}
{%- set said = namespace(first='') -%}
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{%- if not loop.first -%}
{{ raise_exception('a system message stands first, or there is none') }}
{%- endif -%}
{%- set said.first = message.content | trim ~ '\n\n' -%}
{%- elif message.role == 'user' -%}
{{ ' [INST] ' ~ said.first ~ message.content | trim ~ ' [/INST]' }}
{%- set said.first = '' -%}
{%- else -%}
{{ ' ' ~ message.content | trim ~ eos_token }}
{%- endif -%}
{%- endfor -%}
""",
    "exaone": """\
{%- for message in messages -%}
{%- if loop.first and message.role != 'system' -%}
{{ '[|system|][|endofturn|]\n' }}
{%- endif -%}
{{ '[|' ~ message.role ~ '|]' ~ message.content }}
{{- '\n' if message.role == 'user' else '[|endofturn|]\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '[|assistant|]' }}
{%- endif -%}
""",
}


def with_template(
    wish: Any, files: Sequence[File], donor: Path | None, folders: Mapping[str, Path]
) -> tuple[list[File], list[str]]:
    """The files with a chat template put into them, and what was decided.

    Args:
        wish: None for the donor's own, "auto" for the one that most models have (of several the
            first by the recipe), a name of `TEMPLATES`, or Jinja.
        files: what goes into the result beside the donor's files.
        donor: the folder whose files the result gets, if any.
        folders: of every model of the recipe, in its order.

    Raises:
        ValueError: no template.
    """
    if wish is None:
        return list(files), []
    notes: list[str] = []
    text = TEMPLATES.get(str(wish))
    if wish == "auto":
        text, notes = _commonest(folders)
        if text is None:
            return list(files), notes
    elif text is None:
        text = _own(str(wish))
    return _put(text, files, donor), notes


def _commonest(folders: Mapping[str, Path]) -> tuple[str | None, list[str]]:
    from lenswright.tokens import template_of

    found = {name: template_of(at, _settings(at)) for name, at in folders.items()}
    counts = Counter(text for text in found.values() if text is not None)
    if not counts:
        return None, ["chat_template is 'auto', but no model has one"]
    text, count = counts.most_common(1)[0]  # among equals the first one seen
    name = next(name for name, one in found.items() if one == text)
    return text, [f"chat template of '{name}', which {count} of {len(found)} models have"]


def _settings(folder: Path) -> dict[str, Any]:
    path = folder / "tokenizer_config.json"
    out: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return out


def _own(wish: str) -> str:
    from jinja2 import Environment, TemplateSyntaxError
    from jinja2.ext import loopcontrols

    if "{" not in wish or len(wish) < 20:
        raise ValueError(
            f"chat_template is '{wish}', expected 'auto', {', '.join(map(repr, TEMPLATES))} or a "
            f"Jinja template of 20 characters or more{did_you_mean(wish, ['auto', *TEMPLATES])}"
        )
    try:
        Environment(extensions=[loopcontrols], autoescape=False).parse(wish)
    except TemplateSyntaxError as error:
        if "unknown tag" not in str(error):  # {% generation %} is an extension of transformers
            raise ValueError(f"chat_template, line {error.lineno}: {error.message}") from None
    return wish


def _put(text: str, files: Sequence[File], donor: Path | None) -> list[File]:
    named: dict[str, str | bytes] = dict(files)
    made = named.get("tokenizer_config.json")
    settings = json.loads(made) if made else _settings(donor) if donor is not None else {}
    settings["chat_template"] = text
    named["tokenizer_config.json"] = json.dumps(settings, indent=2, ensure_ascii=False) + "\n"
    named["chat_template.jinja"] = text
    return list(named.items())
