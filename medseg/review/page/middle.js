// The middle of a class in the labels.

/** A voxel of a class, or of any class without `pen`, in the middle of the slice with the most of it; null without one. */
export function middleOf({ labels, plane, dims }, pen = 0) {
  const amounts = new Float64Array(dims[2])
  const isLabel = (value) => (pen ? value === pen : value > 0)
  labels.snapshot().forEach(({ ends, values }, z) => {
    ends.forEach((end, n) => {
      if (isLabel(values[n])) amounts[z] += end - (n ? ends[n - 1] : 0)
    })
  })
  const z = amounts.indexOf(amounts.reduce((most, one) => Math.max(most, one), 0))
  if (!amounts[z]) return null
  const sum = [0, 0]
  const inSlice = []
  for (let i = z * plane; i < (z + 1) * plane; i++) {
    if (!isLabel(labels.pens[i])) continue
    const voxel = labels.voxel(i)
    inSlice.push(voxel)
    sum[0] += voxel[0]
    sum[1] += voxel[1]
  }
  const away = ([x, y]) => (x - sum[0] / inSlice.length) ** 2 + (y - sum[1] / inSlice.length) ** 2
  return inSlice.reduce((best, one) => (away(one) < away(best) ? one : best))
}
