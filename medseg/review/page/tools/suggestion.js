// Voxels of a box, as the server is sent them and suggests them, and how a suggestion is drawn.

/** The voxels of runs outside and inside in turn, of a box, as bytes; x fastest. */
function boxMask({ box, runs }) {
  const mask = new Uint8Array(box.size[0] * box.size[1] * box.size[2])
  let from = 0
  runs.forEach((length, n) => {
    mask.fill(n % 2, from, from + length)
    from += length
  })
  return mask
}

/** Call `each(index, place)` for the voxels of a box: their index in the labels and their place in the box. */
function eachOfBox(labels, { low, size }, each) {
  let place = 0
  for (let z = 0; z < size[2]; z++) {
    for (let y = 0; y < size[1]; y++) {
      const row = labels.index([low[0], low[1] + y, low[2] + z])
      for (let x = 0; x < size[0]; x++) each(row + x, place++)
    }
  }
}

/**
 * Draw a suggestion: adds what belongs, over background or the class to draw over, and takes away what hangs together
 * with a mark that says it does not. The rest of the class stays. Returns the voxels added and taken away.
 */
export function applySuggestion(edit, labels, answer, pen, outside, over) {
  const mask = boxMask(answer)
  const { low, size } = answer.box
  const placeOf = (index) => {
    const at = labels.voxel(index).map((value, axis) => value - low[axis])
    return at.some((value, axis) => value < 0 || value >= size[axis]) ? -1 : at[0] + size[0] * (at[1] + size[1] * at[2])
  }
  const wrong = (index, place) => place >= 0 && !mask[place] && labels.pens[index] === pen
  const visited = new Uint8Array(mask.length)
  const todo = []
  const visit = (index) => {
    const place = placeOf(index)
    if (!wrong(index, place) || visited[place]) return
    visited[place] = 1
    todo.push(index)
  }
  outside.forEach(visit)
  let removed = 0
  while (todo.length) {
    const index = todo.pop()
    const voxel = labels.voxel(index)
    for (let axis = 0; axis < 3; axis++) {
      if (voxel[axis] > 0) visit(index - labels.steps[axis])
      if (voxel[axis] < labels.dims[axis] - 1) visit(index + labels.steps[axis])
    }
    removed += edit.put(index, 0)
  }
  let added = 0
  eachOfBox(labels, answer.box, (index, place) => {
    if (mask[place] && labels.pens[index] === over) added += edit.put(index, pen)
  })
  return { added, removed }
}

/** What is drawn in a box, as runs outside and inside in turn; x fastest. `belongs(index)`: whether it counts. */
export function presentRuns(labels, box, belongs) {
  const runs = []
  let [last, length] = [false, 0]
  eachOfBox(labels, box, (index) => {
    const now = belongs(index)
    if (now !== last) {
      runs.push(length)
      ;[last, length] = [now, 0]
    }
    length++
  })
  runs.push(length)
  return { ...box, runs }
}

/** Draw what a model made of the clicks: in its box the class, or the object, becomes what it says, over nothing else. */
export function applyAnswer(edit, labels, answer, pen, over, belongs) {
  const mask = boxMask(answer)
  let [added, removed] = [0, 0]
  eachOfBox(labels, answer.box, (index, place) => {
    if (mask[place]) {
      if (labels.pens[index] === over) added += edit.put(index, pen)
    } else if (belongs(index)) removed += edit.put(index, 0)
  })
  return { added, removed }
}

/** The box of so many voxels around a place, inside the scan. */
export function boxAround(voxel, reach, dims) {
  const low = voxel.map((at, axis) => Math.max(0, at - reach[axis]))
  return { low, size: voxel.map((at, axis) => Math.min(dims[axis], at + reach[axis] + 1) - low[axis]) }
}
