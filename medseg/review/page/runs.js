// Runs of equal labels: how slices are kept for the model's labels, for saving, and how changes are kept for undo.

/** The runs of values[start..end): where each ends (counted from start) and its value. */
export function encode(values, start, end) {
  let count = end > start ? 1 : 0
  for (let i = start + 1; i < end; i++) if (values[i] !== values[i - 1]) count++
  const ends = new Uint32Array(count)
  const kept = new values.constructor(count)
  let run = 0
  for (let i = start + 1; i <= end; i++) {
    if (i === end || values[i] !== values[i - 1]) {
      ends[run] = i - start
      kept[run++] = values[i - 1]
    }
  }
  return { ends, values: kept }
}

/** Write runs into target from `start` on. */
export function decode(runs, target, start) {
  let from = start
  for (let n = 0; n < runs.ends.length; n++) {
    target.fill(runs.values[n], from, start + runs.ends[n])
    from = start + runs.ends[n]
  }
}

/** Add the length of each run to the count of its value. */
export function count(runs, counts) {
  let from = 0
  for (let n = 0; n < runs.ends.length; n++) {
    counts[runs.values[n]] += runs.ends[n] - from
    from = runs.ends[n]
  }
}

/** Bytes that grow; numbers go in seven bits a byte, least first. */
class Bytes {
  constructor() {
    this.bytes = new Uint8Array(256)
    this.length = 0
  }

  add(number) {
    if (this.length + 9 > this.bytes.length) {
      const larger = new Uint8Array(2 * this.bytes.length)
      larger.set(this.bytes)
      this.bytes = larger
    }
    while (number > 127) {
      this.bytes[this.length++] = (number % 128) | 128
      number = Math.floor(number / 128)
    }
    this.bytes[this.length++] = number
  }

  done() {
    return this.bytes.slice(0, this.length)
  }
}

/** Changes of voxels in rising order of index as compressed runs: gap, length, old value, new value. */
export class ChangeWriter {
  constructor() {
    this.out = new Bytes()
    this.voxels = 0
    this.start = this.length = this.before = this.after = this.end = 0
  }

  add(index, before, after) {
    this.voxels++
    if (this.length && index === this.start + this.length && before === this.before && after === this.after) {
      this.length++
      return
    }
    this.flush()
    this.start = index
    this.length = 1
    this.before = before
    this.after = after
  }

  flush() {
    if (!this.length) return
    for (const number of [this.start - this.end, this.length, this.before, this.after]) this.out.add(number)
    this.end = this.start + this.length
    this.length = 0
  }

  done() {
    this.flush()
    return { bytes: this.out.done(), voxels: this.voxels }
  }
}

/** Call `each(start, length, before, after)` for every run of a change. */
export function readChange({ bytes }, each) {
  let at = 0
  const next = () => {
    let number = 0
    let scale = 1
    for (;;) {
      const byte = bytes[at++]
      number += (byte & 127) * scale
      if (byte < 128) return number
      scale *= 128
    }
  }
  let end = 0
  while (at < bytes.length) {
    const start = end + next()
    const length = next()
    each(start, length, next(), next())
    end = start + length
  }
}
