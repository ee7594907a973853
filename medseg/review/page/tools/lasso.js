// Lasso: everything inside a drawn outline, in one slice.

/** Whether the center of voxel (u, v) lies inside the polygon of points [u, v]; the even-odd rule. */
export function isInside(points, u, v) {
  let inside = false
  for (let i = 0, j = points.length - 1; i < points.length; j = i++) {
    const [ui, vi] = points[i]
    const [uj, vj] = points[j]
    if (vi > v !== vj > v && u < ((uj - ui) * (v - vi)) / (vj - vi) + ui) inside = !inside
  }
  return inside
}

export class Lasso {
  constructor(edit, labels, plane, pen) {
    Object.assign(this, { edit, labels, plane, pen })
    this.points = [] // [u, v] of the voxels passed
    this.slice = null
  }

  to(voxel) {
    this.slice ??= voxel[this.plane.k]
    this.points.push([voxel[this.plane.u], voxel[this.plane.v]])
  }

  /** Fill: the outline itself and all inside. */
  end() {
    const { points, plane, labels, edit, pen } = this
    if (points.length < 3) return
    const passed = new Set(points.map(String))
    const range = (axis) => [Math.min(...points.map((p) => p[axis])), Math.max(...points.map((p) => p[axis]))]
    const [[u0, u1], [v0, v1]] = [range(0), range(1)]
    const at = [0, 0, 0]
    at[plane.k] = this.slice
    for (let v = v0; v <= v1; v++) {
      for (let u = u0; u <= u1; u++) {
        if (!passed.has(`${u},${v}`) && !isInside(points, u, v)) continue
        at[plane.u] = u
        at[plane.v] = v
        edit.put(labels.index(at), pen)
      }
    }
  }
}
