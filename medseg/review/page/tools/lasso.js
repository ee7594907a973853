// Lasso: everything inside a drawn outline, in one slice.

/**
 * Where row v lies inside the polygon of points [u, v], as [from, to) in turn; the even-odd rule. Half open on both axes,
 * so what two outlines share is counted once, and a straight edge is straight.
 */
export function spans(points, v) {
  const crossings = []
  points.forEach(([ui, vi], i) => {
    const [uj, vj] = points.at(i - 1)
    if (vi > v !== vj > v) crossings.push(((uj - ui) * (v - vi)) / (vj - vi) + ui)
  })
  crossings.sort((a, b) => a - b)
  return Array.from({ length: crossings.length / 2 }, (_, n) => [crossings[2 * n], crossings[2 * n + 1]])
}

export class Lasso {
  constructor(edit, labels, plane, pen) {
    Object.assign(this, { edit, labels, plane, pen })
    this.points = [] // [u, v] where the mouse passed, between voxels too; centers of voxels are whole numbers
    this.slice = null
  }

  to(voxel, spot) {
    this.slice ??= voxel[this.plane.k]
    this.points.push(spot)
  }

  /** Fill: the voxels whose centers lie inside. */
  end() {
    const { points, plane, labels, edit, pen } = this
    if (points.length < 3) return
    const rows = points.map(([, v]) => v)
    const at = [0, 0, 0]
    at[plane.k] = this.slice
    for (let v = Math.ceil(Math.min(...rows)); v <= Math.max(...rows); v++) {
      at[plane.v] = v
      for (const [from, to] of spans(points, v)) {
        for (let u = Math.ceil(from); u < to; u++) {
          at[plane.u] = u
          edit.put(labels.index(at), pen)
        }
      }
    }
  }
}
