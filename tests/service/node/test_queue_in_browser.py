"""The queue page in a real browser."""

from collections import Counter

from node_peers import arrival
from service.node.test_page import FAILED, REFUSED, yaml_of

from medseg.service.node.load import load_node
from medseg.service.node.page import QueuePage, serving_page


def test_the_queue_is_read_in_a_browser_without_a_complaint(browser, store, tmp_path, incoming):
    incoming.keep(arrival())
    store.change(FAILED)
    store.change(REFUSED)
    complaints, elsewhere = [], []
    with serving_page(
        QueuePage(store, load_node(yaml_of(tmp_path)), Counter(), lambda: True), ("127.0.0.1", 0)
    ) as address:
        page = browser.new_page(viewport={"width": 1000, "height": 700})
        page.on("console", lambda line: complaints.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda one: elsewhere.append(one.url) if not one.url.startswith(address) else None)
        page.goto(address)
        assert page.inner_text("h1") == "medseg node"
        failed = page.locator("#jobs tr", has_text="mr-1")
        assert failed.locator("td").all_inner_texts()[:3] == ["mr-1", "hippocampus", "failed"]
        assert "cut <b>off</b>. Copy it." in failed.inner_text()  # as text, not as markup
        assert page.locator("#jobs b").count() == 0
        assert "the archive rejected it (0x0110)" in page.locator("#undelivered").inner_text()
        # Styled, and no wider than the window.
        assert page.evaluate("getComputedStyle(document.querySelector('.bad')).color") == "rgb(198, 40, 40)"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        store.change("update jobs set state='done', error='', fix=''")
        page.reload()
        assert page.locator("#jobs td.good").inner_text() == "done"
    assert not [text for text in complaints if "favicon" not in text]
    assert not elsewhere
