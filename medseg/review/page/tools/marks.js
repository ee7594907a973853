// Marks: what a click or a stroke says of a class.

import { footprint } from '../brush.js'
import { line } from './pen.js'

const MOST_VOXELS = 20000 // of one mark, as the server takes them

/** A click marks one voxel, whatever the brush; a stroke all voxels under the brush along its way. */
export class Mark {
  /** `done(mark)`: called when the button is let go. */
  constructor(round, { brush, spacing }, plane, isOutside, done) {
    Object.assign(this, { round, plane, isOutside, done, first: null, last: null })
    this.indices = new Set()
    this.offsets = footprint(brush, spacing, plane)
  }

  to(voxel) {
    const { labels } = this.round
    if (!this.first) {
      this.first = voxel
      this.indices.add(labels.index(voxel))
    } else if (voxel.some((at, axis) => at !== this.last[axis])) {
      for (const center of line(this.last, voxel, this.plane)) this.cover(labels, center)
    }
    this.last = voxel
  }

  cover(labels, center) {
    const { plane } = this
    for (const [du, dv, dk] of this.offsets) {
      const at = [0, 0, 0]
      at[plane.u] = center[plane.u] + du
      at[plane.v] = center[plane.v] + dv
      at[plane.k] = center[plane.k] + dk
      const isInside = at.every((index, axis) => index >= 0 && index < labels.dims[axis])
      if (isInside && this.indices.size < MOST_VOXELS) this.indices.add(labels.index(at))
    }
  }

  end() {
    if (this.first) this.done(this)
  }

  /** The voxels that are marked, the first one first. */
  get voxels() {
    return [...this.indices].map((index) => this.round.labels.voxel(index))
  }
}

/** Indices of what marks say belongs and does not, the newest counting where they differ: [inside, outside]. */
export function marked(marks) {
  const kinds = new Map()
  for (const { indices, isOutside } of marks) for (const index of indices) kinds.set(index, isOutside)
  return [false, true].map((kind) => [...kinds].filter(([, isOutside]) => isOutside === kind).map(([index]) => index))
}

/** Marks of one class, or of one of its objects, that are answered together: each answer hears those before it. */
export class Round {
  /** `object`: its id, where there are objects; 0 until it is known. */
  constructor(labels, pen, { value, name }, object = 0) {
    Object.assign(this, { labels, pen, value, name, object })
    this.marks = []
    this.box = null // that the newest answer looked at
  }

  /** Marks up to one. */
  upTo(mark) {
    return this.marks.slice(0, this.marks.indexOf(mark) + 1)
  }

  remove(mark) {
    this.marks = this.marks.filter((one) => one !== mark)
  }

  /** Whether a voxel is of what the marks are about. */
  belongs(index) {
    const { labels, pen, object } = this
    return labels.pens[index] === pen && (!labels.ids || labels.ids[index] === object)
  }
}
