// Outlines of labels in a slice, along the edges of voxels, so that the drawn border is the true one.

/** Segments [x0, y0, x1, y1] in pixels for each pen; straight runs of edges are one segment. */
export function outlines({ pens, width, height }) {
  const segments = new Map()
  const add = (pen, segment) => {
    if (!pen) return
    if (!segments.has(pen)) segments.set(pen, [])
    segments.get(pen).push(segment)
  }
  const at = (x, y) => (x < 0 || y < 0 || x >= width || y >= height ? 0 : pens[y * width + x])
  // Goes along one line of edges; `pair(n)` gives the pens on both sides of the n-th.
  const along = (length, pair, segment) => {
    for (const side of [0, 1]) {
      let from = 0
      let pen = 0
      for (let n = 0; n <= length; n++) {
        const both = n < length ? pair(n) : [0, 0]
        const now = both[0] !== both[1] ? both[side] : 0
        if (now !== pen) {
          add(pen, segment(from, n))
          from = n
          pen = now
        }
      }
    }
  }
  for (let y = 0; y <= height; y++) {
    along(width, (n) => [at(n, y - 1), at(n, y)], (from, to) => [from, y, to, y])
  }
  for (let x = 0; x <= width; x++) {
    along(height, (n) => [at(x - 1, n), at(x, n)], (from, to) => [x, from, x, to])
  }
  return segments
}
