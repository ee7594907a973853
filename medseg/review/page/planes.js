// The three linked planes: one crosshair, one look, one frame at a time.

import { PLANES } from './anatomy.js'
import { Plane } from './plane.js'

// Neighbors must differ, so that a border between two objects is seen.
const OBJECTS = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167], [120, 94, 240],
  [255, 130, 130], [130, 220, 120], [60, 130, 255], [255, 190, 120],
]

export class Planes {
  /** `host` holds the three canvases; `moved` hears of a new crosshair. */
  constructor(host, { moved = () => {} } = {}) {
    this.host = host
    this.moved = moved
    this.planes = PLANES.map((definition) => {
      const canvas = host.querySelector(`canvas[data-plane=${definition.name}]`)
      return new Plane(definition, canvas)
    })
    this.active = this.planes[0]
    this.at = [0, 0, 0]
    this.colors = []
    this.hidden = new Set() // pens not shown
    this.look = { window: [0, 1], visible: true, outline: false, crosshair: true, smooth: true, opacity: 0.45, tool: null }
    this.layout(0)
    new ResizeObserver(() => this.draw()).observe(host)
  }

  /** Show a case, `colors` by pen. */
  load(data, colors) {
    this.data = data
    this.colors = colors
    this.hidden.clear()
    for (const plane of this.planes) plane.load(data)
    this.recolor()
  }

  /** All planes for 0, else the first, second or third alone. */
  layout(only) {
    this.host.dataset.only = only ? PLANES[only - 1].name : 'all'
    if (only) this.active = this.planes[only - 1]
    this.draw()
  }

  /** Work the colors out again after opacity or visibility changed. */
  recolor() {
    const alpha = Math.round(255 * this.look.opacity) << 24
    this.look.filled = new Uint32Array(this.colors.length)
    this.look.stroke = this.colors.map((color) => color && `rgb(${color})`)
    this.colors.forEach((color, pen) => {
      if (!color || this.hidden.has(pen)) return
      // An overlay of no opacity still has outlines, so it keeps the least alpha there is.
      this.look.filled[pen] = (alpha || 1 << 24) | (color[2] << 16) | (color[1] << 8) | color[0]
    })
    this.look.objects = Uint32Array.from(OBJECTS, (c) => (alpha || 1 << 24) | (c[2] << 16) | (c[1] << 8) | c[0])
    this.look.objectStroke = OBJECTS.map((color) => `rgb(${color})`)
    this.draw()
  }

  setWindow(low, high) {
    if (!Number.isFinite(low) || !Number.isFinite(high)) return
    this.look.window = [low, Math.max(high, low + 1e-6)]
    this.draw()
  }

  /** Put the crosshair on a voxel. */
  go(voxel) {
    if (!this.data) return
    this.at = voxel.map((index, axis) => Math.min(this.data.dims[axis] - 1, Math.max(0, Math.round(index))))
    this.data.slice = this.at[2]
    this.draw()
    this.moved()
  }

  /** Scroll through slices of a plane. */
  scroll(plane, slices) {
    const voxel = [...this.at]
    voxel[plane.k] += slices
    this.go(voxel)
  }

  /** Draw once in the next frame; `stale` when the scan itself has changed. */
  draw(stale = false) {
    if (stale) for (const plane of this.planes) plane.stale = true
    if (this.asked || !this.data?.image) return
    this.asked = requestAnimationFrame(() => this.paint())
  }

  paint() {
    this.asked = 0
    if (!this.data?.image) return
    for (const plane of this.planes) {
      plane.fit()
      plane.paint(this.at, this.look)
    }
    this.painted?.()
  }
}
