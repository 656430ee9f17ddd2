"""Pools that run steps in the test's own process, where the workers are not what is tested."""

from __future__ import annotations

from concurrent.futures import Future

from daybreak.engine.execute import execute
from daybreak.errors import EngineError


class HerePools:
    """Pools that run steps in this process, where the workers are not what is tested."""

    largest_mb = 4000

    def __init__(self):
        self.trouble = None
        self.ends = {}
        self.taken = []

    def label_for(self, resources):
        if resources.memory_mb > self.largest_mb:
            raise EngineError(f"a step needs {resources.memory_mb} MB of memory")
        return "here"

    def capacity(self, label):
        return 1

    def health(self):
        return self.trouble

    def job_of(self, note):
        return self.ends.get(note.get("job"))

    def run(self, payload):
        return execute(payload)

    def submit(self, function, payload, *, label, priority=0):
        assert function == "daybreak.engine.execute:execute"
        self.taken.append((payload["name"], payload["memory_mb"]))
        future: Future = Future()
        try:
            future.set_result(self.run(payload))
        except Exception as error:
            future.set_exception(error)
        return future
