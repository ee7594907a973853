// Grow and shrink a class by the smallest spacing of the grid, in three dimensions. Thick slices are not jumped over.

/** Offsets of neighbors within a distance in mm: [dx, dy, dz] along the axes that are fine enough. */
export function neighbors(spacing, distance = Math.min(...spacing)) {
  const found = []
  const reach = spacing.map((s) => Math.floor((distance / s) * (1 + 1e-6)))
  for (let z = -reach[2]; z <= reach[2]; z++) {
    for (let y = -reach[1]; y <= reach[1]; y++) {
      for (let x = -reach[0]; x <= reach[0]; x++) {
        const away = Math.hypot(x * spacing[0], y * spacing[1], z * spacing[2])
        if (away && away <= distance * (1 + 1e-6)) found.push([x, y, z])
      }
    }
  }
  return found
}

/** Voxels of a class that have a neighbor it is not, and those neighbors. */
function border(labels, pen, offsets, id) {
  const { pens, ids, dims, steps } = labels
  const isIt = (index) => pens[index] === pen && (!id || ids[index] === id)
  const inner = new Set()
  const outer = new Set()
  const moves = offsets.map((offset) => [offset, offset[0] + offset[1] * steps[1] + offset[2] * steps[2]])
  for (let i = pens.indexOf(pen); i >= 0; i = pens.indexOf(pen, i + 1)) {
    if (!isIt(i)) continue
    const [x, y, z] = labels.voxel(i)
    for (const [[dx, dy, dz], move] of moves) {
      if (isIt(i + move)) continue
      const inside = x + dx >= 0 && x + dx < dims[0] && y + dy >= 0 && y + dy < dims[1] && z + dz >= 0 && z + dz < dims[2]
      if (!inside) continue // the edge of the scan is no border
      inner.add(i)
      outer.add(i + move)
    }
  }
  return { inner, outer }
}

/** Add one layer to a class, or to one object of it; over background or over what the rules name. */
export function grow(edit, labels, pen, spacing, over = 0) {
  const { outer } = border(labels, pen, neighbors(spacing), edit.id)
  for (const index of outer) if (labels.pens[index] === over) edit.put(index, pen)
}

/** Take one layer off a class, or off one object of it. */
export function shrink(edit, labels, pen, spacing) {
  const { inner } = border(labels, pen, neighbors(spacing), edit.id)
  for (const index of inner) edit.put(index, 0)
}
