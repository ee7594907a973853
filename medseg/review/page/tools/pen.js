// Pen and eraser: the brush along the way of the mouse.

import { footprint } from '../brush.js'

/** The voxels from one to another in a plane, without a gap. */
export function line(from, to, plane) {
  const du = to[plane.u] - from[plane.u]
  const dv = to[plane.v] - from[plane.v]
  const steps = Math.max(1, Math.abs(du), Math.abs(dv))
  return Array.from({ length: steps + 1 }, (_, n) => {
    const voxel = [...to]
    voxel[plane.u] = Math.round(from[plane.u] + (du * n) / steps)
    voxel[plane.v] = Math.round(from[plane.v] + (dv * n) / steps)
    return voxel
  })
}

export class Pen {
  /** `pen`: what it draws, 0 to erase. */
  constructor(edit, labels, plane, brush, spacing, pen) {
    Object.assign(this, { edit, labels, plane, pen })
    this.offsets = footprint(brush, spacing, plane)
    this.last = null
  }

  /** Draw from where the mouse was to a voxel. */
  to(voxel) {
    const { plane, labels, edit, pen } = this
    const { dims } = labels
    const at = [0, 0, 0]
    for (const center of this.last ? line(this.last, voxel, plane) : [voxel]) {
      for (const [du, dv, dk] of this.offsets) {
        at[plane.u] = center[plane.u] + du
        at[plane.v] = center[plane.v] + dv
        at[plane.k] = center[plane.k] + dk
        if (at.every((index, axis) => index >= 0 && index < dims[axis])) edit.put(labels.index(at), pen)
      }
    }
    this.last = voxel
  }

  end() {}
}
