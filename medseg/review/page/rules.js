// What a tool may draw over: asked for every voxel, by every tool, in one place.

export class Rules {
  constructor(data) {
    this.data = data
    this.limits = null // [low, high]: draw only on these values of the scan
    this.over = null // null: anything; 0: background only; n: only that class
    this.overByClicks = 0 // the same of what a click's answer adds: never over other classes unless asked
    this.locked = new Set() // pens that stay as they are
  }

  allows(index, before, pen) {
    return (this.over === null || before === this.over) && this.permits(index, before, pen)
  }

  /** The same of an answer to clicks: what it may be drawn over says nothing of what it takes away. */
  ofAnswers() {
    return {
      allows: (index, before, pen) => {
        const isOver = !pen || this.overByClicks === null || before === this.overByClicks
        return isOver && this.permits(index, before, pen)
      },
      holdingBack: (index, before, pen) => {
        if (this.locked.has(before) || this.locked.has(pen)) return 'Lock'
        return this.permits(index, before, pen) ? 'draw over' : 'values'
      },
    }
  }

  permits(index, before, pen) {
    if (this.locked.has(before) || this.locked.has(pen)) return false
    if (this.limits && pen) {
      if (!this.data.has(index)) return false // its value has not come yet
      const value = this.data.value(index)
      // NaN lies between no limits.
      if (!(value >= this.limits[0] && value <= this.limits[1])) return false
    }
    return true
  }
}
