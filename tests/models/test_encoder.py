"""Hidden states of encoders, of encoders with a decoder, and of decoders, whatever shares a batch."""

import pytest
import torch
from reference.chat_tokenizers import make_tokenizer
from transformers import BartConfig, BartModel, LlamaConfig, LlamaModel, T5Config, T5Model

from qstar_pl.errors import UserError
from qstar_pl.models.encoder import Encoder

SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
MODELS = {
    "llama": lambda: LlamaModel(LlamaConfig(vocab_size=320, max_position_embeddings=24, **SIZES)),
    "t5": lambda: T5Model(T5Config(vocab_size=320, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)),
    "bart": lambda: BartModel(
        BartConfig(
            vocab_size=320,
            d_model=16,
            encoder_layers=2,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=32,
            decoder_ffn_dim=32,
            max_position_embeddings=24,
        )
    ),
}
TEXTS = ["the cat sat", "How are you today? I am fine.", "", "hat", "the cat sat on the mat with a hat " * 9]


@pytest.mark.parametrize("family", list(MODELS))
@pytest.mark.parametrize("bos", [False, True])
def test_a_text_has_its_embeddings_whatever_shares_its_batch(family, bos):
    torch.manual_seed(0)
    tokenizer = make_tokenizer(bos=bos)
    encoder = Encoder(MODELS[family]().eval(), tokenizer, max_length=20)
    together = encoder(TEXTS, 3)
    alone = [encoder([text], 1)[0] for text in TEXTS]
    lengths = [min(20 - bos, len(tokenizer.encode(text, add_special_tokens=False))) for text in TEXTS]
    assert [len(one) for one in together] == lengths  # without the BOS token, and cut
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
        assert torch.allclose(one.norm(dim=-1), torch.ones(len(one)))
    assert encoder([], 3) == []


def test_layers():
    model = MODELS["llama"]().eval()
    first, last = Encoder(model, make_tokenizer(), 0), Encoder(model, make_tokenizer())
    assert (first.layer, last.layer, last.max_length) == (0, 2, 24)
    embeddings = torch.nn.functional.normalize(model.embed_tokens(torch.tensor(make_tokenizer()(["hat"])["input_ids"])))
    assert first(["hat"], 1)[0].shape == embeddings[0].shape
    assert not torch.allclose(first(["hat"], 1)[0], last(["hat"], 1)[0])
    with pytest.raises(UserError, match=r"layer must lie in \[0, 2\] for this model, got 3"):
        Encoder(model, make_tokenizer(), 3)
