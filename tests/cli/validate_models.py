"""Model directories that tests break: safetensors read and written with nothing but the standard library."""
import hashlib
import json
import os
import struct

SIZES = {"BF16": 2, "F16": 2, "F32": 4, "U32": 4, "U8": 1, "I32": 4}
INDEX = "model.safetensors.index.json"


def read_tensors(path):
    """name -> [dtype, shape, bytes]"""
    with open(path, "rb") as f:
        header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
        data = f.read()
    return {name: [t["dtype"], t["shape"], data[t["data_offsets"][0]:t["data_offsets"][1]]]
            for name, t in header.items() if name != "__metadata__"}


def write_tensors(path, tensors):
    header, data = {"__metadata__": {"format": "mlx"}}, b""
    for name, (dtype, shape, values) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


class Directory:
    """A model directory and the ways to break it."""

    def __init__(self, path):
        self.root = path

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data.encode() if isinstance(data, str) else data)

    def remove(self, *names):
        for name in names:
            os.remove(self.path(name))

    def cut(self, name, keep):
        self.write(name, self.read(name)[:keep])

    def json(self, name, **changes):
        """Changes keys of a JSON file; None removes one."""
        value = json.loads(self.read(name)) if os.path.exists(self.path(name)) else {}
        for key, new in changes.items():
            value.pop(key, None)
            if new is not None:
                value[key] = new
        self.write(name, json.dumps(value))

    def config(self, **changes):
        self.json("config.json", **changes)

    def template(self, text):
        self.json("tokenizer_config.json", chat_template=text)

    def change(self, name, change, file="model.safetensors"):
        """change(tensor) -> the new one, or None to leave it out. What an index says of it goes too."""
        tensors = read_tensors(self.path(file))
        new = change(tensors.pop(name))
        if new:
            tensors[name] = new
        elif os.path.exists(self.path(INDEX)):
            index = json.loads(self.read(INDEX))
            del index["weight_map"][name]
            self.write(INDEX, json.dumps(index))
        write_tensors(self.path(file), tensors)

    def values(self, name, first, file="model.safetensors"):
        """The first bytes of a tensor become others."""
        self.change(name, lambda t: [t[0], t[1], first + t[2][len(first):]], file)

    def shard(self, count, index=True):
        tensors = sorted(read_tensors(self.path("model.safetensors")).items())
        self.remove(*[n for n in ("model.safetensors", INDEX) if os.path.exists(self.path(n))])
        names = ["model-%05d-of-%05d.safetensors" % (i + 1, count) for i in range(count)]
        for i, name in enumerate(names):
            write_tensors(self.path(name), dict(tensors[i::count]))
        if index:
            self.write(INDEX, json.dumps({"weight_map": {t: names[i % count] for i, (t, _) in enumerate(tensors)}}))
        return names

    def record(self, name, complete=True):
        """What `pull` leaves beside the files."""
        files = []
        for file in sorted(os.listdir(self.root)):
            data = self.read(file)
            files.append({"path": file, "size": len(data), "hash": hashlib.sha256(data).hexdigest()})
        self.write(".whisperengine-download.json", json.dumps(
            {"name": name, "revision": "", "commit": "0" * 40, "complete": complete, "files": files, "replaced": []}))
