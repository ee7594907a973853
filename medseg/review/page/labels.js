// The labels that are being corrected. A voxel holds a pen: 0 for background, n for the n-th class of the table.

import { allocate, free, recycle } from './memory.js'
import { count, decode, encode } from './runs.js'

/** The type that holds so many pens. */
export const pensFor = (classes) => (classes < 256 ? Uint8Array : Uint16Array)

const PENS = 65536 // more than there are classes

export class Labels {
  /**
   * `slices`: the runs of every axial slice, shared with whoever gave them and never changed. `idSlices`: those of the
   * ids of objects, where the model makes objects; 0 is none.
   */
  constructor(dims, classes, slices, idSlices = null) {
    this.dims = dims
    this.plane = dims[0] * dims[1]
    this.steps = [1, dims[0], this.plane]
    this.slices = slices.slice()
    this.pens = allocate('labels', pensFor(classes), this.plane * dims[2])
    this.counts = new Float64Array(classes + 1)
    slices.forEach((runs, z) => {
      decode(runs, this.pens, z * this.plane)
      count(runs, this.counts)
    })
    this.ids = idSlices && new Int32Array(this.plane * dims[2])
    idSlices?.forEach((runs, z) => decode(runs, this.ids, z * this.plane))
    this.sizes = new Map() // voxels by state, of objects
    this.objectCounts = new Float64Array(classes + 1) // objects by pen
    this.ids?.forEach((id, index) => id && this.tally(this.state(index), 1))
    this.lastId = (idSlices ?? []).reduce((most, { values }) => values.reduce((a, b) => Math.max(a, b), most), 0)
  }

  /** Pen and id of a voxel as one number, for history. */
  state(index) {
    return this.ids ? this.ids[index] * PENS + this.pens[index] : this.pens[index]
  }

  /** Set a voxel to what `state` gave. */
  restore(index, state) {
    this.set(index, state % PENS, Math.floor(state / PENS))
  }

  /** An id that no object has. */
  newId() {
    return ++this.lastId
  }

  index(voxel) {
    return voxel[0] + this.dims[0] * (voxel[1] + this.dims[1] * voxel[2])
  }

  voxel(index) {
    const inPlane = index % this.plane
    return [inPlane % this.dims[0], Math.floor(inPlane / this.dims[0]), Math.floor(index / this.plane)]
  }

  set(index, pen, id = 0) {
    if (this.ids) {
      this.tally(this.state(index), -1)
      this.tally(id * PENS + pen, 1)
      this.ids[index] = id
    }
    this.counts[this.pens[index]]--
    this.counts[pen]++
    this.pens[index] = pen
    this.slices[Math.floor(index / this.plane)] = null
  }

  /** Count voxels of an object; the first makes it one more, the last one less. */
  tally(state, voxels) {
    if (state < PENS) return
    const before = this.sizes.get(state) ?? 0
    const now = before + voxels
    now ? this.sizes.set(state, now) : this.sizes.delete(state)
    this.objectCounts[state % PENS] += Number(now > 0) - Number(before > 0)
  }

  /** The runs of every slice as they are now; only slices changed since the last time are gone through. */
  snapshot() {
    for (let z = 0; z < this.dims[2]; z++) {
      if (!this.slices[z]) this.slices[z] = encode(this.pens, z * this.plane, (z + 1) * this.plane)
    }
    return this.slices.slice()
  }

  /** The runs of the ids of objects; null where there are none. */
  idSnapshot() {
    if (!this.ids) return null
    return Array.from({ length: this.dims[2] }, (_, z) => encode(this.ids, z * this.plane, (z + 1) * this.plane))
  }

  /** Give the memory back at once instead of at the next collection. */
  release() {
    recycle('labels', this.pens)
    this.pens = new this.pens.constructor(0)
    free(this.ids)
  }
}

/** Voxels of each pen in slices. */
export function countSlices(slices, classes) {
  const counts = new Float64Array(classes + 1)
  for (const runs of slices) count(runs, counts)
  return counts
}
