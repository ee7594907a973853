// What a tool may draw over: asked for every voxel, by every tool, in one place.

export class Rules {
  constructor(data) {
    this.data = data
    this.limits = null // [low, high]: draw only on these values of the scan
    this.over = null // null: anything; 0: background only; n: only that class
    this.locked = new Set() // pens that stay as they are
  }

  allows(index, before, pen) {
    if (this.locked.has(before) || this.locked.has(pen)) return false
    if (this.over !== null && before !== this.over) return false
    if (this.limits && pen) {
      if (!this.data.has(index)) return false // its value has not come yet
      const value = this.data.value(index)
      // NaN lies between no limits.
      if (!(value >= this.limits[0] && value <= this.limits[1])) return false
    }
    return true
  }
}
