"""`medseg.review` as a type checker sees it: called as the verb, with the package's functions below it.

Nothing imports this while it runs. Its own imports are not for type checkers alone, so that these look at the functions
before they look at the class, and know their types.
"""

from medseg.review.dataset_export import export_dataset as _export_dataset
from medseg.review.label_import import import_labels as _import_labels
from medseg.review.opening import open_review as _open
from medseg.review.reader_agreement import agreement as _agreement
from medseg.review.results_export import export_results as _export_results
from medseg.review.review_page import review as _review
from medseg.review.review_status import status as _status


class ReviewPackage:
    """The package, called as the verb."""

    __call__ = staticmethod(_review)
    agreement = staticmethod(_agreement)
    export_dataset = staticmethod(_export_dataset)
    export_results = staticmethod(_export_results)
    import_labels = staticmethod(_import_labels)
    open = staticmethod(_open)
    review = staticmethod(_review)
    status = staticmethod(_status)
