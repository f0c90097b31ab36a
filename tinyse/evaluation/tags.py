"""How good tags are: areas under precision-recall curves and average precisions, by scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinyse.errors import InputError, needs


@dataclass(frozen=True)
class TagScores:
    """Scores of one list of clips. Classes that no clip or every clip has are not defined, and left out of means."""

    micro_auprc: float
    """Area under the precision-recall curve of all (clip, class) pairs together, by trapezia: DCASE 2019 task 5's."""
    macro_auprc: float
    """Mean over classes of the area under each one's curve."""
    mean_average_precision: float
    """Mean over classes of the average precision, which steps where the area interpolates."""
    average_precision: dict[str, float]
    """By class."""
    clips: int

    @classmethod
    def of(cls, tags: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> TagScores:
        """`tags` (clips, classes) are probabilities, `labels` (clips, classes) 0 or 1.

        Raises InputError where no class has clips with and without it.
        """
        with needs("metrics", "scikit-learn"):
            from sklearn.metrics import auc, average_precision_score, precision_recall_curve
        labels = np.asarray(labels) > 0.5
        if tags.shape != labels.shape or tags.shape[1:] != (len(classes),):
            raise ValueError(f"{tags.shape} tags and {labels.shape} labels of {len(classes)} classes")

        def area(y: np.ndarray, p: np.ndarray) -> float:
            precision, recall, _ = precision_recall_curve(y, p)
            return float(auc(recall, precision))

        defined = [index for index in range(len(classes)) if 0 < labels[:, index].sum() < len(labels)]
        if not defined:
            raise InputError(
                "no class is in some of the clips and not in others: there is nothing to score; "
                "more clips, or clips with fewer labels, would tell"
            )
        chosen_tags, chosen = tags[:, defined], labels[:, defined]
        precisions = [float(average_precision_score(chosen[:, i], chosen_tags[:, i])) for i in range(len(defined))]
        return cls(
            micro_auprc=area(chosen.ravel(), chosen_tags.ravel()),
            macro_auprc=float(np.mean([area(chosen[:, i], chosen_tags[:, i]) for i in range(len(defined))])),
            mean_average_precision=float(np.mean(precisions)),
            average_precision={classes[index]: value for index, value in zip(defined, precisions, strict=True)},
            clips=len(labels),
        )
