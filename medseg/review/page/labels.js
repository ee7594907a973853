// The labels that are being corrected. A voxel holds a pen: 0 for background, n for the n-th class of the table.

import { free } from './memory.js'
import { count, decode, encode } from './runs.js'

/** The type that holds so many pens. */
export const pensFor = (classes) => (classes < 256 ? Uint8Array : Uint16Array)

export class Labels {
  /** `slices`: the runs of every axial slice, shared with whoever gave them and never changed. */
  constructor(dims, classes, slices) {
    this.dims = dims
    this.plane = dims[0] * dims[1]
    this.steps = [1, dims[0], this.plane]
    this.slices = slices.slice()
    this.pens = new (pensFor(classes))(this.plane * dims[2])
    this.counts = new Float64Array(classes + 1)
    slices.forEach((runs, z) => {
      decode(runs, this.pens, z * this.plane)
      count(runs, this.counts)
    })
  }

  index(voxel) {
    return voxel[0] + this.dims[0] * (voxel[1] + this.dims[1] * voxel[2])
  }

  voxel(index) {
    const inPlane = index % this.plane
    return [inPlane % this.dims[0], Math.floor(inPlane / this.dims[0]), Math.floor(index / this.plane)]
  }

  set(index, pen) {
    this.counts[this.pens[index]]--
    this.counts[pen]++
    this.pens[index] = pen
    this.slices[Math.floor(index / this.plane)] = null
  }

  /** The runs of every slice as they are now; only slices changed since the last time are gone through. */
  snapshot() {
    for (let z = 0; z < this.dims[2]; z++) {
      if (!this.slices[z]) this.slices[z] = encode(this.pens, z * this.plane, (z + 1) * this.plane)
    }
    return this.slices.slice()
  }

  /** Give the memory back at once instead of at the next collection. */
  release() {
    free(this.pens)
    this.pens = new this.pens.constructor(0)
  }
}

/** Voxels of each pen in slices. */
export function countSlices(slices, classes) {
  const counts = new Float64Array(classes + 1)
  for (const runs of slices) count(runs, counts)
  return counts
}
