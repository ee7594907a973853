"""The page's own arithmetic, run in the browser and held against numpy, scipy, scikit-image and nibabel."""

import base64

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import points_in_poly

SHAPE = (9, 8, 7)  # X, Y, Z
# Makes labels of pens given as a flat list, x fastest, and an edit without rules.
SETUP = """
    const at = (name) => import(new URL(name, document.querySelector('script[type=module]').src))
    const { encode } = await at('runs.js')
    const { Labels } = await at('labels.js')
    const { Edit, History } = await at('history.js')
    const { PLANES } = await at('anatomy.js')
    const make = (pens, dims) => {
      const plane = dims[0] * dims[1]
      const all = Uint8Array.from(pens)
      const slices = Array.from({ length: dims[2] }, (_, z) => encode(all, z * plane, (z + 1) * plane))
      return new Labels(dims, 3, slices)
    }
    const labels = make(given.pens, given.dims)
    const history = new History(labels)
    const free = { allows: () => true }
    const { Brush } = await at('brush.js')
    const apply = (act, rules = free) => {
      const edit = new Edit(labels, rules)
      const result = act(edit)
      const change = edit.done()
      if (change) history.record(change)
      return result
    }
"""


def flat(array):
    return array.ravel(order="F").tolist()


def shaped(values, shape=SHAPE):
    return np.asarray(values).reshape(shape, order="F")


def blobs(seed, shape=SHAPE, pens=3):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.random((pens + 1, *shape)), (0, 1, 1, 1))
    return smooth.argmax(axis=0)


def edited(logic, module, code, labels, **given):
    """Labels after one edit in the page, and what the edit returned."""
    answer = "[[...labels.pens], result ?? null, [...labels.counts]]"
    run = f"{SETUP} const result = apply((edit) => {{ {code} }}); return {answer}"
    pens, result, counts = logic.module(module, run, {"pens": flat(labels), "dims": labels.shape, **given})
    after = shaped(pens, labels.shape)
    assert counts == np.bincount(after.ravel(), minlength=4).tolist(), "live volumes are those of the labels"
    return after, result


def test_a_header_is_read_as_nibabel_reads_it_and_written_bit_by_bit(logic):
    affine = np.array([[-0.7, 0.11, 0.2, 13.7], [0.1, 1.3, -0.3, -201.123], [0.2, 0.31, 4.9, 77.7], [0, 0, 0, 1]])
    image = nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), affine)
    image.header.set_slope_inter(2.0, -3.0)
    written = image.to_bytes()[:352]
    code = """
      const bytes = Uint8Array.from(atob(given), (c) => c.charCodeAt(0))
      const header = m.readHeader(bytes.buffer)
      const wide = m.labelHeader(header, 300)
      return [header.dims, header.affine, header.slope, header.intercept, [...wide.bytes], wide.Values.name,
              m.labelHeader(header, 255).Values.name]
    """
    dims, rows, slope, intercept, bytes_, wide, narrow = logic.module(
        "nifti.js", code, base64.b64encode(written).decode()
    )
    assert (dims, slope, intercept, wide, narrow) == ([5, 6, 7], 2.0, -3.0, "Uint16Array", "Uint8Array")
    assert np.array_equal(rows, image.affine.astype(np.float32)[:3])
    labels = nib.Nifti1Image.from_bytes(bytes(bytes_) + bytes(2 * 5 * 6 * 7))
    assert labels.get_data_dtype() == np.uint16
    assert labels.affine.tobytes() == nib.Nifti1Image.from_bytes(image.to_bytes()).affine.tobytes()


@pytest.mark.parametrize("broken", ["", "bm90IGEgbmlmdGk="])
def test_what_is_no_nifti_is_said(logic, broken):
    code = """
      const { buffer } = Uint8Array.from(atob(given), (c) => c.charCodeAt(0))
      try { m.readHeader(buffer); return '' } catch (error) { return error.message }
    """
    assert "NIfTI" in logic.module("nifti.js", code, broken)


@pytest.mark.parametrize("most", [0, 12])
def test_slabs_come_nearest_the_crosshair_first_and_cover_every_slice_once(logic, most):
    code = """
      const slabs = m.cut(37, 100, 450)
      const all = slabs.map(String).join(';')
      const order = []
      while (slabs.length) order.push(m.takeNearest(slabs, 20, given))
      return [all, order]
    """
    every, order = logic.module("slabs.js", code, most)
    cuts = [tuple(map(int, slab.split(","))) for slab in every.split(";")]
    assert [z for first, end in cuts for z in range(first, end)] == list(range(37))
    assert order[0][0] <= 20 < order[0][1]
    distances = [max(first - 20, 20 - end + 1, 0) for first, end in order]
    assert distances == sorted(distances)
    assert sorted(z for first, end in order for z in range(first, end)) == list(range(37))
    assert max(end - first for first, end in order) == max(4, most)


def test_only_the_first_slabs_are_asked_for_until_they_are_on_screen(logic):
    code = """
      const asked = []
      const real = window.fetch
      window.fetch = async (address, { headers }) => {
        const [from, to] = headers.Range.slice(6).split('-').map(Number)
        asked.push(to - from + 1)
        return new Response(new Uint8Array(to - from + 1), { status: 206 })
      }
      try {
        const [slices, sliceBytes] = [40, 1 << 20]
        const header = { dims: [1024, 1024, slices], Values: Uint8Array, offset: 0 }
        const came = []
        let drawn
        const wait = new Promise((done) => (drawn = done))
        const reading = m.readSlabs('scan', header, m.cut(slices, sliceBytes), {
          target: (first, end) => new Uint8Array((end - first) * sliceBytes),
          place: (first, values) => { for (let z = 0; z < values.length / sliceBytes; z += 1) came.push(first + z) },
          near: () => 20,
          onScreen: () => wait,
        })
        await new Promise((done) => setTimeout(done, 300))
        const before = asked.reduce((sum, bytes) => sum + bytes, 0)
        drawn()
        await reading
        return [before / (slices * sliceBytes), came.sort((a, b) => a - b)]
      } finally {
        window.fetch = real
      }
    """
    before, came = logic.module("slabs.js", code, None)
    assert 0 < before < 0.2
    assert came == list(range(40))


def test_runs_of_labels_come_back_as_they_were(logic):
    values = blobs(1).ravel(order="F").tolist()
    code = """
      const from = Uint16Array.from(given)
      const runs = m.encode(from, 3, given.length - 2)
      const back = new Uint16Array(given.length)
      m.decode(runs, back, 3)
      const counts = new Float64Array(4)
      m.count(runs, counts)
      return [[...back], [...counts]]
    """
    back, counts = logic.module("runs.js", code, values)
    assert back == [0, 0, 0, *values[3:-2], 0, 0]
    assert counts == np.bincount(values[3:-2], minlength=4).tolist()


def test_undo_and_redo_lead_through_every_state(logic):
    code = (
        SETUP
        + """
      const states = [[...labels.pens]]
      let seed = 7
      const random = (n) => (seed = (seed * 48271) % 2147483647) % n
      for (let step = 0; step < 20; step++) {
        const pen = random(4)
        apply((edit) => { for (let n = 0; n < 40; n++) edit.put(random(labels.pens.length), pen) })
        states.push([...labels.pens])
      }
      const steps = history.past.length
      let wrong = 0
      const differs = (n) => String(states[n]) !== String([...labels.pens])
      for (let n = states.length - 2; n >= 0; n--) { history.undo(); wrong += differs(n) }
      const before = history.undo()
      for (let n = 1; n < states.length; n++) { history.redo(); wrong += differs(n) }
      const slices = labels.snapshot().length
      return [steps, wrong, before, history.redo(), slices]
    """
    )
    labels = blobs(2)
    assert logic.module("runs.js", code, {"pens": flat(labels), "dims": labels.shape}) == [
        20,
        0,
        False,
        False,
        SHAPE[2],
    ]


def test_a_change_of_a_million_voxels_is_a_few_bytes(logic):
    code = """
      const writer = new m.ChangeWriter()
      for (let i = 0; i < 1e6; i++) writer.add(3e9 + i, 65535, 300)
      const change = writer.done()
      const read = []
      m.readChange(change, (...run) => read.push(run))
      return [change.bytes.length, change.voxels, read]
    """
    size, voxels, read = logic.module("runs.js", code)
    assert size < 32
    assert (voxels, read) == (1_000_000, [[3_000_000_000, 1_000_000, 65535, 300]])


def test_what_is_saved_is_what_was_drawn(logic):
    labels, values = blobs(3), [0, 7, 300, 65535]
    image = nib.Nifti1Image(labels.astype(np.int16), np.diag([1.1, 2.2, 3.3, 1]))
    code = (
        SETUP
        + """
      const { readHeader } = await at('nifti.js')
      const header = readHeader(Uint8Array.from(atob(given.header), (c) => c.charCodeAt(0)).buffer)
      const blob = await m.pack(labels.snapshot(), header, given.values, labels.plane)
      const bytes = await new Response(blob.stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer()
      return btoa(String.fromCharCode(...new Uint8Array(bytes)))
    """
    )
    given = {
        "pens": flat(labels), "dims": labels.shape, "values": values,
        "header": base64.b64encode(image.to_bytes()[:352]).decode(),
    }  # fmt: skip
    saved = nib.Nifti1Image.from_bytes(base64.b64decode(logic.module("saving.js", code, given)))
    assert np.array_equal(np.asarray(saved.dataobj), np.asarray(values)[labels])
    assert saved.affine.tobytes() == nib.Nifti1Image.from_bytes(image.to_bytes()).affine.tobytes()


def test_distances_are_those_of_scipy(logic):
    rng = np.random.default_rng(4)
    mask = rng.random((11, 14)) > 0.8  # rows v, columns u
    code = "return [...m.distanceTo(Uint8Array.from(given.flat()), 1, 14, 11, [0.7, 2.5])]"
    found = np.reshape(logic.module("distance.js", code, mask.astype(int).tolist()), mask.shape)
    assert np.allclose(found, ndimage.distance_transform_edt(~mask, sampling=(2.5, 0.7)))


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.7, 0.7, 5.0), (1.0, 2.0, 1.0)])
def test_grow_and_shrink_are_a_ball_of_the_smallest_spacing(logic, spacing):
    labels = blobs(5)
    offsets = np.indices((3, 3, 3)) - 1
    ball = np.linalg.norm(offsets * np.reshape(spacing, (3, 1, 1, 1)), axis=0) <= min(spacing) * (1 + 1e-6)
    grown, _ = edited(logic, "tools/margin.js", "m.grow(edit, labels, 2, given.spacing)", labels, spacing=spacing)
    more = ndimage.binary_dilation(labels == 2, ball) & (labels == 0)
    assert np.array_equal(grown, np.where(more, 2, labels))
    shrunk, _ = edited(logic, "tools/margin.js", "m.shrink(edit, labels, 2, given.spacing)", labels, spacing=spacing)
    kept = ndimage.binary_erosion(labels == 2, ball, border_value=1)
    assert np.array_equal(shrunk, np.where((labels == 2) & ~kept, 0, labels))


def test_islands_are_connected_components(logic):
    labels = (blobs(6, pens=1) > 0).astype(int) * 2
    parts, count = ndimage.label(labels)
    assert count > 1
    start = tuple(int(i) for i in np.argwhere(parts == 1)[0])
    for name, expected in (("keepIsland", parts == 1), ("removeIsland", parts > 1)):
        after, pen = edited(logic, "tools/island.js", f"return m.{name}(edit, labels, given.at)", labels, at=start)
        assert pen == 2
        assert np.array_equal(after > 0, expected), name
    empty = tuple(int(i) for i in np.argwhere(labels == 0)[0])
    after, pen = edited(logic, "tools/island.js", "return m.keepIsland(edit, labels, given.at)", labels, at=empty)
    assert pen == 0
    assert np.array_equal(after, labels)


LASSO = """
    const { u, v, k } = PLANES[given.plane ?? 0]
    for (const outline of given.outlines) {
      const lasso = new m.Lasso(edit, labels, PLANES[given.plane ?? 0], ++given.pen)
      const voxel = [0, 0, 0]
      voxel[k] = 6
      for (const spot of outline) lasso.to(voxel, spot)
      lasso.end()
    }
"""


@pytest.mark.parametrize("plane", [0, 1, 2])
def test_the_lasso_fills_the_voxels_whose_centers_lie_inside(logic, plane):
    shape = (16, 15, 14)
    outline = [(3.2, 2.1), (4.4, 9.3), (9.1, 12.7), (11.3, 5.2), (7.6, 4.4)]
    given = {"plane": plane, "outlines": [outline], "pen": 0}
    after, _ = edited(logic, "tools/lasso.js", LASSO, np.zeros(shape, int), **given)
    k = (2, 1, 0)[plane]
    drawn = np.moveaxis(after, k, 0)
    assert not drawn[[n for n in range(shape[k]) if n != 6]].any()
    inside = points_in_poly(np.argwhere(np.ones(drawn.shape[1:], bool)), outline).reshape(drawn.shape[1:])
    assert inside.sum() > 30
    assert np.array_equal(drawn[6] > 0, inside)


@pytest.mark.parametrize("left", [3.0, 3.3, 3.31, 3.5, 3.99])
def test_a_straight_edge_of_a_lasso_is_straight_and_shared_by_no_two(logic, left):
    """A mouse that goes up and down one line, at uneven steps, and two rectangles on both sides of it."""
    rows = np.linspace(2.0, 11.0, 27)
    edge = [(left, float(v)) for v in rows]
    outlines = [[(9.5, 2.0), *edge, (9.5, 11.0)], [(0.5, 2.0), *edge, (0.5, 11.0)]]
    after, _ = edited(logic, "tools/lasso.js", LASSO, np.zeros((16, 15, 14), int), outlines=outlines, pen=0)
    expected = np.zeros((16, 15), int)
    expected[1 : int(np.ceil(left)), 2:11], expected[int(np.ceil(left)) : 10, 2:11] = 2, 1
    assert np.array_equal(after[..., 6], expected)


def test_the_smallest_brush_is_one_voxel_and_a_size_is_a_diameter_in_mm(logic):
    code = """
      const spacing = [0.7, 0.7, 5]
      const brush = new m.Brush(spacing)
      const { PLANES } = await import(new URL('anatomy.js', document.querySelector('script[type=module]').src))
      for (let n = 0; n < 40; n++) brush.smaller()
      const one = PLANES.map((plane) => m.footprint(brush, spacing, plane).length)
      brush.set(7)
      const discs = PLANES.map((plane) => m.footprint(brush, spacing, plane))
      brush.ball = true
      return [brush.unit, one, discs, m.footprint(brush, spacing, PLANES[0]).length]
    """
    unit, one, discs, ball = logic.module("brush.js", code)
    assert (unit, one) == (0.7, [1, 1, 1])
    u, v = np.meshgrid(np.arange(-9, 10), np.arange(-9, 10))
    for disc, (su, sv) in zip(discs, [(0.7, 0.7), (0.7, 5), (0.7, 5)], strict=True):
        assert len(disc) == np.count_nonzero(np.hypot(u * su, v * sv) <= 3.5 * (1 + 1e-6))
    assert ball == len(discs[0])  # slices 5 mm apart are beyond its radius


def test_a_fast_stroke_has_no_gaps(logic):
    code = """
      const brush = new Brush([1, 1, 1])
      brush.diameter = 1
      const pen = new m.Pen(edit, labels, PLANES[0], brush, [1, 1, 1], 1)
      for (const voxel of [[1, 2, 3], [14, 7, 3], [2, 12, 3]]) pen.to(voxel)
    """
    after, _ = edited(logic, "tools/pen.js", code, np.zeros((16, 15, 5), int))
    assert after[1, 2, 3] == after[14, 7, 3] == after[2, 12, 3] == 1
    assert ndimage.label(after, np.ones((3, 3, 3)))[1] == 1


def test_fill_between_slices_makes_a_cone_of_two_discs(logic):
    x, y = np.indices((40, 40))
    labels = np.zeros((40, 40, 11), int)
    for z, center, radius in ((1, (12, 14), 10), (9, (22, 20), 4)):
        labels[..., z] = np.hypot(x - center[0], y - center[1]) <= radius
    code = "return m.fillBetween(edit, labels, PLANES[0], given.at, 1, [1, 1, 1])"
    for at in (5, 1, 9):
        after, gaps = edited(logic, "tools/between.js", code, labels, at=at)
        assert gaps == [[1, 9]]
        for z in range(2, 9):
            t = (z - 1) / 8
            radius, middle = 10 - 6 * t, (12 + 10 * t, 14 + 6 * t)
            assert np.count_nonzero(after[..., z]) == pytest.approx(np.pi * radius**2, rel=0.12)
            assert np.argwhere(after[..., z]).mean(axis=0) == pytest.approx(middle, abs=0.6)
    assert edited(logic, "tools/between.js", code, labels, at=10)[1] == []
    assert edited(logic, "tools/between.js", code, labels * 0, at=5)[1] == []


# A class that is on every slice of 11, too small; some are drawn anew.
REDRAWN = """
    for (const k of given.drawn) {
      apply((edit) => {
        for (let v = 2; v < 12; v++) for (let u = 2; u < 12; u++) edit.put(labels.index([u, v, k]), 1)
      })
      history.past.at(-1).drawnAcross = 2
    }
    const drawn = [() => m.slicesDrawn(history.past, labels, PLANES[0], 1)]
    return m.fillBetween(edit, labels, PLANES[0], given.at, 1, [1, 1, 1], { drawn })
"""


def test_fill_between_replaces_the_class_between_slices_that_were_drawn_on(logic):
    labels = np.zeros((16, 15, 11), int)
    labels[0:5, 0:5], labels[13, 13] = 1, 2
    square = np.zeros((16, 15), int)
    square[2:12, 2:12] = 1
    for at, gaps in ((3, [[1, 5]]), (1, [[1, 5]]), (5, [[1, 5], [5, 9]]), (8, [[5, 9]]), (10, []), (0, [])):
        after, found = edited(logic, "tools/between.js", REDRAWN, labels, drawn=[5, 1, 9], at=at)
        assert found == gaps, at
        filled = {k for low, high in gaps for k in range(low + 1, high)}
        for k in range(11):
            expected = labels[..., k] if k not in {1, 5, 9} else np.maximum(labels[..., k], square)
            if k not in filled:
                assert np.array_equal(after[..., k], expected), (at, k)
            else:
                low, high = next(gap for gap in gaps if gap[0] < k < gap[1])
                assert np.array_equal(after[..., k], after[..., low]), (at, k)
                assert np.array_equal(after[..., k], after[..., high]), (at, k)


def test_slices_that_a_saved_correction_differs_in_count_as_drawn_on(logic):
    code = """
      const model = make(given.model, given.dims).snapshot()
      const own = labels.snapshot()
      const found = [2, 1, 0].map((axis) => [...m.slicesThatDiffer(own, model, labels, axis, 1)].sort((a, b) => a - b))
      return [found, [...m.slicesThatDiffer(model, model, labels, 2, 1)]]
    """
    model, labels = blobs(9), blobs(9)
    labels[2, 3, 4], labels[5, 6, 1] = 1 + (labels[2, 3, 4] == 1), 1 + (labels[5, 6, 1] == 1)
    differs = np.argwhere((labels == 1) != (model == 1))
    assert len(differs) == 2
    _, (found, same) = edited(logic, "tools/between.js", code, labels, model=flat(model))
    assert found == [sorted(set(differs[:, axis].tolist())) for axis in (2, 1, 0)]
    assert same == []


SPLIT = """
    labels.ids = Int32Array.from(given.pens, (pen) => (pen ? 7 : 0))
    labels.lastId = 7
    const stroke = new m.Split(edit, labels, PLANES[0])
    for (const [x, y] of given.stroke) stroke.to([x, y, 0])
    return [stroke.end(), [...labels.ids], m.FEWEST]
"""


@pytest.mark.parametrize(
    ("stroke", "sizes", "said"),
    [
        ([(3, -1), (3, 9)], [40, 20], "split into parts of"),  # left three columns of ten; what is cut joins a side
        ([(0, 1), (1, 1), (1, 0)], [60], "fewer than 5 voxels"),  # one voxel in the corner
        ([(2, 2), (3, 3)], [60], "does not cut the object in two"),
        ([(11, 0), (11, 7)], [60], "passes no object"),
    ],
)
def test_a_split_makes_no_object_of_a_few_voxels_and_says_what_it_did(logic, stroke, sizes, said):
    labels = np.zeros((13, 10, 1), int)
    labels[:10, :6] = 1
    stroke = [(x, min(max(y, 0), 9)) for x, y in stroke]
    _, (told, ids, fewest) = edited(logic, "tools/objects.js", SPLIT, labels, stroke=stroke)
    found = np.bincount(ids)
    assert fewest == 5
    assert said in (told.get("done") or told.get("nothing"))
    parts = sorted(found[7:][found[7:] > 0].tolist(), reverse=True)
    assert sum(parts) == sum(sizes)
    assert len(parts) == len(sizes)
    assert min(parts) >= 5


def test_objects_are_counted_as_they_are_drawn_undone_and_taken_away(logic):
    code = """
      const plane = given.dims[0] * given.dims[1]
      const ids = Int32Array.from(given.ids)
      const runs = Array.from({ length: given.dims[2] }, (_, z) => encode(ids, z * plane, (z + 1) * plane))
      const own = new Labels(given.dims, 3, labels.snapshot(), runs)
      const counts = () => [...own.objectCounts]
      const past = new History(own)
      const states = [counts()]
      for (const [index, pen, id] of given.steps) {
        const one = new Edit(own, free, id)
        for (const i of index) one.put(i, pen)
        past.record(one.done())
        states.push(counts())
      }
      while (past.undo());
      return [states, counts()]
    """
    labels = np.zeros((9, 8, 1), int)
    labels[:2, :2], labels[4:6, :2], labels[0, 5] = 1, 1, 2
    ids = np.zeros_like(labels)
    ids[:2, :2], ids[4:6, :2], ids[0, 5] = 1, 2, 3
    place = {n: np.flatnonzero(ids.ravel(order="F") == n).tolist() for n in (1, 2, 3)}
    steps = [(place[2], 1, 1), ([70], 1, 9), (place[3], 0, 0), (place[1][:2], 2, 4)]
    _, (states, back) = edited(logic, "labels.js", code, labels, ids=flat(ids), steps=steps)
    assert states == [[0, 2, 1, 0], [0, 1, 1, 0], [0, 2, 1, 0], [0, 2, 0, 0], [0, 2, 1, 0]]
    assert back == states[0]


def test_rules_hold_for_every_tool(logic):
    """Limits on the scan's values, one class to draw over, and locks."""
    labels = blobs(8)
    values = np.arange(labels.size)
    code = (
        SETUP
        + """
      const rules = new m.Rules({ value: (i) => (i === 5 ? NaN : i), has: (i) => i !== 6 })
      const all = (pen) => {
        given.pens.forEach((before, i) => labels.set(i, before))
        apply((edit) => { for (let i = 0; i < labels.pens.length; i++) edit.put(i, pen) }, rules)
        return [...labels.pens]
      }
      rules.limits = [2, 99]
      const limited = all(1)
      rules.limits = null; rules.over = 2
      const over = all(1)
      const erased = all(0)
      rules.over = null; rules.locked.add(3)
      return [limited, over, erased, all(1), all(3)]
    """
    )
    found = logic.module("rules.js", code, {"pens": flat(labels), "dims": labels.shape})
    before = np.array(flat(labels))
    limited = (values >= 2) & (values <= 99) & (values != 5) & (values != 6)
    for after, expected in zip(
        found,
        [
            np.where(limited, 1, before),
            np.where(before == 2, 1, before),
            np.where(before == 2, 0, before),
            np.where(before == 3, 3, 1),
            before,
        ],
        strict=True,
    ):
        assert after == expected.tolist()


def test_back_to_the_models_labels(logic):
    labels, model = blobs(9), blobs(10)
    code = "m.revert(edit, labels, make(given.model, given.dims).snapshot())"
    after, _ = edited(logic, "tools/revert.js", code, labels, model=flat(model))
    assert np.array_equal(after, model)


def test_outlines_enclose_exactly_the_voxels(logic):
    labels = blobs(11)[..., 3]  # (width, height)
    code = "return [...m.outlines({ pens: Uint8Array.from(given.pens), width: given.width, height: given.height })]"
    given = {"pens": flat(labels), "width": labels.shape[0], "height": labels.shape[1]}
    found = dict(logic.module("outline.js", code, given))
    for pen in (1, 2, 3):
        padded = np.pad(labels == pen, 1)
        edges = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(padded[:, 1:] != padded[:, :-1])
        assert sum(abs(x1 - x0) + abs(y1 - y0) for x0, y0, x1, y1 in found.get(pen, [])) == edges


def test_letters_of_an_oblique_plane_name_both_directions(logic):
    code = "return [m.letters([0.95, 0.2, 0]), m.letters([-0.8, 0, 0.6]), m.letters([0, -1, 0])]"
    assert logic.module("anatomy.js", code) == ["R", "LS", "P"]


def test_links_lead_back_to_their_place(logic):
    code = """
      const link = m.writeLink('a b/ö#1', [3, 4, 5], [-160, 240.5])
      return [link, m.readLink(link), m.readLink('#case=x&voxel=1,2&window=a,b')]
    """
    address, back, broken = logic.module("link.js", code)
    assert "#" not in address[1:]
    assert back == {"id": "a b/ö#1", "voxel": [3, 4, 5], "window": [-160, 240.5]}
    assert broken == {"id": "x", "voxel": None, "window": None}


def test_volumes_are_written_as_people_read_them(logic):
    code = "return given.map(([voxels, ml]) => m.format(voxels, ml))"
    given = [[0, 1e-3], [1, 1e-3], [1, 8.2e-4], [12, 1e-3], [1834, 1e-3], [1_234_567, 1e-3], [1, 1e-6], [7, None]]
    assert logic.module("class_panel.js", code, given) == [
        "0 ml", "0.0010 ml", "0.00082 ml", "0.012 ml", "1.83 ml", "1235 ml", "1.0e-6 ml", "7 vx",
    ]  # fmt: skip


def test_the_worklist_is_searched_and_filtered(logic):
    code = """
      const row = (id, state, warnings = [], isCorrected = false) =>
        ({ id, state, warnings, isCorrected, isJudged: state === 'accepted' || state === 'rejected' })
      const rows = [row('liver 1', 'open', ['touches the border']), row('liver 2', 'accepted'),
                    row('head', 'rejected', [], true), row('old', 'open, model changed')]
      const ids = (filter, search = '') => m.select(rows, filter, search).map(({ id }) => id)
      return [ids('all'), ids('open'), ids('warnings'), ids('corrected'), ids('all', 'LIVER border'),
              ids('accepted', 'head')]
    """
    assert logic.module("worklist.js", code) == [
        ["liver 1", "liver 2", "head", "old"], ["liver 1", "old"], ["liver 1"], ["head"], ["liver 1"], [],
    ]  # fmt: skip


def test_after_a_case_the_next_open_one_comes_and_the_first_after_the_last(logic):
    code = """
      const rows = given.map(([id, isJudged]) => ({ id, isJudged }))
      const next = (id, shown = rows) => m.nextOpen(rows, shown, id)?.id ?? null
      const [two, judged] = [rows.slice(0, 2), rows.slice(1, 2)]
      return [next('a'), next('b'), next('d'), next('c', two), next('b', judged), next('unknown')]
    """
    given = [["a", False], ["b", True], ["c", False], ["d", True]]
    assert logic.module("worklist.js", code, given) == ["c", "c", "a", "a", None, "a"]


def test_places_have_the_patients_sides_and_sentences_a_capital(logic):
    code = "return given.map((world) => m.sided(world))"
    given = [[12, -3.44, 5.6], [-0.04, 0, -0.06], [-1, 2, -3]]
    assert logic.module("anatomy.js", code, given) == ["R 12.0 P 3.4 S 5.6", "R 0.0 A 0.0 I 0.1", "L 1.0 A 2.0 I 3.0"]
    code = "return given.map((text) => m.sentence(text))"
    given = ["there is no verdict.", "a.nii.gz is gone.", "If-Match must be", "", "ids of shape"]
    said = ["There is no verdict.", "a.nii.gz is gone.", "If-Match must be", "", "Ids of shape"]
    assert logic.module("api.js", code, given) == said
