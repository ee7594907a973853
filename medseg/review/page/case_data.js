// One case in memory: the scan, the labels of the newest revision and the model's. Under 4 bytes a voxel for a CT.

import { onScreen } from './dom.js'
import { countSlices, Labels, pensFor } from './labels.js'
import { allocate, free, recycle } from './memory.js'
import { encode } from './runs.js'
import { cut, fetchHeader, readSlabs } from './slabs.js'

// The middle of a scan that is enough to work on it while the rest comes: all of most scans. It is what the next case
// holds before it is opened, so it must be little beside a large open one.
const ENOUGH_BYTES = 80 << 20

export class CaseData {
  /** `about`: what the server says of the case, as `api.js` gives it. */
  constructor(about, api) {
    this.about = about
    this.api = api
    this.abort = new AbortController()
    this.slabs = [] // of the scan, kept aside until the case is opened
    this.bytes = 0 // asked for
    this.here = 0 // bytes that came
    this.slice = null // the slice to load around; null for the middle
    this.onSlab = () => {}
    this.image = null
    this.onScreen = new Promise((done) => (this.showFirst = () => onScreen().then(done))) // its slice to load around
  }

  near = () => this.slice ?? this.header.dims[2] >> 1

  /** Read the headers and the first slabs: all of a small case, the middle of a large one. */
  async prefetch() {
    await this.start()
    const enough = () => this.image === null && this.bytes >= ENOUGH_BYTES
    await Promise.all([this.labelsRead, this.readImage(enough)])
  }

  /** Read headers, and begin with the labels. Each step happens once, however often it is asked for. */
  start() {
    this.started ??= (async () => {
      const { signal } = this.abort
      const { id } = this.about
      const [header, labelHeader] = await Promise.all([
        fetchHeader(this.api.imageAddress(id), signal),
        fetchHeader(this.api.labelsAddress(id), signal),
      ])
      if (String(header.dims) !== String(labelHeader.dims)) throw new Error('Scan and labels have different grids.')
      Object.assign(this, { header, labelHeader })
      this.dims = header.dims
      this.plane = this.dims[0] * this.dims[1]
      this.loaded = new Uint8Array(this.dims[2])
      this.missing = cut(this.dims[2], this.plane * header.Values.BYTES_PER_ELEMENT)
      // The scan first: it is seen at once, and labels come over it.
      const first = new Promise((resolve) => (this.firstCame = resolve))
      this.labelsRead = first.then(() => this.readLabels())
      this.labelsRead.catch(() => {}) // whoever waits for it hears of it
    })()
    return this.started
  }

  /**
   * Open for work: shows slabs as they come, and is done when all labels are here and enough of the scan; `complete`
   * is done when all of it is.
   */
  async open(onSlab, slice) {
    await this.start()
    this.slice = slice?.() ?? null
    this.onSlab = onSlab
    this.image = allocate('scan', this.header.Values, this.plane * this.dims[2])
    for (const [first, values] of this.slabs.splice(0)) this.take(first, values)
    this.show()
    const complete = this.readImage(() => false)
    this.complete = complete.then(() => onSlab())
    this.complete.catch(() => {})
    await this.labelsRead
    this.labels = new Labels(this.dims, this.about.classes.length, this.newest, this.newestIds)
    this.readings = this.about.readings.map(({ name }, n) =>
      ({ name, slices: this.others[n], labels: new Labels(this.dims, this.about.classes.length, this.others[n]) }))
    this.modelCounts = countSlices(this.model, this.about.classes.length)
    onSlab()
    if (this.here < ENOUGH_BYTES) await Promise.race([complete, new Promise((done) => (this.enoughCame = done))])
  }

  /** Show what is here; the rest may come once the slice to load around was seen. */
  show() {
    this.onSlab()
    if (this.image && this.loaded[this.near()]) this.showFirst()
  }

  get isComplete() {
    return this.image !== null && this.loaded.every(Boolean)
  }

  /** Whether a voxel's value is here yet. */
  has(index) {
    return this.loaded[Math.floor(index / this.plane)] === 1
  }

  /** The scan's own value of a voxel. */
  value(index) {
    return this.image[index] * this.header.slope + this.header.intercept
  }

  async readImage(enough) {
    const target = (first, end) => {
      this.bytes += (end - first) * this.plane * this.header.Values.BYTES_PER_ELEMENT
      return this.image
        ? this.image.subarray(first * this.plane, end * this.plane)
        : new this.header.Values((end - first) * this.plane)
    }
    const came = (first, end) => {
      if (!this.image || this.abort.signal.aborted) return
      this.loaded.fill(1, first, end)
      this.onSlab()
    }
    const place = (first, values) => {
      if (this.abort.signal.aborted) return
      if (!this.image) this.slabs.push([first, values])
      else if (values.buffer !== this.image.buffer) this.take(first, values)
      this.loaded.fill(1, first, first + values.length / this.plane)
      this.firstCame()
      this.here += values.byteLength
      if (this.here >= ENOUGH_BYTES) this.enoughCame?.()
      this.show()
    }
    const { signal } = this.abort
    // A prefetch may still be reading slabs that are no longer on the list: wait for those too.
    const before = this.reading
    const reading = readSlabs(this.api.imageAddress(this.about.id), this.header, this.missing, {
      target, place, came, near: this.near, onScreen: () => this.image && this.onScreen, signal, enough,
    })
    this.reading = Promise.all([before, reading])
    this.reading.catch(() => {})
    await this.reading
  }

  /** Put a slab that was kept aside into the scan. */
  take(first, values) {
    this.image.set(values, first * this.plane)
    free(values)
  }

  async readLabels() {
    this.newest = await this.readSlices(this.api.labelsAddress(this.about.id), this.labelHeader)
    this.model = this.newest
    if (this.about.revision > 0) {
      const address = this.api.labelsAddress(this.about.id, 'model')
      this.model = await this.readSlices(address, await fetchHeader(address, this.abort.signal))
    }
    this.others = []
    for (const { name } of this.about.readings) {
      const address = this.api.labelsAddress(this.about.id, name)
      this.others.push(await this.readSlices(address, await fetchHeader(address, this.abort.signal)))
    }
    if (!this.about.hasObjects) return
    this.newestIds = await this.readIds()
    this.modelIds = this.about.revision > 0 ? await this.readIds('model') : this.newestIds
  }

  /** Read the ids of objects as runs. */
  async readIds(of) {
    const address = this.api.instancesAddress(this.about.id, of)
    return this.readRuns(address, await fetchHeader(address, this.abort.signal), (values) => Int32Array.from(values))
  }

  /** Read labels as runs of pens. */
  async readSlices(address, header) {
    const { classes } = this.about
    const pens = new Int32Array(65536).fill(-1)
    pens[0] = 0
    classes.forEach(({ value }, n) => (pens[value] = n + 1))
    const Pens = pensFor(classes.length)
    return this.readRuns(address, header, (values) => Pens.from(values, (value) => {
      const pen = pens[value] ?? -1
      if (pen < 0) throw new Error(`The labels have the value ${value}, which no class has.`)
      return pen
    }))
  }

  /** Read a volume as runs, a few slices at a time. `translate`: the values of runs as they are kept. */
  async readRuns(address, header, translate) {
    const slices = new Array(this.dims[2])
    const place = (first, values) => {
      for (let z = 0; z < values.length / this.plane; z++) {
        const runs = encode(values, z * this.plane, (z + 1) * this.plane)
        slices[first + z] = { ends: runs.ends, values: translate(runs.values) }
      }
      free(values)
    }
    const missing = cut(this.dims[2], this.plane * header.Values.BYTES_PER_ELEMENT)
    const target = (first, end) => new header.Values((end - first) * this.plane)
    await readSlabs(address, header, missing, { target, place, near: this.near, signal: this.abort.signal })
    return slices
  }

  /** Stop reading and give the memory back. */
  release() {
    this.abort.abort()
    for (const [, values] of this.slabs.splice(0)) free(values)
    recycle('scan', this.image)
    this.image = null
    this.labels?.release()
    for (const { labels } of this.readings ?? []) labels.release()
  }
}
