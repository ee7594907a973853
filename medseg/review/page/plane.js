// One canvas with one plane: where voxels are on the screen, and the drawing of it.

import { edgeLetters } from './anatomy.js'
import { outlines } from './outline.js'
import { drawFilled, drawGray, Layer, slicePens } from './pixels.js'
import { LOOKS } from './readings.js'

const FONT = '13px system-ui, sans-serif'
const INK = '#eceff4'
const SHADOW = '#000c'
const CROSSHAIR = '#f2cc4d'

export class Plane {
  constructor(definition, canvas) {
    Object.assign(this, definition)
    this.canvas = canvas
    this.context = canvas.getContext('2d', { alpha: false })
    this.against = [true, true]
    this.reset()
  }

  /** Prepare for the grid of a case. */
  load(data) {
    this.data = data
    const { dims, header } = data
    this.size = [dims[this.u], dims[this.v]]
    this.spacing = [header.spacing[this.u] || 1, header.spacing[this.v] || 1]
    // A patient's axes run left and up on the screen; those of an image without a patient as it is stored, right and down.
    this.against = [this.u, this.v].map((axis) => !data.about.is2d || data.about.flipped[axis])
    this.letters = data.about.is2d ? null : edgeLetters(this, header.affine)
    this.gray = new Layer(...this.size)
    this.overlay = new Layer(...this.size)
    this.stale = true
    this.reset()
  }

  /** Show all of the slice. */
  reset() {
    this.zoom = 1
    this.pan = [0, 0]
  }

  get ratio() {
    return this.canvas.width / (this.canvas.clientWidth || 1)
  }

  /** Follow the size of the canvas on the screen. */
  fit() {
    const ratio = window.devicePixelRatio || 1
    const width = Math.max(1, Math.round(this.canvas.clientWidth * ratio))
    const height = Math.max(1, Math.round(this.canvas.clientHeight * ratio))
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height })
  }

  /** Canvas pixels of one voxel along both axes, and the corner of the slice. */
  frame() {
    const { width, height } = this.canvas
    const [columns, rows] = this.size
    const scale = this.zoom * Math.min(width / (columns * this.spacing[0]), height / (rows * this.spacing[1]))
    const a = scale * this.spacing[0]
    const b = scale * this.spacing[1]
    return { a, b, x: (width - columns * a) / 2 + this.pan[0], y: (height - rows * b) / 2 + this.pan[1] }
  }

  /** A place of the mouse in canvas pixels. */
  point(event) {
    const box = this.canvas.getBoundingClientRect()
    return [(event.clientX - box.left) * this.ratio, (event.clientY - box.top) * this.ratio]
  }

  /** The voxel at a place of the mouse, clamped to the slice if asked; null beside it. */
  voxel(event, at, clamp = false) {
    const [px, py] = this.point(event)
    const { a, b, x, y } = this.frame()
    let column = Math.floor((px - x) / a)
    let row = Math.floor((py - y) / b)
    if (clamp) {
      column = Math.min(this.size[0] - 1, Math.max(0, column))
      row = Math.min(this.size[1] - 1, Math.max(0, row))
    } else if (column < 0 || row < 0 || column >= this.size[0] || row >= this.size[1]) return null
    const voxel = [...at]
    voxel[this.u] = this.against[0] ? this.size[0] - 1 - column : column
    voxel[this.v] = this.against[1] ? this.size[1] - 1 - row : row
    return voxel
  }

  /** A place of the mouse as [u, v] between voxels, whose centers are whole numbers; within the slice. */
  spot(event) {
    const { a, b, x, y } = this.frame()
    const [px, py] = this.point(event)
    return [(px - x) / a, (py - y) / b].map((along, n) => {
      const within = Math.min(this.size[n], Math.max(0, along))
      return (this.against[n] ? this.size[n] - within : within) - 0.5
    })
  }

  /** Canvas pixels of the center of a voxel. */
  center(voxel) {
    const { a, b, x, y } = this.frame()
    const [column, row] = [this.u, this.v].map((axis, n) => (this.against[n] ? this.size[n] - 1 - voxel[axis] : voxel[axis]))
    return [x + (column + 0.5) * a, y + (row + 0.5) * b]
  }

  /** Zoom by a factor and keep what is under a point where it is. */
  zoomAt(factor, [px, py]) {
    const before = this.frame()
    this.zoom = Math.min(40, Math.max(1, this.zoom * factor))
    if (this.zoom === 1) {
      this.pan = [0, 0]
      return
    }
    const after = this.frame()
    this.pan[0] += px - (px - before.x) * (after.a / before.a) - after.x
    this.pan[1] += py - (py - before.y) * (after.b / before.b) - after.y
  }

  /** Draw everything. `look`: window, colors, outline, crosshair and what the tool shows. */
  paint(at, look) {
    const { context: g, canvas, data } = this
    if (!canvas.clientWidth) return
    const { labels } = data
    const steps = [1, data.dims[0], data.plane]
    if (this.stale || this.shown !== at[this.k] || this.window !== look.window) {
      drawGray(this.gray, this, at, data, steps, look.window)
      this.window = look.window
    }
    this.shown = at[this.k]
    this.stale = false
    const { a, b, x, y } = this.frame()
    const width = this.size[0] * a
    const height = this.size[1] * b
    g.fillStyle = '#000'
    g.fillRect(0, 0, canvas.width, canvas.height)
    g.imageSmoothingEnabled = look.smooth
    g.drawImage(this.gray.canvas, x, y, width, height)
    if (labels && look.visible) {
      if (look.outline) this.paintOutlines(at, labels, look, { a, b, x, y })
      else {
        drawFilled(this.overlay, this, at, labels, look.filled, look.objects)
        g.imageSmoothingEnabled = false
        g.drawImage(this.overlay.canvas, x, y, width, height)
      }
    }
    const { readings = [] } = data
    const line = ({ labels: read }, color, width) => this.paintOutlines(at, read, { ...look, stroke: look.stroke.map((one) => one && color) }, { a, b, x, y }, width)
    for (const reading of readings) line(reading, '#000', 4) // below both, so that they are seen on a class of their color
    for (const [n, reading] of readings.entries()) {
      g.setLineDash(LOOKS[n].dash.map((length) => length * this.ratio))
      line(reading, LOOKS[n].color, 1.5)
    }
    g.setLineDash([])
    if (look.crosshair) this.paintCrosshair(at)
    look.tool?.(this, g)
    this.paintText(at)
  }

  paintOutlines(at, labels, look, { a, b, x, y }, width = 1.5) {
    const { context: g, ratio } = this
    g.lineWidth = width * ratio
    for (const [pen, segments] of outlines(slicePens(this, at, labels, look.filled))) {
      g.strokeStyle = labels.ids ? look.objectStroke[pen % look.objectStroke.length] : look.stroke[pen]
      g.beginPath()
      for (const [x0, y0, x1, y1] of segments) {
        g.moveTo(x + x0 * a, y + y0 * b)
        g.lineTo(x + x1 * a, y + y1 * b)
      }
      g.stroke()
    }
  }

  paintCrosshair(at) {
    const { context: g, canvas, ratio } = this
    const [x, y] = this.center(at)
    const gap = 12 * ratio
    g.strokeStyle = CROSSHAIR
    g.globalAlpha = 0.75
    g.lineWidth = ratio
    g.beginPath()
    for (const [x0, y0, x1, y1] of [
      [0, y, x - gap, y], [x + gap, y, canvas.width, y], [x, 0, x, y - gap], [x, y + gap, x, canvas.height],
    ]) {
      g.moveTo(x0, y0)
      g.lineTo(x1, y1)
    }
    g.stroke()
    g.globalAlpha = 1
  }

  paintText(at) {
    const { context: g, canvas, ratio } = this
    const { width, height } = canvas
    const margin = 6 * ratio
    g.font = FONT.replace('13', String(Math.round(13 * ratio)))
    g.shadowColor = SHADOW
    g.shadowBlur = 3 * ratio
    g.fillStyle = INK
    const write = (text, x, y, align, baseline) => {
      g.textAlign = align
      g.textBaseline = baseline
      g.fillText(text, x, y)
    }
    if (this.letters) {
      write(this.letters.left, margin, height / 2, 'left', 'middle')
      write(this.letters.right, width - margin, height / 2, 'right', 'middle')
      write(this.letters.top, width / 2, margin, 'center', 'top')
      write(this.letters.bottom, width / 2, height - margin, 'center', 'bottom')
      write(`${this.name} ${at[this.k] + 1}/${this.data.dims[this.k]}`, margin, height - margin, 'left', 'bottom')
    }
    g.shadowBlur = 0
  }
}
