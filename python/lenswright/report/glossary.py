"""What every measure of a report means, for somebody who has not met it."""

from __future__ import annotations

from collections.abc import Sequence

from lenswright.report.html import Markup, details, table
from lenswright.report.parts import Part

MEASURES = {
    "refusal": "the share of answers with one of the texts of refusals anywhere in them; words are "
    "found, not meaning",
    "opening refusal": "the share of answers that begin with one of the texts of refusals",
    "truth": "the share of answers that are the known true answer; an answer that merely does not "
    "refuse does not count",
    "choice": "the share of prompts whose right answer is the most probable of the choices",
    "no answer": "the share of answers that are empty or mostly repeat themselves: neither "
    "refusals nor successes",
    "score": "how much rather the model goes on in the one way than in the other, in nats (0: it "
    "does not care)",
    "preference for refusing": "how much rather the model would say its best refusal than the true "
    "answer, in nats a token, both put into its mouth; where no answer is known, the log-odds of "
    "refusing. Above 0 it would rather refuse. It does not depend on what was drawn or looked for",
    "refusal in the reasoning": "the share of reasonings with a text of refusals in them; what is "
    "thought is not what is answered",
    "repeating reasoning": "the share of reasonings that mostly repeat themselves",
    "length of the reasoning": "how long the reasoning is, in tokens, the answer left out",
    "KL(base‖edited)": "how far the edited model's next words lie from the unedited one's, as a "
    "mean over all tokens of an answer, in nats; 0: they are the same. It sees words that the "
    "unedited model would say and the edited one would not",
    "KL(edited‖base)": "the same the other way round: it sees words that only the edited one says",
    "KL(base‖edited) of the reasoning": "the same of the reasoning alone, where there are both",
    "KL(base‖edited) of the answer": "the same of what follows the reasoning",
    "first-token KL(base‖edited)": "the same of the first word of the answer alone, which others "
    "report; damage further on does not show in it",
    "loss of the answers": "minus the log-probability of the known answer's tokens (or of those "
    "the unedited model gave), a mean in nats; e to this power is the perplexity",
    "agreement": "the share of an answer's tokens where both models find the same word likeliest",
    "length": "how long answers are, in tokens",
    "judge": "the share of answers of which a model that was asked said yes: an opinion, not a "
    "fact",
    "loss": "minus the log-probability of a text's tokens, a mean in nats; e to this power is the "
    "perplexity. Lower is better",
}
"""By the part of a measure's name before the comma; behind it stands the class of prompts."""

COLUMNS = {
    "interval": "95 %: with other prompts of the same kind the value would mostly lie in here "
    "(Wilson's for rates, bootstrap over prompts for means)",
    "p": "how probable a change as large as this would be if the edit did nothing, of the same "
    "prompts before and after (McNemar's exact test)",
    "random": "the same measure with directions drawn at random taken out in the same way: what "
    "any edit of this kind and size does",
    "moved it as far": "how many of these random directions changed the measure at least as much",
    "n": "prompts",
}


def glossary(effects: Sequence[Part]) -> Markup:
    """A table of those measures that the effects are of, and of the columns."""
    titles = dict.fromkeys(effect["name"].partition(", ")[0] for effect in effects)
    rows = [[title, MEASURES[title]] for title in titles if title in MEASURES]
    rows += [[f"column “{name}”", text] for name, text in COLUMNS.items()]
    return details("What the measures are", table(["name", "meaning"], rows))
