// The size of pen and eraser: a diameter in mm, of which the smallest is one voxel.

const STEPS = [1, 2, 3, 4, 5, 7, 9, 12, 16, 20, 26, 34, 44, 60, 80] // times the smallest spacing

export class Brush {
  constructor(spacing) {
    this.unit = Math.min(...spacing)
    this.diameter = 5 * this.unit // mm
    this.ball = false // through slices, or only within one
  }

  get isVoxel() {
    return this.diameter <= this.unit * (1 + 1e-6)
  }

  get sizes() {
    return STEPS.map((step) => step * this.unit)
  }

  larger() {
    this.diameter = this.sizes.find((size) => size > this.diameter * (1 + 1e-6)) ?? this.diameter
  }

  smaller() {
    this.diameter = this.sizes.findLast((size) => size < this.diameter * (1 - 1e-6)) ?? this.unit
  }

  /** Set a diameter in mm; less than a voxel is one voxel. */
  set(diameter) {
    if (diameter > 0) this.diameter = Math.max(this.unit, Math.min(diameter, this.sizes.at(-1)))
  }
}

/** Voxels within the brush around a voxel of a plane, as offsets [du, dv, dk]; always the voxel itself. */
export function footprint(brush, spacing, plane) {
  const radius = brush.isVoxel ? 0 : brush.diameter / 2
  const reach = (axis) => Math.floor(radius / spacing[axis])
  const through = brush.ball ? reach(plane.k) : 0
  const offsets = []
  for (let k = -through; k <= through; k++) {
    for (let v = -reach(plane.v); v <= reach(plane.v); v++) {
      for (let u = -reach(plane.u); u <= reach(plane.u); u++) {
        const away = Math.hypot(u * spacing[plane.u], v * spacing[plane.v], k * spacing[plane.k])
        if (away <= radius * (1 + 1e-6)) offsets.push([u, v, k])
      }
    }
  }
  return offsets
}
