"""Names of a package that are imported when they are first used, and old names that say where they went."""

import importlib
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# New places of the modules and names of version 0.1, for error messages and for MLflow.
MODULES = {
    "kickbert._extras": "kickbert.utils.extras",
    "kickbert._names": "kickbert.utils.messages",
    "kickbert.answering": "kickbert.models.classifier",
    "kickbert.answers": "kickbert.targets.outputs",
    "kickbert.artifact": "kickbert.models.artifact",
    "kickbert.attention": "kickbert.models.attention",
    "kickbert.augment": "kickbert.text.augmentation",
    "kickbert.backends": "kickbert.inference.backends",
    "kickbert.baselines": "kickbert.evaluation.baselines",
    "kickbert.batches": "kickbert.data.bucketing",
    "kickbert.batching": "kickbert.serving.batcher",
    "kickbert.bins": "kickbert.targets.binning",
    "kickbert.blocks": "kickbert.data.transforms",
    "kickbert.calibration": "kickbert.evaluation.calibration",
    "kickbert.card": "kickbert.models.metadata",
    "kickbert.checkpoint": "kickbert.training.checkpoint",
    "kickbert.clean": "kickbert.text.cleaning_steps",
    "kickbert.cleaner": "kickbert.text.cleaning",
    "kickbert.comparison": "kickbert.experiments.comparison",
    "kickbert.contract": "kickbert.serving.schemas",
    "kickbert.crossval": "kickbert.experiments.cross_validation",
    "kickbert.doctor": "kickbert.cli.doctor",
    "kickbert.dropout": "kickbert.models.dropout",
    "kickbert.encoder": "kickbert.models.encoder",
    "kickbert.errors": "kickbert.evaluation.error_analysis",
    "kickbert.explanation": "kickbert.evaluation.attribution",
    "kickbert.exploration": "kickbert.data.exploration",
    "kickbert.exploration_page": "kickbert.data.exploration_report",
    "kickbert.exporting": "kickbert.inference.exporting",
    "kickbert.facts": "kickbert.data.profiling",
    "kickbert.files": "kickbert.utils.atomic_files",
    "kickbert.folds": "kickbert.data.splits",
    "kickbert.frames": "kickbert.text.columns",
    "kickbert.framing": "kickbert.text.tokenization",
    "kickbert.from_df": "kickbert.training.factories",
    "kickbert.graphs": "kickbert.inference.onnx_graphs",
    "kickbert.guard": "kickbert.training.callbacks",
    "kickbert.head": "kickbert.models.head",
    "kickbert.highlight": "kickbert.evaluation.explanation",
    "kickbert.history": "kickbert.training.callbacks",
    "kickbert.labels": "kickbert.targets.multilabel",
    "kickbert.learner": "kickbert.training.learner",
    "kickbert.limits": "kickbert.serving.middleware",
    "kickbert.loop": "kickbert.training.callbacks",
    "kickbert.losses": "kickbert.training.losses",
    "kickbert.metrics": "kickbert.training.metrics",
    "kickbert.optimizers": "kickbert.training.schedule",
    "kickbert.page": "kickbert.utils.html_page",
    "kickbert.paraphrase": "kickbert.text.neural_augmentation",
    "kickbert.plain": "kickbert.models.hf_conversion",
    "kickbert.plots": "kickbert.utils.plotting",
    "kickbert.precision": "kickbert.utils.hardware",
    "kickbert.predictions": "kickbert.evaluation.predictions",
    "kickbert.predictor": "kickbert.inference.predictor",
    "kickbert.pretrained": "kickbert.utils.hub",
    "kickbert.probes": "kickbert.evaluation.probing",
    "kickbert.progress": "kickbert.training.callbacks",
    "kickbert.reporting": "kickbert.experiments.reporting",
    "kickbert.restoring": "kickbert.training.factories",
    "kickbert.saving": "kickbert.models.saving",
    "kickbert.schedule": "kickbert.training.schedule",
    "kickbert.score_plots": "kickbert.evaluation.plots",
    "kickbert.scores": "kickbert.evaluation.scores",
    "kickbert.serve": "kickbert.serving.server",
    "kickbert.service": "kickbert.serving.service",
    "kickbert.show": "kickbert.data.display",
    "kickbert.sizes": "kickbert.experiments.learning_curves",
    "kickbert.speed": "kickbert.inference.backends",
    "kickbert.splits": "kickbert.data.splits",
    "kickbert.store": "kickbert.cache.storage",
    "kickbert.streaming": "kickbert.inference.batch_prediction",
    "kickbert.tasks": "kickbert.targets.fitting",
    "kickbert.telemetry": "kickbert.serving.telemetry",
    "kickbert.terminal": "kickbert.cli.output",
    "kickbert.tokenizer": "kickbert.data.transforms",
    "kickbert.training_plots": "kickbert.experiments.plots",
    "kickbert.weights": "kickbert.data.imbalance",
    "kickbert.wordnet": "kickbert.text.augmentation",
}

# Old names of modules that files outside name: MLflow keeps, with each registered model, the module that loads it.
ALIASES = {"kickbert.track": "kickbert.experiments.tracking"}

NAMES = {
    "kickbert.Stores": "kickbert.Cache",
    "kickbert.by_size": "kickbert.experiments.by_size",
    "kickbert.errors": "kickbert.evaluation.error_analysis",
    "kickbert.Augmenter": "kickbert.text.Augmenter",
    "kickbert.BackTranslation": "kickbert.text.BackTranslation",
    "kickbert.CharacterNoise": "kickbert.text.CharacterNoise",
    "kickbert.Cleaner": "kickbert.text.Cleaner",
    "kickbert.Contextual": "kickbert.text.Contextual",
    "kickbert.EDA": "kickbert.text.EDA",
    "kickbert.Evaluation": "kickbert.evaluation.Evaluation",
    "kickbert.Explanation": "kickbert.evaluation.Explanation",
    "kickbert.Exploration": "kickbert.data.Exploration",
    "kickbert.Predictions": "kickbert.evaluation.Predictions",
    "kickbert.TextBlock": "kickbert.data.TextBlock",
    "kickbert.benchmark": "kickbert.inference.benchmark",
    "kickbert.coverage": "kickbert.evaluation.coverage",
    "kickbert.plot_attention": "kickbert.evaluation.plot_attention",
    "kickbert.plot_calibration": "kickbert.evaluation.plot_calibration",
    "kickbert.plot_classes": "kickbert.data.plot_classes",
    "kickbert.plot_confusion": "kickbert.evaluation.plot_confusion",
    "kickbert.plot_coverage": "kickbert.evaluation.plot_coverage",
    "kickbert.plot_ladder": "kickbert.experiments.plot_ladder",
    "kickbert.plot_learning_curves": "kickbert.experiments.plot_learning_curves",
    "kickbert.plot_precision_recall": "kickbert.evaluation.plot_precision_recall",
    "kickbert.plot_probe": "kickbert.evaluation.plot_probe",
    "kickbert.plot_roc": "kickbert.evaluation.plot_roc",
    "kickbert.plot_sizes": "kickbert.experiments.plot_sizes",
    "kickbert.plot_values": "kickbert.evaluation.plot_values",
    "kickbert.probe": "kickbert.evaluation.probe",
    "kickbert.threshold_for": "kickbert.evaluation.threshold_for",
} | MODULES


def attach(
    package: str, modules: Mapping[str, Sequence[str]]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Make `__getattr__`, `__dir__` and `__all__` of a package whose modules are imported on first use (PEP 562).

    Args:
        package: its `__name__`.
        modules: the public names of each of its modules; a module may have none. Modules are attributes too.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:  # noqa: N807 - what the package takes it for
        if name in homes:
            value = getattr(import_quietly(f"{package}.{homes[name]}"), name)
        elif name in modules:
            value = import_quietly(f"{package}.{name}")
        else:
            raise AttributeError(_unknown(package, name, [*homes, *modules]))
        setattr(sys.modules[package], name, value)
        return value

    return __getattr__, lambda: sorted({*homes, *modules}), sorted(homes)


def import_quietly(module: str) -> ModuleType:
    """Import a module without the deprecation warnings of torch and fastai, on which no user can act."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        return importlib.import_module(module)


def _unknown(package: str, name: str, known: list[str]) -> str:
    """The message of an AttributeError: the new place of an old name, the nearest name, or all names."""
    from kickbert.utils.messages import nearest

    message = f"module {package!r} has no attribute {name!r}"
    if f"{package}.{name}" in NAMES:
        return f"{message}; it is {NAMES[f'{package}.{name}']} now"
    return f"{message}{nearest(name, known) or f'; it has {sorted(known)}'}"


class MovedModules:
    """Import hook for modules that moved: importing one fails in one line, which names its new place.

    What files outside may name for ever (`ALIASES`: MLflow's registry keeps the name of the module that loads a model)
    is still found, under both names.
    """

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Find the spec of an alias.

        Returns:
            None for what is none of kickbert's old modules.
        Raises:
            ModuleNotFoundError: a module that moved.
        """
        if not name.startswith("kickbert."):
            return None
        if name in ALIASES:
            return ModuleSpec(name, self)
        if name in MODULES:
            raise ModuleNotFoundError(f"{name} moved to {MODULES[name]}", name=name)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make a module that looks its names up in the one that it stands for."""
        module, real = ModuleType(spec.name), import_quietly(ALIASES[spec.name])
        module.__getattr__ = lambda name: getattr(real, name)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""
