"""What people look at and hand over: folders, datasets, labels for radiologists, and the review of results.

>>> import medseg
>>> with medseg.review.open("results") as review:  # doctest: +SKIP
...     [(case, review.case(case).state) for case in review.cases()]

Called, as ``medseg.review("results")``, it shows results in a browser; `review` is another name for that. `open` gives
the cases, revisions and verdicts of a review; `import_labels` takes corrections from other programs; `export_dataset`
and `export_results` pass on what was accepted; `agreement` compares readers. All are fetched when they are first used,
so that importing medseg stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medseg.review.dataset_export import export_dataset
    from medseg.review.label_import import import_labels
    from medseg.review.opening import open_review as open
    from medseg.review.reader_agreement import agreement
    from medseg.review.results_export import export_results
    from medseg.review.review_page import review
    from medseg.review.review_status import status

__all__ = ["agreement", "export_dataset", "export_results", "import_labels", "open", "review", "status"]

if not TYPE_CHECKING:  # a type checker sees the imports above, and `call_types` where it is an attribute of medseg
    import sys

    from medseg.review.calling import CalledPackage

    sys.modules[__name__].__class__ = CalledPackage
    _PLACES = {
        "agreement": ("medseg.review.reader_agreement", "agreement"),
        "export_dataset": ("medseg.review.dataset_export", "export_dataset"),
        "export_results": ("medseg.review.results_export", "export_results"),
        "import_labels": ("medseg.review.label_import", "import_labels"),
        "open": ("medseg.review.opening", "open_review"),
        "review": ("medseg.review.review_page", "review"),
        "status": ("medseg.review.review_status", "status"),
    }

    def __getattr__(name: str) -> object:
        if name in _PLACES:
            from importlib import import_module

            module, attribute = _PLACES[name]
            return getattr(import_module(module), attribute)
        raise AttributeError(f"module 'medseg.review' has no attribute '{name}'")
