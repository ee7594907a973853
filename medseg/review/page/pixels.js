// One slice of a volume as pixels: one voxel, one pixel; the browser scales it.

/** Pixels of one plane, kept between frames. */
export class Layer {
  constructor(width, height) {
    this.canvas = new OffscreenCanvas(width, height)
    this.context = this.canvas.getContext('2d')
    this.data = new ImageData(width, height)
    this.pixels = new Uint32Array(this.data.data.buffer) // ABGR on every little-endian machine
  }

  show() {
    this.context.putImageData(this.data, 0, 0)
  }
}

const BLACK = 0xff000000

/** How rows of pixels run through a volume: `start` of row n, the `v` it shows, and the `step` from pixel to pixel. */
function rowsOf({ u, v, k, against }, at, dims, steps) {
  const [width, height] = [dims[u], dims[v]]
  const first = at[k] * steps[k] + (against[0] ? (width - 1) * steps[u] : 0)
  const shown = (n) => (against[1] ? height - 1 - n : n)
  return { width, height, v: shown, start: (n) => first + shown(n) * steps[v], step: against[0] ? -steps[u] : steps[u] }
}

/** Gray values of a slice. Rows or slices that have not come yet stay black. */
export function drawGray(layer, plane, at, { image, header, loaded, dims }, steps, [low, high]) {
  const { pixels } = layer
  const { width, height, v, start, step } = rowsOf(plane, at, dims, steps)
  const factor = (255 / (high - low)) * header.slope
  const shift = ((header.intercept - low) * 255) / (high - low)
  let j = 0
  for (let row = 0; row < height; row++) {
    if (!loaded[plane.v === 2 ? v(row) : at[2]]) {
      pixels.fill(BLACK, j, j + width)
      j += width
      continue
    }
    for (let n = 0, i = start(row); n < width; n++, i += step) {
      let gray = image[i] * factor + shift
      gray = gray > 0 ? (gray < 255 ? gray | 0 : 255) : 0 // NaN is black
      pixels[j++] = BLACK | (gray << 16) | (gray << 8) | gray
    }
  }
  layer.show()
}

/** Labels of a slice, filled. `colors`: one pixel value a pen, 0 for what is not shown; objects have their own. */
export function drawFilled(layer, plane, at, labels, colors, objectColors) {
  const { pens, ids, steps, dims } = labels
  const { pixels } = layer
  const { width, height, start, step } = rowsOf(plane, at, dims, steps)
  let j = 0
  for (let row = 0; row < height; row++) {
    for (let n = 0, i = start(row); n < width; n++, i += step) {
      const color = colors[pens[i]]
      pixels[j++] = color && ids?.[i] ? objectColors[ids[i] % objectColors.length] : color
    }
  }
  layer.show()
}

/** The pens of a slice, or its objects where there are any, in order of its pixels; those that are hidden are 0. */
export function slicePens(plane, at, labels, colors) {
  const { pens, steps, dims } = labels
  const shown = labels.ids ?? pens
  const { width, height, start, step } = rowsOf(plane, at, dims, steps)
  const out = new shown.constructor(width * height)
  let j = 0
  for (let row = 0; row < height; row++) {
    for (let n = 0, i = start(row); n < width; n++, i += step) out[j++] = colors[pens[i]] ? shown[i] : 0
  }
  return { pens: out, width, height }
}
