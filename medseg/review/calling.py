"""What `medseg.review` is beyond a package: the verb's function, called by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medseg.review.dataset_export import export_dataset as _export_dataset
    from medseg.review.label_import import import_labels as _import_labels
    from medseg.review.opening import open_review as _open
    from medseg.review.reader_agreement import agreement as _agreement
    from medseg.review.results_export import export_results as _export_results
    from medseg.review.review_page import review as _review
    from medseg.review.review_status import status as _status

    class CalledPackage:
        """`medseg.review` as a type checker sees it: called as the verb, with the package's functions below it."""

        __call__ = staticmethod(_review)
        agreement = staticmethod(_agreement)
        export_dataset = staticmethod(_export_dataset)
        export_results = staticmethod(_export_results)
        import_labels = staticmethod(_import_labels)
        open = staticmethod(_open)
        review = staticmethod(_review)
        status = staticmethod(_status)

else:
    from types import ModuleType

    class CalledPackage(ModuleType):
        """A package that is called as its function `review` is, by the same signature."""

        @property
        def __signature__(self):
            import inspect

            return inspect.signature(self.review)

        def __call__(self, *arguments, **options):
            """Show results in a browser."""
            return self.review(*arguments, **options)
