// Fill between slices: shape-based interpolation of one class (Raya and Udupa, 1990), shifted with the shape's center
// so that a shape that moves from slice to slice stays whole.

import { signedDistance } from '../distance.js'
import { decode, readChange } from '../runs.js'

const PENS = 65536 // of a voxel's state, see `Labels.state`

/** What belongs to it in one slice of a plane; null where there is none. */
export function sliceMask(labels, plane, k, belongs) {
  const { dims, steps } = labels
  const [width, height] = [dims[plane.u], dims[plane.v]]
  const mask = new Uint8Array(width * height)
  let voxels = 0
  let [sumU, sumV] = [0, 0]
  for (let v = 0, j = 0; v < height; v++) {
    let i = k * steps[plane.k] + v * steps[plane.v]
    for (let u = 0; u < width; u++, i += steps[plane.u], j++) {
      if (!belongs(i)) continue
      mask[j] = 1
      voxels++
      sumU += u
      sumV += v
    }
  }
  return voxels ? { mask, center: [sumU / voxels, sumV / voxels] } : null
}

/** The slices on which strokes in a plane changed a class, or one object of it. `past`: the changes of a history. */
export function slicesDrawn(past, labels, plane, pen, object = 0) {
  const isIt = (state) => state % PENS === pen && (!object || Math.floor(state / PENS) === object)
  const found = new Set()
  for (const change of past) {
    if (change.drawnAcross !== plane.k) continue
    readChange(change, (start, length, before, after) => {
      if (!isIt(before) && !isIt(after)) return
      for (let i = start; i < start + length; i++) found.add(labels.voxel(i)[plane.k])
    })
  }
  return found
}

/** The slices along an axis in which a class differs between two volumes, given as runs of axial slices. */
export function slicesThatDiffer(one, other, labels, axis, pen) {
  const { plane } = labels
  const found = new Set()
  if (one === other) return found
  const [a, b] = [new Uint16Array(plane), new Uint16Array(plane)]
  one.forEach((runs, z) => {
    decode(runs, a, 0)
    decode(other[z], b, 0)
    for (let i = 0; i < plane; i++) if ((a[i] === pen) !== (b[i] === pen)) found.add(labels.voxel(z * plane + i)[axis])
  })
  return found
}

/** The gaps between given slices at a slice: the one it lies in, or those on both sides of it; [below, above] each. */
export function gapsAt(isGiven, at, slices) {
  const reach = (from, step) => {
    let k = from
    while (k >= 0 && k < slices && !isGiven(k)) k += step
    return k >= 0 && k < slices ? k : null
  }
  const [below, above] = [reach(at - 1, -1), reach(at + 1, 1)]
  const pairs = isGiven(at) ? [[below, at], [at, above]] : [[below, above]]
  return pairs.filter(([from, to]) => from !== null && to !== null && to - from > 1)
}

/**
 * Redraw a class between the slices nearest to one that a person drew on; where there are none on both sides, in the gap
 * between slices that have the class. Returns the gaps, [below, above] each.
 *
 * `drawn`: functions that give sets of slices, the one to be asked first. `object`: which of several objects; 0 the whole
 * class, null the whole class of which nothing is taken away.
 */
export function fillBetween(edit, labels, plane, at, pen, spacing, { drawn = [], object = 0 } = {}) {
  const { dims, pens, ids } = labels
  const belongs = (index) => pens[index] === pen && (!object || ids[index] === object)
  const known = new Map()
  const mask = (k) => {
    if (!known.has(k)) known.set(k, sliceMask(labels, plane, k, belongs))
    return known.get(k)
  }
  const hasClass = (k) => mask(k) !== null
  const union = new Set()
  const byStrokes = (slices) => {
    for (const k of slices()) union.add(k)
    return gapsAt((k) => union.has(k), at, dims[plane.k]).filter((gap) => gap.every(hasClass))
  }
  const tries = [...drawn.slice(0, 1).map((slices) => () => byStrokes(slices)),
    () => gapsAt(hasClass, at, dims[plane.k]),
    ...drawn.slice(1).map((slices) => () => byStrokes(slices))]
  let gaps = []
  for (const find of tries) if (!gaps.length) gaps = find()
  const fills = gaps.map((gap) => interpolate(gap, gap.map(mask), plane, labels, spacing))
  for (const fill of fills) draw(edit, labels, fill, plane, pen, belongs, object !== null)
  return gaps
}

/** The shapes between two slices, as [slice, bytes]. */
function interpolate(gap, masks, plane, { dims }, spacing) {
  const [width, height] = [dims[plane.u], dims[plane.v]]
  const size = [spacing[plane.u], spacing[plane.v]]
  const ends = masks.map(({ mask, center }) => ({ center, distance: signedDistance(mask, width, height, size) }))
  return Array.from({ length: gap[1] - gap[0] - 1 }, (_, n) => {
    const t = (n + 1) / (gap[1] - gap[0])
    const center = [0, 1].map((axis) => ends[0].center[axis] * (1 - t) + ends[1].center[axis] * t)
    const shifts = ends.map((end) => end.center.map((c, axis) => Math.round(c - center[axis])))
    const depth = (end, u, v) => {
      const [x, y] = [u + shifts[end][0], v + shifts[end][1]]
      return x < 0 || y < 0 || x >= width || y >= height ? -1e9 : ends[end].distance[y * width + x]
    }
    const shape = new Uint8Array(width * height)
    for (let v = 0, j = 0; v < height; v++) {
      for (let u = 0; u < width; u++, j++) shape[j] = depth(0, u, v) * (1 - t) + depth(1, u, v) * t > 0 ? 1 : 0
    }
    return [gap[0] + 1 + n, shape]
  })
}

function draw(edit, { dims, steps, pens }, shapes, plane, pen, belongs, replaces) {
  for (const [k, shape] of shapes) {
    for (let v = 0, j = 0; v < dims[plane.v]; v++) {
      let i = k * steps[plane.k] + v * steps[plane.v]
      for (let u = 0; u < dims[plane.u]; u++, i += steps[plane.u], j++) {
        if (!shape[j]) replaces && belongs(i) && edit.put(i, 0)
        else if (pens[i] !== pen || belongs(i)) edit.put(i, pen) // another object of the class stays
      }
    }
  }
}
