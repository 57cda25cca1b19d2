"""The paper's experiment: every system trained, compared and reported. Needs the extra `train`."""

from vertebrometer.experiment.running import run_experiment
from vertebrometer.experiment.settings import ExperimentSettings

__all__ = ["ExperimentSettings", "run_experiment"]
