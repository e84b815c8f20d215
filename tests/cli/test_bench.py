"""bench: what it measures, the forms in which it says so, and the plot."""
import csv
import io
import json
import os
import unittest
import xml.etree.ElementTree as ElementTree

from support import Case, MODELS, main

PLAIN = os.path.join(MODELS, "llama-float32")  # without tokenizer files
WHOLE = ["bench", "-m", PLAIN, "-n", "4", "-r", "2"]
QUICK = WHOLE + ["--no-bandwidth"]
SVG = "{http://www.w3.org/2000/svg}"


class Bench(Case):
    def json(self, *args):
        return json.loads(self.good(*QUICK, *args, "--json"))

    def test_json(self):
        value = json.loads(self.good(*WHOLE, "-p", "24,8,16", "--json"))
        for key in ["model", "device", "precision", "load_seconds", "time_to_first_token", "prefill_tps", "decode_tps", "peak_memory_bytes",
                    "read_bandwidth", "bandwidth_fraction"]:
            self.assertIn(key, value)
        self.assertEqual((value["prompt_tokens"], value["generation_tokens"], value["batch_size"], value["repeats"]), (24, 4, 1, 2))
        lines = {(m["measurement"], m.get("tokens")): m for m in value["measurements"]}
        expected = {(name, tokens) for name in ("first_token", "prefill", "decode") for tokens in (8, 16, 24)}
        expected |= {("load_hot", None), ("start_hot", None), ("peak_memory", None), ("read_bandwidth", None)}
        if value["cold_note"] is None:
            expected |= {("load_cold", None), ("start_cold", None)}
        self.assertEqual(set(lines), expected)
        self.assertTrue(all(m["mean"] > 0 and m["deviation"] >= 0 for m in value["measurements"]))
        self.assertEqual({m["repeats"] for m in value["measurements"] if m["measurement"] != "peak_memory"}, {2})
        # The single members are those of the first length that was given.
        self.assertEqual(value["decode_tps"], lines["decode", 24]["mean"])
        self.assertEqual(value["prefill_tps"], lines["prefill", 24]["mean"])
        self.assertEqual(value["time_to_first_token"], lines["first_token", 24]["mean"])
        self.assertEqual(value["bandwidth_fraction"], lines["decode", 24]["bandwidth_fraction"])
        self.assertEqual(value["load_seconds"], lines["load_hot", None]["mean"])
        self.assertGreater(lines["start_hot", None]["mean"], lines["load_hot", None]["mean"])
        for tokens in (8, 16, 24):
            bytes_of_a_token = value["token_bytes"] + (tokens + 2) * value["kv_position_bytes"]
            share = bytes_of_a_token * lines["decode", tokens]["mean"] / value["read_bandwidth"]
            self.assertAlmostEqual(lines["decode", tokens]["bandwidth_fraction"] / share, 1, 9)
        value = self.json("-p", "8")
        self.assertEqual((value["read_bandwidth"], value["bandwidth_fraction"]), (0, 0))
        self.assertNotIn("read_bandwidth", [m["measurement"] for m in value["measurements"]])

    def test_lengths(self):
        tokens = [m["tokens"] for m in self.json("--no-cold")["measurements"] if m["measurement"] == "prefill"]
        self.assertEqual(tokens, [128])  # the others do not fit into its context of 512
        value = self.json("-p", "8,8", "-b", "3", "--no-cold")
        self.assertEqual((value["batch_size"], value["prompt_tokens"]), (3, 8))
        self.assertEqual(len([m for m in value["measurements"] if m["measurement"] == "decode"]), 1)
        value = json.loads(self.good("bench", "-m", PLAIN, "-p", "8", "-n", "0", "-r", "1", "--json", "--no-cold", "--no-bandwidth"))
        self.assertEqual((value["decode_tps"], value["bandwidth_fraction"]), (0, 0))
        self.assertNotIn("decode", [m["measurement"] for m in value["measurements"]])

    def test_wrong(self):
        for lengths in ["0", "", "8,", ",8", "8,x", "8;16", "16777217", "-1", ",".join(["8"] * 17)]:
            self.bad(2, *QUICK, "--prompt-tokens=" + lengths, contains="--prompt-tokens takes a whole number from 1")
        self.bad(2, *QUICK, "--json", "--csv", contains="exclude each other")
        self.bad(1, *QUICK, "-p", "8,600", contains="600 + 5 tokens do not fit into the context of 512")
        self.bad(1, *QUICK, "-p", "8", "--compare", "absent", contains="absent")
        self.bad(1, *QUICK, "-p", "8", "--memory-limit", "1K", contains="llama-float32")

    def test_table(self):
        lines = self.good(*QUICK, "-p", "8,16", "--no-cold").decode().splitlines()
        self.assertEqual([line.split()[0] for line in lines[:3]], ["model", "device", "runs"])
        self.assertEqual(lines[3], "")
        self.assertEqual(lines[4].split(), ["measurement", "mean", "unit", "of", "the", "bandwidth"])
        labels = ["load, hot", "first token, hot", "first token after 8", "first token after 16", "prefill of 8", "prefill of 16", "decode at 8",
                  "decode at 16", "peak memory"]
        self.assertEqual(len(lines), 5 + len(labels))
        for line, label in zip(lines[5:], labels):
            self.assertRegex(line, "^%s +[0-9.]+( ± [0-9.]+)? +(s|ms|tokens/s|[kMG]?B|GB/s)( +[0-9.]+ %%)? *$" % label)

    def test_narrow_terminal(self):
        with open(self.path("before.json"), "wb") as f:
            f.write(self.good(*QUICK, "-p", "8", "--json"))
        terminal = self.terminal(*QUICK, "-p", "8", "--compare", "before.json")
        self.assertEqual(terminal.end(), 0)
        lines = terminal.screen.text().splitlines()
        self.assertTrue(all(len(line) <= 80 for line in lines), lines)
        self.assertIn("verdict", terminal.screen.text())

    def test_csv(self):
        rows = list(csv.DictReader(io.StringIO(self.good(*QUICK, "-p", "8", "--csv").decode())))
        decode = [row for row in rows if row["measurement"] == "decode"]
        self.assertEqual([(row["tokens"], row["unit"], row["repeats"], row["batch_size"]) for row in decode], [("8", "tokens/s", "2", "1")])
        self.assertGreater(float(decode[0]["mean"]), 0)
        self.assertEqual(decode[0]["bandwidth_fraction"], "")
        self.assertTrue(all(row["model"] == PLAIN and row["device"].startswith("cpu (") for row in rows))
        self.assertTrue(all(None not in row and None not in row.values() for row in rows))

    def test_markdown(self):
        lines = self.good(*QUICK, "-p", "8", "--markdown").decode().splitlines()
        table = [line for line in lines if line.startswith("|")]
        self.assertEqual(table[1], "| --- | ---: | --- | ---: |")
        self.assertEqual({line.count("|") for line in table}, {5})
        self.assertTrue(any(line.startswith("| decode at 8 | ") for line in table))

    def test_compare(self):
        before = self.json("-p", "8,16")
        for measurement in before["measurements"]:
            if measurement["measurement"] == "decode":
                measurement.update(mean=1e-3, deviation=1e-6, repeats=9)
            elif measurement["measurement"] == "prefill":
                measurement.update(mean=1e9, deviation=1e12, repeats=9)
            elif measurement["measurement"] == "first_token":
                measurement.update(mean=3 * measurement["mean"], repeats=1)
        before["measurements"] = [m for m in before["measurements"] if m.get("tokens") != 16]
        before["device"] = "an abacus"
        with open(self.path("before.json"), "w") as f:
            json.dump(before, f)
        now = {(m["measurement"], m.get("tokens")): m for m in self.json("-p", "8,16", "--compare", "before.json")["measurements"]}
        self.assertIn(now["decode", 8]["verdict"], ["faster", "noise"])  # noise: where another program has taken the processor
        self.assertGreater(now["decode", 8]["change"], 1000)
        self.assertEqual(now["decode", 16]["verdict"], "new")
        self.assertNotIn("before", now["decode", 16])
        self.assertEqual(now["prefill", 8]["verdict"], "noise")
        self.assertLess(now["prefill", 8]["change"], 0)
        self.assertEqual(now["first_token", 8]["verdict"], "unknown")
        text = self.good(*QUICK, "-p", "8,16", "--compare", "before.json", "--no-cold").decode()
        self.assertIn("before   an abacus, fast", text)
        self.assertIn("unknown  measured once", text)
        rows = list(csv.DictReader(io.StringIO(self.good(*QUICK, "-p", "8,16", "--compare", "before.json", "--csv").decode())))
        self.assertEqual([row["before"] for row in rows if row["measurement"] == "decode"], ["0.001", ""])
        self.assertEqual([row["verdict"] for row in rows if row["measurement"] == "decode"][1], "new")
        table = [line for line in self.good(*QUICK, "-p", "8", "--compare", "before.json", "--markdown").decode().splitlines()
                 if line.startswith("|")]
        self.assertEqual({line.count("|") for line in table}, {8})

    def test_plot(self):
        model = self.install("org/a<b&c", model=PLAIN)
        with open(self.path("before.json"), "wb") as f:
            f.write(self.good(*QUICK, "-p", "8", "--json"))
        self.good("bench", "-m", model, "-p", "8,16,64", "-n", "2", "-r", "2", "--no-bandwidth", "--svg", "plot.svg", "--no-cold", "--compare", "before.json")
        picture = ElementTree.parse(self.path("plot.svg")).getroot()
        texts = ["".join(text.itertext()) for text in picture.iter(SVG + "text")]
        for text in ["a<b&c", "Decode", "Prefill", "tokens in the context", "tokens of the prompt", "tokens/s", "now", "before", "8", "16", "64"]:
            self.assertIn(text, texts)
        self.assertEqual(len([c for c in picture.iter(SVG + "circle") if c.get("class") == "dot now"]), 6)
        self.assertEqual(len([c for c in picture.iter(SVG + "circle") if c.get("class") == "dot before"]), 2)
        width, height = float(picture.get("width")), float(picture.get("height"))
        for circle in picture.iter(SVG + "circle"):
            self.assertTrue(0 < float(circle.get("cx")) < width and 0 < float(circle.get("cy")) < height)
        x = [float(c.get("cx")) for c in picture.iter(SVG + "circle") if c.get("class") == "dot now"]
        self.assertEqual(sorted(x[:3]), x[:3])
        self.assertIn("prefers-color-scheme: dark", picture.find(SVG + "style").text)
        self.assertEqual(sorted(os.listdir(self.folder)), ["before.json", "models", "plot.svg"])  # nothing half written is left
        self.bad_plot()

    def bad_plot(self):
        done = self.run_command(*QUICK, "-p", "8", "--no-cold", "--svg", "absent/plot.svg")
        self.assertEqual(done.returncode, 1)
        self.assertIn("absent/plot.svg", done.errors)
        self.assertIn("decode at 8", done.stdout.decode())  # what was measured is not lost


if __name__ == "__main__":
    main()
