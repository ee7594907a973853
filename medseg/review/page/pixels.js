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

/** Gray values of a slice. Rows or slices that have not come yet stay black. */
export function drawGray(layer, plane, at, { image, header, loaded, dims }, steps, [low, high]) {
  const { pixels } = layer
  const width = dims[plane.u]
  const height = dims[plane.v]
  const su = steps[plane.u]
  const sv = steps[plane.v]
  const base = at[plane.k] * steps[plane.k]
  const factor = (255 / (high - low)) * header.slope
  const shift = ((header.intercept - low) * 255) / (high - low)
  let j = 0
  for (let v = height - 1; v >= 0; v--) {
    if (!loaded[plane.v === 2 ? v : at[2]]) {
      pixels.fill(BLACK, j, j + width)
      j += width
      continue
    }
    let i = base + v * sv + (width - 1) * su
    for (let n = 0; n < width; n++, i -= su) {
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
  const width = dims[plane.u]
  const su = steps[plane.u]
  const base = at[plane.k] * steps[plane.k]
  let j = 0
  for (let v = dims[plane.v] - 1; v >= 0; v--) {
    let i = base + v * steps[plane.v] + (width - 1) * su
    for (let n = 0; n < width; n++, i -= su) {
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
  const width = dims[plane.u]
  const height = dims[plane.v]
  const su = steps[plane.u]
  const out = new shown.constructor(width * height)
  const base = at[plane.k] * steps[plane.k]
  let j = 0
  for (let v = height - 1; v >= 0; v--) {
    let i = base + v * steps[plane.v] + (width - 1) * su
    for (let n = 0; n < width; n++, i -= su) out[j++] = colors[pens[i]] ? shown[i] : 0
  }
  return { pens: out, width, height }
}
