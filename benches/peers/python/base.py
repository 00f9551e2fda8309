"""What every peer has in common."""

from importlib.metadata import version


class Base:
    # Whether `simulate(count)` can take the first patients only; batched peers always take all.
    per_patient = False
    warm_up_patients = None
    device = "cpu"
    note = ""

    def simulate(self, count):
        """Simulates, and returns once the outputs are in host memory."""
        raise NotImplementedError

    def arranged(self, outputs):
        """What `simulate` returned as [patient][time][state]; not timed."""
        return outputs

    def close(self):
        pass


def versions(*packages):
    return {name: version(name) for name in packages}
