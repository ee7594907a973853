// Edits and their undoing. A change is kept as compressed runs, so thousands of strokes fit in a few megabytes.

import { ChangeWriter, readChange } from './runs.js'

const LIMIT = 64 << 20 // bytes of changes; the oldest go first

/** One edit under way: what may be drawn over is asked here, once, for every tool. */
export class Edit {
  /** `rules`: {allows(index, before, pen)}. */
  constructor(labels, rules) {
    this.labels = labels
    this.rules = rules
    this.touched = new Float64Array(1024)
    this.length = 0
    this.rising = true
  }

  /** Draw one voxel; says whether it changed. */
  put(index, pen) {
    const before = this.labels.pens[index]
    if (before === pen || !this.rules.allows(index, before, pen)) return false
    if (this.length === this.touched.length) {
      const larger = new Float64Array(4 * this.length)
      larger.set(this.touched)
      this.touched = larger
    }
    // Index and old pen in one number, so that sorting by it keeps them together: 2^32 * 2^16 is exact in a double.
    const key = index * 65536 + before
    this.rising &&= !this.length || this.touched[this.length - 1] < key
    this.touched[this.length++] = key
    this.labels.set(index, pen)
    return true
  }

  /** The change as a whole, or null when nothing changed. */
  done() {
    const keys = this.touched.subarray(0, this.length)
    if (!this.rising) keys.sort()
    const writer = new ChangeWriter()
    let last = -1
    for (const key of keys) {
      const index = Math.floor(key / 65536)
      if (index === last) throw new Error('A tool drew one voxel twice in one edit.')
      last = index
      writer.add(index, key % 65536, this.labels.pens[index])
    }
    return writer.voxels ? writer.done() : null
  }
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
      for (let i = start; i < start + length; i++) this.labels.set(i, back ? before : after)
    })
    to.push(change)
    return true
  }
}
