// Back to the model's labels, as one edit that can be undone. Locks and limits hold here too.

/** `slices`: runs of the model's labels. */
export function revert(edit, labels, slices) {
  slices.forEach((runs, z) => {
    let from = 0
    const base = z * labels.plane
    runs.ends.forEach((end, n) => {
      for (let i = base + from; i < base + end; i++) if (labels.pens[i] !== runs.values[n]) edit.put(i, runs.values[n])
      from = end
    })
  })
}
