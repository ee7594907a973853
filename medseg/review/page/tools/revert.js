// Back to the model's labels, as one edit that can be undone. Locks and limits hold here too.

/** `slices`: runs of the model's labels; `idSlices`: of the ids of its objects, where it makes objects. */
export function revert(edit, labels, slices, idSlices = null) {
  slices.forEach((runs, z) => {
    const ids = idSlices?.[z]
    let from = 0
    let object = 0
    const base = z * labels.plane
    runs.ends.forEach((end, n) => {
      for (let i = from; i < end; i++) {
        while (ids && i >= ids.ends[object]) object++
        edit.put(base + i, runs.values[n], ids ? ids.values[object] : 0)
      }
      from = end
    })
  })
}
