"""Networks of the library ``transformers``: ``architecture: hf:owner/name`` or ``hf:folder``.

Causal language models, and models that classify texts. ``pretrained: true`` loads their weights;
otherwise they are drawn as their configuration says.

Where a task's tokens are those of the model's own tokenizer, the network is the whole model, and
token t of the task is the model's t − 1: 0 pads, and is not the model's. Over other tokens the
network has as many entries as the task's vocabulary; then it cannot be pretrained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.settings import Model
from prunebench.tasks.hub import loaded, transformers
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.pretrained_tokens import SHIFT, TOKENIZER, Tokenizer
from prunebench.training.networks._sequences import is_token

# kind of task -> the auto class of its models
_AUTO = {
    "language-model": "AutoModelForCausalLM",
    "translation": "AutoModelForCausalLM",
    "classification": "AutoModelForSequenceClassification",
}
_NEVER = -1e4  # the logit of padding, which is no token: finite, for differences of logits
# eager attention is counted in MACs on every device, and can be differentiated twice
_HOW = {"dtype": torch.float32, "attn_implementation": "eager"}


def build(hub: HubName, settings: Model, facts: NetworkFacts) -> nn.Module:
    """Return the network, with weights that are loaded, or drawn by the global generator.

    Args:
        hub: which.
        settings: whether it is pretrained, and ``arguments`` that its configuration takes.
        facts: of the data: the kind of task, the vocabulary, the length.

    Raises:
        PrunebenchError: it cannot be loaded, takes no such inputs, or has another task.
    """
    name = settings.name
    length, vocabulary, outputs = facts.of("length", "vocabulary", "num_classes", network=name)
    kind = facts.values.get("task_kind")
    if kind not in _AUTO:
        raise PrunebenchError(
            f"models: {name}: hf: models are for tasks of kind {', '.join(_AUTO)}, not {kind}"
        )
    auto, whole = _AUTO[kind], TOKENIZER in facts.values
    if settings.pretrained:
        _check_tokens(hub, name, facts)
    sizes: dict[str, Any] = {}
    if not whole:
        sizes = {
            "vocab_size": vocabulary, "pad_token_id": 0, "bos_token_id": None, "eos_token_id": None
        }  # fmt: skip
    if kind == "classification":
        sizes["num_labels"] = outputs
    configuration = _configuration(hub, settings, sizes)
    _check_sizes(configuration, name, hub, vocabulary - SHIFT if whole else vocabulary, length)
    if settings.pretrained:
        model = _pretrained(auto, hub, configuration)
    else:
        try:
            model = getattr(transformers(), auto).from_config(
                configuration, trust_remote_code=False, **_HOW
            )
        except ValueError as error:
            raise PrunebenchError(f"{hub}: {str(error).splitlines()[0][:300]}") from error
    network = HubNetwork(model, SHIFT if whole else 0)
    if auto == "AutoModelForCausalLM":
        _check_causal(network, hub)
    return network


def _check_tokens(hub: HubName, name: str, facts: NetworkFacts) -> None:
    """Refuse pretrained weights over tokens that they do not know."""
    if facts.values.get(TOKENIZER) != Tokenizer(hub).facts()[TOKENIZER]:
        raise PrunebenchError(
            f"models: {name}: pretrained weights know the tokens of their own tokenizer alone: set"
            f" tokens: {hub} of the task (sources text and text-files), or pretrained: false"
        )


def _configuration(hub: HubName, settings: Model, sizes: dict[str, Any]) -> Any:
    """Return the model's configuration, changed by ``arguments`` and by sizes of the data."""
    known = loaded("AutoConfig", hub)
    for argument in settings.arguments:
        if not hasattr(known, argument) or argument.startswith("_"):
            raise PrunebenchError(
                f"models: {settings.name}: {hub} has no setting {argument!r}"
                f"{suggest(argument, known.to_dict())}"
            )
    return loaded("AutoConfig", hub, **{**settings.arguments, **sizes})


def _check_sizes(configuration: Any, name: str, hub: HubName, tokens: int, length: int) -> None:
    known = getattr(configuration, "vocab_size", None)
    if known is None:
        raise PrunebenchError(f"models: {name}: {hub} is no model of texts")
    if known < tokens:
        raise PrunebenchError(
            f"models: {name}: {hub} knows {known:,} tokens, the task has {tokens:,}"
        )
    positions = getattr(configuration, "max_position_embeddings", None)
    if positions is not None and length > positions:
        raise PrunebenchError(
            f"models: {name}: {hub} takes {positions:,} tokens at most, the task's sequences have"
            f" {length:,}: set length: of the task"
        )


def _pretrained(auto: str, hub: HubName, configuration: Any) -> nn.Module:
    """Return a model with its weights; only a classifier's head may be missing, and is drawn."""
    if hub.folder is not None and not any(hub.folder.glob("*.safetensors")):
        raise PrunebenchError(
            f"{hub}: the folder has no weights as safetensors; other formats may run code of theirs"
        )
    model, found = loaded(
        auto, hub, config=configuration, use_safetensors=True, output_loading_info=True, **_HOW
    )
    body = f"{model.base_model_prefix}."
    heads = auto == "AutoModelForSequenceClassification"
    missing = [name for name in sorted(found["missing_keys"]) if not heads or name.startswith(body)]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise PrunebenchError(
            f"{hub}: {type(model).__name__} needs {missing[0]}{more}, which its weights do not"
            " hold: they are of another kind of model"
        )
    return model


class HubNetwork(nn.Module):
    """A model of transformers as a network over tokens int64 [B, L], 0 for padding at the end.

    A language model gives [B, L, vocabulary], of which 0, the padding, is never likely; a
    classifier [B, classes]. GPT-2's ``Conv1D``, linear layers whose weights stand as [in, out],
    become linear layers, which compute the same. A weight that several layers share is one
    parameter, and stands once in the state dict.
    """

    def __init__(self, model: Any, shift: int) -> None:
        """Take a model of transformers.

        Args:
            model: the model; it becomes part of this network.
            shift: what the numbers of its tokens are less than those of the task.
        """
        super().__init__()
        _linear_layers(model)
        self.model = model
        self.shift = shift
        own = model.config.pad_token_id
        if own is None:  # by which classifiers find the last token
            end = model.config.eos_token_id
            own = model.config.pad_token_id = end[0] if isinstance(end, list) else end or 0
        self.padding = int(own) if 0 <= int(own) < model.config.vocab_size else 0
        self.causal = model.get_output_embeddings() is not None
        self.shared = _shared(self)
        self.register_state_dict_post_hook(_without_shared)
        self.register_load_state_dict_pre_hook(_with_shared)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of tokens [B, L]."""
        valid = is_token(tokens)
        own = torch.where(tokens != 0, tokens - self.shift, self.padding)
        found = self.model(input_ids=own, attention_mask=valid.long(), use_cache=False)
        logits: Tensor = found.logits
        if not (self.causal and self.shift):
            return logits
        return nn.functional.pad(logits, (self.shift, 0), value=_NEVER)

    def get_classifier(self) -> list[nn.Module]:
        """Return the layer of the next token's scores, or all that stands on the model's body."""
        if self.causal:
            return [self.model.get_output_embeddings()]
        body = self.model.base_model_prefix
        return [part for name, part in self.model.named_children() if name != body]


def _linear_layers(model: nn.Module) -> None:
    """Put a linear layer in the place of every ``Conv1D`` of transformers."""
    kind = transformers().pytorch_utils.Conv1D
    found = [(name, part) for name, part in model.named_modules() if isinstance(part, kind)]
    for name, part in found:
        inputs, outputs = part.weight.shape
        linear = nn.Linear(inputs, outputs, device="meta")  # draws nothing
        linear.weight = nn.Parameter(part.weight.detach().t().contiguous())
        linear.bias = part.bias
        model.set_submodule(name, linear)


def _shared(model: nn.Module) -> dict[str, str]:
    """Return the further names of parameters that have several -> the one that is kept."""
    first = {id(value): name for name, value in model.named_parameters()}
    every = model.named_parameters(remove_duplicate=False)
    return {name: first[id(value)] for name, value in every if name != first[id(value)]}


def _without_shared(
    module: nn.Module, state: dict[str, Tensor], prefix: str, metadata: Any
) -> None:
    assert isinstance(module, HubNetwork)
    for name in module.shared:
        state.pop(prefix + name, None)


def _with_shared(module: nn.Module, state: dict[str, Tensor], prefix: str, *others: Any) -> None:
    assert isinstance(module, HubNetwork)
    for name, kept in module.shared.items():
        if prefix + kept in state:
            state.setdefault(prefix + name, state[prefix + kept])


@torch.no_grad()
def _check_causal(network: HubNetwork, hub: HubName) -> None:
    """Refuse a model whose first output depends on the second token: it would read the answer."""
    weight = next(network.parameters())
    if weight.is_meta:
        return
    training = network.training
    pairs = torch.tensor([[1, 1], [1, 2]]) + network.shift
    outputs = network.eval()(pairs)[:, 0]
    network.train(training)
    if not torch.allclose(outputs[0], outputs[1], rtol=1e-3, atol=1e-5):
        raise PrunebenchError(
            f"{hub}: {type(network.model).__name__} attends to later tokens: it is no causal"
            " language model"
        )
