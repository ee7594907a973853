// Islands: connected components of one class (voxels that share a face), in three dimensions.

/** A set of voxels as bits. */
export class VoxelSet {
  constructor(voxels) {
    this.bits = new Uint8Array(Math.ceil(voxels / 8))
    this.size = 0
  }

  has(index) {
    return (this.bits[index >> 3] >> (index & 7)) & 1
  }

  add(index) {
    this.bits[index >> 3] |= 1 << (index & 7)
    this.size++
  }
}

/** All voxels connected with a voxel through voxels for which `same(index)` holds. */
export function connected(labels, start, same) {
  const { dims, steps, pens } = labels
  const found = new VoxelSet(pens.length)
  const todo = [start]
  found.add(start)
  const visit = (index) => {
    if (found.has(index) || !same(index)) return
    found.add(index)
    todo.push(index)
  }
  while (todo.length) {
    const index = todo.pop()
    const [x, y, z] = labels.voxel(index)
    if (x > 0) visit(index - 1)
    if (x < dims[0] - 1) visit(index + 1)
    if (y > 0) visit(index - steps[1])
    if (y < dims[1] - 1) visit(index + steps[1])
    if (z > 0) visit(index - steps[2])
    if (z < dims[2] - 1) visit(index + steps[2])
  }
  return found
}

/** The island under a voxel; null on background. */
export function islandAt(labels, voxel) {
  const start = labels.index(voxel)
  const pen = labels.pens[start]
  if (!pen) return null
  return { pen, voxels: connected(labels, start, (index) => labels.pens[index] === pen) }
}

/** Remove the island under a voxel; returns its pen, 0 without one. */
export function removeIsland(edit, labels, voxel) {
  const island = islandAt(labels, voxel)
  if (!island) return 0
  eachOf(labels, island.pen, (index) => island.voxels.has(index) && edit.put(index, 0))
  return island.pen
}

/** Keep only the island under a voxel of its class; returns its pen, 0 without one. */
export function keepIsland(edit, labels, voxel) {
  const island = islandAt(labels, voxel)
  if (!island) return 0
  eachOf(labels, island.pen, (index) => island.voxels.has(index) || edit.put(index, 0))
  return island.pen
}

function eachOf(labels, pen, act) {
  const { pens } = labels
  for (let i = pens.indexOf(pen); i >= 0; i = pens.indexOf(pen, i + 1)) act(i)
}
