// Windows (the gray values shown) by modality: fixed ones for CT in Hounsfield units, measured ones for everything else.

const CT = {
  'soft tissue': [-160, 240],
  liver: [-5, 165],
  lung: [-1350, 150],
  mediastinum: [-175, 275],
  bone: [-450, 1050],
  brain: [0, 80],
  angiography: [-100, 500],
}
const SAMPLES = 50000

/** Values of the slices that have come, in rising order; at most so many of them. */
function sample(data) {
  const values = []
  const slices = [...data.loaded.keys()].filter((z) => data.loaded[z])
  const step = Math.max(1, Math.floor((slices.length * data.plane) / SAMPLES))
  for (const z of slices) {
    for (let i = z * data.plane; i < (z + 1) * data.plane; i += step) {
      const value = data.value(i)
      if (Number.isFinite(value)) values.push(value)
    }
  }
  return Float64Array.from(values).sort()
}

const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.round(q * (sorted.length - 1)))]

/** Names and windows for a case whose first slices are here; the first is the one to begin with. */
export function presets(data) {
  const sorted = sample(data)
  if (!sorted.length) return { automatic: [0, 1] }
  const whole = [sorted[0], sorted.at(-1)]
  // Without the air around a head: percentiles of what is above the smallest value.
  const inside = sorted.subarray(sorted.findIndex((value) => value > whole[0]))
  const automatic = inside.length ? [quantile(inside, 0.01), quantile(inside, 0.995)] : whole
  const found = data.about.modality === 'CT'
    ? { ...CT, automatic }
    : data.about.modality === 'PT'
      ? { automatic: [0, quantile(sorted, 0.999)] }
      : { automatic }
  found['all values'] = whole
  for (const window of Object.values(found)) if (!(window[1] > window[0])) window[1] = window[0] + 1
  return found
}
