// Fill between slices: shape-based interpolation of one class (Raya and Udupa, 1990), shifted with the shape's center
// so that a shape that moves from slice to slice stays whole.

import { signedDistance } from '../distance.js'

/** One class in one slice of a plane; null where there is none. */
export function sliceMask(labels, plane, k, pen) {
  const { dims, pens, steps } = labels
  const [width, height] = [dims[plane.u], dims[plane.v]]
  const mask = new Uint8Array(width * height)
  let voxels = 0
  let [sumU, sumV] = [0, 0]
  for (let v = 0, j = 0; v < height; v++) {
    let i = k * steps[plane.k] + v * steps[plane.v]
    for (let u = 0; u < width; u++, i += steps[plane.u], j++) {
      if (pens[i] !== pen) continue
      mask[j] = 1
      voxels++
      sumU += u
      sumV += v
    }
  }
  return voxels ? { mask, center: [sumU / voxels, sumV / voxels] } : null
}

/** The drawn slices on both sides of the gap at or beside a slice: [below, above], or null without a gap. */
export function findGap(isDrawn, at, slices) {
  const reach = (from, step) => {
    let k = from
    while (k >= 0 && k < slices && !isDrawn(k)) k += step
    return k >= 0 && k < slices ? k : null
  }
  if (!isDrawn(at)) {
    const [below, above] = [reach(at, -1), reach(at, 1)]
    return below === null || above === null ? null : [below, above]
  }
  // On a drawn slice: the gap it borders on, looking first toward lower slices.
  for (const step of [-1, 1]) {
    const next = at + step
    if (next < 0 || next >= slices || isDrawn(next)) continue
    const other = reach(next, step)
    if (other !== null) return step < 0 ? [other, at] : [at, other]
  }
  return null
}

/** Draw a class into the gap around a slice; returns the number of slices filled, 0 without a gap. */
export function fillBetween(edit, labels, plane, at, pen, spacing) {
  const { dims, steps } = labels
  const known = new Map()
  const mask = (k) => {
    if (!known.has(k)) known.set(k, sliceMask(labels, plane, k, pen))
    return known.get(k)
  }
  const gap = findGap((k) => mask(k) !== null, at, dims[plane.k])
  if (!gap) return 0
  const [width, height] = [dims[plane.u], dims[plane.v]]
  const size = [spacing[plane.u], spacing[plane.v]]
  const ends = gap.map((k) => ({ ...mask(k), distance: signedDistance(mask(k).mask, width, height, size) }))
  for (let k = gap[0] + 1; k < gap[1]; k++) {
    const t = (k - gap[0]) / (gap[1] - gap[0])
    const center = [0, 1].map((axis) => ends[0].center[axis] * (1 - t) + ends[1].center[axis] * t)
    const shifts = ends.map((end) => end.center.map((c, axis) => Math.round(c - center[axis])))
    const depth = (n, u, v) => {
      const [x, y] = [u + shifts[n][0], v + shifts[n][1]]
      return x < 0 || y < 0 || x >= width || y >= height ? -1e9 : ends[n].distance[y * width + x]
    }
    for (let v = 0; v < height; v++) {
      let i = k * steps[plane.k] + v * steps[plane.v]
      for (let u = 0; u < width; u++, i += steps[plane.u]) {
        if (depth(0, u, v) * (1 - t) + depth(1, u, v) * t > 0) edit.put(i, pen)
      }
    }
  }
  return gap[1] - gap[0] - 1
}
