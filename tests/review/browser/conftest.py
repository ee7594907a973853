"""One case served to those tests of the page that need no more."""

import pytest
from review.browser.phantoms import phantoms, write_results
from review.browser.served import Window, serving


@pytest.fixture(scope="session")
def logic(browser, tmp_path_factory):
    """A window whose modules are tried one by one; nothing is drawn in it."""
    folder = tmp_path_factory.mktemp("logic")
    results, scans = write_results(folder, phantoms()[:1])
    with serving(results, scans) as address:
        yield Window.open(browser.new_context(), address)
