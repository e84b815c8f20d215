"""Writes corpus_hub/: answers of the Hub's API, right and wrong, to begin the fuzzing with."""
import json
import os

from hub_server import Model, small_model

folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "corpus_hub")
os.makedirs(folder, exist_ok=True)
good = Model(small_model(1, 300)).listing()
tiny = {"sha": "a" * 40, "siblings": [{"rfilename": "config.json", "size": 2, "blobId": "b" * 40},
                                      {"rfilename": "model.safetensors", "size": 8, "lfs": {"sha256": "c" * 64, "size": 8}}]}
cases = {
    "good": good, "tiny": tiny, "empty": {}, "no_files": {"sha": "a" * 40, "siblings": []},
    "nulls": {**tiny, "sha": None, "siblings": [{"rfilename": "a.json", "size": None, "blobId": None, "lfs": None}]},
    "climbs": {**tiny, "siblings": [*tiny["siblings"], {"rfilename": "../x.json", "size": 1, "blobId": "b" * 40}]},
    "twice": {**tiny, "siblings": tiny["siblings"] * 2},
    "template": {**tiny, "siblings": [*tiny["siblings"], {"rfilename": "additional_chat_templates/a.jinja", "size": 1, "blobId": "d" * 40}]},
    "escapes": {**tiny, "siblings": [*tiny["siblings"], {"rfilename": "a\u0000\u00e9\ud83d\ude00.json", "size": 1, "blobId": "d" * 40}]},
}
for name, value in cases.items():
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, separators=(",", ":"))
