"""Prometheus's text format 0.0.4, read strictly: what its documentation does not allow fails the check."""

import math
import re

from leveret import Failed

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(?:,|$)')
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def _labels(text):
    found, at = {}, 0
    while at < len(text):
        match = _LABEL.match(text, at)
        if not match:
            raise Failed(f"labels: {text}")
        if match[1] in found:
            raise Failed(f"a label twice: {text}")
        found[match[1]] = match[2]
        at = match.end()
    return found


def parse(text):
    """Samples by name and labels, and the type of each family. Histograms are checked to add up."""
    if not text.endswith("\n"):
        raise Failed("the last line does not end")
    types, helps, samples, family = {}, set(), {}, None
    for line in text.splitlines():
        if match := re.fullmatch(rf"# HELP ({_NAME}) .+", line):
            if match[1] in helps:
                raise Failed(f"HELP twice: {line}")
            helps.add(match[1])
        elif match := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|histogram)", line):
            family = match[1]
            if family in types:
                raise Failed(f"TYPE twice: {line}")
            types[family] = match[2]
        elif match := _SAMPLE.match(line):
            name, labels, value = match[1], _labels(match[2] or ""), float(match[3])
            if family is None or not any(name == family + suffix for suffix in _SUFFIXES[types[family]]):
                raise Failed(f"outside its family: {line}")
            key = (name, tuple(sorted(labels.items())))
            if key in samples or not math.isfinite(value):
                raise Failed(f"twice or no number: {line}")
            samples[key] = value
        else:
            raise Failed(f"not the text format: {line}")
    for name, kind in types.items():
        if name not in helps:
            raise Failed(f"{name} has no HELP")
        if kind == "counter" and not name.endswith("_total"):
            raise Failed(f"the counter {name} does not end in _total")
        if kind == "histogram":
            _adds_up(name, samples)
    return Metrics(samples, types)


def _adds_up(name, samples):
    rows = {}
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            bound = float(dict(labels)["le"])
            rest = tuple(label for label in labels if label[0] != "le")
            rows.setdefault(rest, []).append((bound, value))
    if not rows:
        raise Failed(f"{name} has no buckets")
    for rest, buckets in rows.items():
        counts = [count for _, count in sorted(buckets)]
        if counts != sorted(counts) or max(bound for bound, _ in buckets) != math.inf:
            raise Failed(f"{name} {rest}: buckets {sorted(buckets)}")
        if counts[-1] != samples[(name + "_count", rest)] or (name + "_sum", rest) not in samples:
            raise Failed(f"{name} {rest}: the buckets do not add up to its count")


class Metrics:
    """One scrape."""

    def __init__(self, samples, types):
        self.samples = samples
        self.types = types

    def sum(self, name, **labels):
        """A sample's sum over all cores, where it has these labels."""
        found = [value for (sample, have), value in self.samples.items()
                 if sample == name and labels.items() <= dict(have).items()]
        if not found:
            raise Failed(f"no {name} {labels}")
        return sum(found)

    def label_names(self):
        return {name for _, labels in self.samples for name, _ in labels}
