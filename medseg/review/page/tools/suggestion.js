// Voxels of a box, as the server is sent them and answers with them, and how an answer is drawn.

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

/**
 * Draw an answer: in its box the class, or the object, becomes what it says, as far as the rules allow. Returns how many
 * voxels were added and removed, how many of the added were of others, and how many were `held` back, by which rule.
 * `drawn`: where given, a set that follows what is added and removed.
 */
export function applyAnswer(edit, labels, answer, pen, belongs, drawn = null) {
  const mask = boxMask(answer)
  const done = { added: 0, removed: 0, taken: 0, held: {} }
  eachOfBox(labels, answer.box, (index, place) => {
    if (belongs(index)) {
      if (mask[place] || !edit.put(index, 0)) return
      done.removed++
      drawn?.delete(index)
    } else if (mask[place]) {
      const before = labels.pens[index]
      if (edit.put(index, pen)) {
        done.added++
        done.taken += before > 0
        drawn?.add(index)
      } else {
        const rule = edit.rules.holdingBack(index, before, pen)
        const why = rule === 'draw over' && before ? 'others' : rule
        done.held[why] = (done.held[why] ?? 0) + 1
      }
    }
  })
  return done
}

/** The box of so many voxels around places, inside the scan. */
export function boxAround(voxels, reach, dims) {
  const ends = (end) => dims.map((_, axis) => voxels.reduce((far, voxel) => end(far, voxel[axis]), voxels[0][axis]))
  const low = ends(Math.min).map((at, axis) => Math.max(0, at - reach[axis]))
  return { low, size: ends(Math.max).map((at, axis) => Math.min(dims[axis], at + reach[axis] + 1) - low[axis]) }
}
