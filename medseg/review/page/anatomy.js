// Where things are: the three planes, the letters at their edges, and the scan file's own order of indices.
// Volumes come with axes nearest R, A, S, so this page never turns an axis: it only names them.

/** u runs to the left of the screen, v runs up, k is looked along: radiological convention. Images without a patient: see `Plane.load`. */
export const PLANES = [
  { name: 'axial', k: 2, u: 0, v: 1 },
  { name: 'coronal', k: 1, u: 0, v: 2 },
  { name: 'sagittal', k: 0, u: 1, v: 2 },
]

const POSITIVE = ['R', 'A', 'S']
const NEGATIVE = ['L', 'P', 'I']
const OBLIQUE = 0.35 // part of a direction from which its second letter is shown, about 20 degrees

/** The letters of a direction in world coordinates (RAS+), the nearest first. */
export function letters(direction) {
  const length = Math.hypot(...direction) || 1
  return direction
    .map((part, axis) => ({ part: part / length, axis }))
    .filter(({ part }) => Math.abs(part) >= OBLIQUE)
    .sort((a, b) => Math.abs(b.part) - Math.abs(a.part))
    .map(({ part, axis }) => (part > 0 ? POSITIVE : NEGATIVE)[axis])
    .join('')
}

/** Letters at the four edges of a plane. */
export function edgeLetters(plane, affine) {
  const along = (axis, sign) => letters(affine.map((row) => sign * row[axis]))
  return { left: along(plane.u, 1), right: along(plane.u, -1), top: along(plane.v, 1), bottom: along(plane.v, -1) }
}

/** World coordinates (mm, RAS+) as a person reads them: how far to the right or left, and so on, without a sign. */
export const sided = (world) =>
  world.map((mm, axis) => `${(Number(mm.toFixed(1)) < 0 ? NEGATIVE : POSITIVE)[axis]} ${Math.abs(mm).toFixed(1)}`).join(' ')

/** World coordinates (mm, RAS+) of a voxel. */
export const toWorld = (affine, voxel) =>
  affine.map((row) => row[0] * voxel[0] + row[1] * voxel[1] + row[2] * voxel[2] + row[3])

/** The order of indices in the scan's own file, where axis `axes[a]` is this page's axis a, run backwards if `flipped[a]`. */
export class FileOrder {
  constructor(dims, axes, flipped) {
    Object.assign(this, { dims, axes, flipped })
  }

  toFile(voxel) {
    const stored = [0, 0, 0]
    voxel.forEach((index, a) => (stored[this.axes[a]] = this.flipped[a] ? this.dims[a] - 1 - index : index))
    return stored
  }

  fromFile(stored) {
    return this.axes.map((axis, a) => (this.flipped[a] ? this.dims[a] - 1 - stored[axis] : stored[axis]))
  }
}
