"""What clients of the review page rely on: its states, its canvases, every key, and its HTTP paths."""

import gzip
import http.client
from urllib.parse import parse_qs, urlsplit

import nibabel as nib
import numpy as np
import pytest
from review.browser.phantoms import phantoms, write_results
from review.browser.served import Window, newest_labels, serving, until

from medseg.review.opening import open_store

CASES = phantoms()[5:8]  # the last is for requests alone
VIEW = {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_results(tmp_path_factory.mktemp("contract"), CASES)


@pytest.fixture(scope="module")
def address(folder):
    with serving(*folder) as printed:
        yield printed


@pytest.fixture
def window(browser, address):
    context = browser.new_context(viewport=VIEW)
    opened = Window.open(context, address)
    yield opened
    assert not opened.complaints
    context.close()


def picture(window, plane="axial"):
    return window.page.evaluate("(plane) => document.querySelector(`canvas[data-plane=${plane}]`).toDataURL()", plane)


def shown(window):
    planes = ("axial", "coronal", "sagittal")
    return [plane for plane in planes if window.page.locator(f"canvas[data-plane={plane}]").is_visible()]


def drawn_at(window, results, voxel, key):
    """Draw one voxel at a place by keys, and read it from the file that is saved."""
    link = f"case={window.state('case')}&voxel={','.join(map(str, voxel))}&window=0,1200"
    window.go(link, window.state("case"))
    window.wait(voxel=",".join(map(str, voxel)))
    window.press(key, *"[[[[[[[[[[[[[[[", "Enter")
    window.save()
    return np.asarray(newest_labels(results, window.state("case")).dataobj)[voxel]


def test_states_links_canvases_and_every_key(window, folder):
    one, two, _ = CASES
    assert (window.state("ready"), window.state("case"), window.state("revision"), window.state("dirty")) == (
        "1", one.name, "0", "0",
    )  # fmt: skip
    assert window.page.locator("canvas[data-plane]").count() == 3
    for keys, planes in (("1", ["axial"]), ("2", ["coronal"]), ("3", ["sagittal"])):
        window.press(keys)
        assert shown(window) == planes
    window.press("0")
    assert shown(window) == ["axial", "coronal", "sagittal"]
    link = f"case={one.name}&voxel={','.join(map(str, one.marks[0]))}&window=0,1200"
    window.go(link, one.name)
    window.wait(voxel=",".join(map(str, one.marks[0])))
    window.press("c")
    window.page.evaluate("async () => { for (let n = 0; n < 3; n++) await new Promise(requestAnimationFrame) }")
    for key in ("o", " "):  # outlines, hidden labels: another picture, and the same again
        before = picture(window)
        window.press(key)
        until(lambda before=before: picture(window) != before)
        window.press(key)
        until(lambda before=before: picture(window) == before)
    for key, tool in (("w", "pen"), ("e", "eraser"), ("r", "lasso"), ("q", "crosshair")):
        window.press(key)
        assert window.page.locator("#tools button[aria-pressed=true]").first.inner_text().startswith(tool)
    window.press("w", "]")
    window.says("Brush: ")
    window.press(*"[[[[[[[[[[[[[[[")
    window.says("Brush: one voxel")
    for n, key in enumerate("456", start=1):
        assert drawn_at(window, folder[0], one.marks[n - 1], key) == n
    assert window.state("revision") == "3"
    window.press("z")
    window.wait(dirty="1")
    window.press("y")
    window.press("m")  # the model's labels again
    window.save()
    assert np.array_equal(np.asarray(newest_labels(folder[0], one.name).dataobj), one.labels)
    window.press("n")
    window.ready(two.name)
    window.press("p")
    window.ready(one.name)
    window.press("a")
    window.ready(two.name)
    window.press("p")
    window.ready(one.name)
    window.press("u")
    window.says("taken back")
    window.press("x", "1")
    window.ready(two.name)
    with open_store(folder[0]) as store:
        assert store.case(one.name).state == "rejected"


def test_i_fills_the_slices_between_two_that_are_drawn(window, folder):
    name = window.state("case")
    case = next(one for one in CASES if one.name == name)
    window.page.focus("canvas[data-plane=axial]")
    window.press("c", "4", "]", "]")
    window.press(*["ArrowUp"] * 5, "Enter", *["ArrowUp"] * 4, "Enter", "i")
    window.says("filled in the axial plane")
    window.save()
    saved = np.asarray(newest_labels(folder[0], name).dataobj)
    changed = np.argwhere(saved != case.labels)
    assert len({tuple(row) for row in changed}) > 0
    along = [axis for axis in range(3) if abs(case.affine[2, axis]) > 1]  # from foot to head
    assert len(np.unique(changed[:, along[0]])) == 5


class Http:
    """Requests with the cookie that the printed address is swapped for, and with headers of one's own."""

    def __init__(self, address):
        self.place = urlsplit(address)
        answer = self.ask("GET", f"/?{self.place.query}", cookie="")
        self.cookie = answer.headers["set-cookie"].split(";")[0]
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert parse_qs(self.place.query)

    def ask(self, method, path, body=None, *, cookie=None, **headers):
        connection = http.client.HTTPConnection(self.place.netloc, timeout=30)
        own = {"Cookie": self.cookie if cookie is None else cookie}
        connection.request(method, path, body, {**own, **{k.replace("_", "-"): v for k, v in headers.items()}})
        answer = connection.getresponse()
        answer.content = answer.read()
        return answer

    def put(self, case, body, revision, **headers):
        own = {"X_Medseg": "1", "If_Match": str(revision), **headers}
        return self.ask("PUT", f"/api/case/{case}/labels", body, **own).status


def test_paths_for_clients(address, folder):
    case, client = CASES[2], Http(address)
    assert client.ask("GET", "/api/worklist").status == 200
    assert client.ask("GET", f"/api/case/{case.name}").status == 200
    image = nib.Nifti1Image.from_bytes(client.ask("GET", f"/api/case/{case.name}/image").content)
    labels = nib.Nifti1Image.from_bytes(client.ask("GET", f"/api/case/{case.name}/labels").content)
    assert nib.aff2axcodes(labels.affine) == nib.aff2axcodes(image.affine) == ("R", "A", "S")
    stored = nib.as_closest_canonical(nib.Nifti1Image(case.labels, case.affine))
    array = np.array(np.asanyarray(labels.dataobj))
    assert np.array_equal(array, np.asanyarray(stored.dataobj))
    array[2, 3, 4] = 3

    def file(array, affine=labels.affine):
        return nib.Nifti1Image(array, affine).to_bytes()

    base = open_revision(client, case)
    assert client.put(case.name, file(array), base + 7) == 409
    assert client.put(case.name, file(array[1:]), base) == 422
    assert client.put(case.name, file(array, np.diag([1, 1, 1, 1.0])), base) == 422
    assert client.put(case.name, file(np.where(array == 3, 77, array).astype(np.uint8)), base) == 422
    assert client.put(case.name, gzip.compress(file(array)), base, Content_Encoding="gzip") == 200
    assert client.put(case.name, file(array), base + 1) == 200
    sent = nib.Nifti1Image.from_bytes(client.ask("GET", f"/api/case/{case.name}/labels").content)
    assert np.array_equal(np.asanyarray(sent.dataobj), array)
    path, json = f"/api/case/{case.name}/verdict", {"Content_Type": "application/json"}

    def judge(text, **headers):
        return client.ask("POST", path, text, **{**json, **headers}).status

    accept = f'{{"kind": "accept", "revision": {base + 2}, "reason": null, "comment": ""}}'
    assert judge(accept) == 403  # without its header
    assert judge(accept, X_Medseg="1", Origin="http://elsewhere.example") == 403
    assert judge(accept.replace(str(base + 2), str(base)), X_Medseg="1") == 409
    assert judge(accept, X_Medseg="1") == 200
    assert client.ask("GET", "/api/worklist", cookie="").status == 401
    assert client.ask("GET", "/api/worklist", Host="elsewhere.example").status == 421
    with open_store(folder[0]) as store:
        assert [column[1] for column in store.log.rows("pragma table_info(events)")] == [
            "n", "t", "who", "case_id", "kind", "body", "prev", "hash",
        ]  # fmt: skip


def open_revision(client, case):
    import json

    return int(json.loads(client.ask("GET", f"/api/case/{case.name}").content)["revision"])
