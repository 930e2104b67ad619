"""A fastai Learner that says so where it needs rows that it does not have, as after `load_learner`."""

from typing import Any

from kickbert.data.bucketing import BucketDL
from kickbert.training.event_loop import LeanLearner


class RowsLearner(LeanLearner):
    """A fastai Learner that checks for rows before it uses them; fastai returns None or NaN, or fails later."""

    def need_rows(self, part: int = 1, dl: Any = None) -> None:
        """Check that a DataLoader has rows.

        Args:
            part: 0 for the training rows, 1 for the validation rows.
            dl: a DataLoader to use instead.
        Raises:
            ValueError: it has none; the message says what to do.
        """
        loader = self.dls[part] if dl is None else dl
        if not isinstance(loader, BucketDL) or len(loader.dataset):
            return
        what = "there are no " + ("validation rows" if part else "training rows")
        if not self.has_rows:
            what = "this learner was loaded without its rows, because export leaves them out"
        if part == 0:
            raise ValueError(f"{what}; to train, make a learner with learner_from_df(df)")
        raise ValueError(
            f"{what}; pass dl=learn.dls.test_dl(df, with_labels=True), or use kickbert.evaluate(learn, df) or "
            "learn.predict_df(df)"
        )

    @property
    def has_rows(self) -> bool:
        """Whether there are training or validation rows; an exported learner has none."""
        return any(len(dl.dataset) for dl in self.dls.loaders)

    def show_batch(self, ds_idx: int = 0, **kwargs: Any) -> None:
        """Show rows of a batch, as `dls.show_batch` does.

        Args:
            ds_idx: 0 for training rows, 1 for validation rows.
            kwargs: `max_n` and others, as for fastai's `show_batch`.
        Raises:
            ValueError: there are no rows.
        """
        self.need_rows(ds_idx)
        self.dls[ds_idx].show_batch(**kwargs)

    def show_results(self, ds_idx: int = 1, dl: Any = None, **kwargs: Any) -> None:
        """fastai's `show_results`.

        Raises:
            ValueError: there are no rows, or they have no targets.
        """
        self.need_rows(ds_idx, dl)
        super().show_results(ds_idx, dl, **kwargs)

    def validate(self, ds_idx: int = 1, dl: Any = None, cbs: Any = None) -> Any:
        """fastai's `validate`.

        Raises:
            ValueError: there are no rows.
        """
        self.need_rows(ds_idx, dl)
        return super().validate(ds_idx, dl, cbs)

    def lr_find(self, *args: Any, **kwargs: Any) -> Any:
        """fastai's `lr_find`.

        Raises:
            ValueError: there are no training rows.
        """
        self.need_rows(0)
        return super().lr_find(*args, **kwargs)
