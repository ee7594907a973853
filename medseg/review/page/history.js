// Edits and their undoing. A change is kept as compressed runs, so thousands of strokes fit in a few megabytes.

import { ChangeWriter, readChange } from './runs.js'

const LIMIT = 64 << 20 // bytes of changes; the oldest go first
const PLACES = 2 ** 22

/** One edit under way: what may be drawn over is asked here, once, for every tool. */
export class Edit {
  /** `rules`: {allows(index, before, pen)}. `id`: of the object that is drawn, where there are objects. */
  constructor(labels, rules, id = 0) {
    Object.assign(this, { labels, rules, id })
    this.indices = new Float64Array(1024)
    this.before = new Float64Array(1024)
    this.length = 0
    this.rising = true
  }

  /** Draw one voxel; says whether it changed. */
  put(index, pen, id = pen && this.id) {
    const { labels } = this
    const before = labels.pens[index]
    if (before === pen && (!labels.ids || labels.ids[index] === id)) return false
    if (!this.rules.allows(index, before, pen)) return false
    if (this.length === this.indices.length) {
      this.indices = larger(this.indices)
      this.before = larger(this.before)
    }
    this.rising &&= !this.length || this.indices[this.length - 1] < index
    this.indices[this.length] = index
    this.before[this.length++] = labels.state(index)
    labels.set(index, pen, id)
    return true
  }

  /** The change as a whole, or null when nothing changed. */
  done() {
    const writer = new ChangeWriter()
    let last = -1
    for (const n of this.order()) {
      const index = this.indices[n]
      // What is drawn twice in one edit counts as it was before the first time.
      if (index !== last) writer.add(index, this.before[n], this.labels.state(index))
      last = index
    }
    return writer.voxels ? writer.done() : null
  }

  /** Places of what was drawn in rising order of index, the first drawn first. */
  order() {
    const places = Float64Array.from({ length: this.length }, (_, n) => n)
    if (this.rising) return places
    // Index and place in one number, sorted as numbers: 2^31 * 2^22 is exact in a double.
    if (this.length > PLACES) return places.sort((a, b) => this.indices[a] - this.indices[b] || a - b)
    const keys = places.map((n) => this.indices[n] * PLACES + n).sort()
    return keys.map((key) => key % PLACES)
  }
}

const larger = (values) => {
  const more = new Float64Array(4 * values.length)
  more.set(values)
  return more
}

/** What was done and undone on one case. */
export class History {
  constructor(labels) {
    this.labels = labels
    this.past = []
    this.future = []
    this.bytes = 0
  }

  record(change) {
    this.future = []
    this.past.push(change)
    this.bytes = this.past.reduce((sum, one) => sum + one.bytes.length, 0)
    while (this.bytes > LIMIT && this.past.length > 1) this.bytes -= this.past.shift().bytes.length
  }

  undo() {
    return this.move(this.past, this.future, true)
  }

  redo() {
    return this.move(this.future, this.past, false)
  }

  move(from, to, back) {
    const change = from.pop()
    if (!change) return false
    readChange(change, (start, length, before, after) => {
      for (let i = start; i < start + length; i++) this.labels.restore(i, back ? before : after)
    })
    to.push(change)
    return change
  }
}
