// Exact Euclidean distances in a slice, by lower envelopes of parabolas (Felzenszwalb and Huttenlocher, 2012).

const FAR = 1e20

/** Squared distances along one line, in place. `step` is the spacing. */
function alongLine(values, start, stride, length, step, work) {
  const { apex, from, line } = work
  for (let i = 0; i < length; i++) line[i] = values[start + i * stride]
  let last = 0
  apex[0] = 0
  from[0] = -FAR
  from[1] = FAR
  const square = step * step
  for (let i = 1; i < length; i++) {
    const meets = (k) => (line[i] - line[k] + square * (i * i - k * k)) / (2 * square * (i - k))
    let s = meets(apex[last])
    while (s <= from[last]) s = meets(apex[--last])
    apex[++last] = i
    from[last] = s
    from[last + 1] = FAR
  }
  last = 0
  for (let i = 0; i < length; i++) {
    while (from[last + 1] < i) last++
    values[start + i * stride] = square * (i - apex[last]) ** 2 + line[apex[last]]
  }
}

/** Distance in mm from every pixel to the nearest where `mask` is `of`; very far where there is none. */
export function distanceTo(mask, of, width, height, [su, sv]) {
  const values = Float64Array.from(mask, (m) => (m === of ? 0 : FAR))
  const n = Math.max(width, height) + 1
  const work = { apex: new Int32Array(n), from: new Float64Array(n + 1), line: new Float64Array(n) }
  for (let v = 0; v < height; v++) alongLine(values, v * width, 1, width, su, work)
  for (let u = 0; u < width; u++) alongLine(values, u, width, height, sv, work)
  return values.map(Math.sqrt)
}

/** Positive inside a mask, negative outside, 0 on its border. */
export function signedDistance(mask, width, height, spacing) {
  const inside = distanceTo(mask, 0, width, height, spacing)
  const outside = distanceTo(mask, 1, width, height, spacing)
  const half = Math.min(...spacing) / 2
  return inside.map((d, i) => (mask[i] ? d - half : half - outside[i]))
}
