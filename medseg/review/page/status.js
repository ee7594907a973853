// What the page says of itself: the line at the bottom, the address, and `document.body.dataset` for programs.

import { sided, toWorld } from './anatomy.js'
import { find } from './dom.js'
import { writeLink } from './link.js'

const { dataset } = document.body

export class Status {
  constructor(planes, editor, saving) {
    Object.assign(this, { planes, editor, saving })
  }

  busy() {
    dataset.ready = '0'
  }

  ready() {
    dataset.ready = '1'
  }

  /** Say something to eye and screen reader. */
  say(text, bad = false) {
    const line = find('#message')
    line.classList.toggle('bad', bad)
    line.textContent = text
    line.title = text
  }

  /** What was said before something was drawn is about labels as they were; what went wrong stays. */
  outdate() {
    if (!find('#message').classList.contains('bad')) this.say('')
  }

  /** How much of the scan is here. */
  loading(data) {
    const bar = find('#loaded')
    Object.assign(bar, { max: data.dims[2], value: data.loaded.reduce((sum, one) => sum + one, 0) })
    find('#loading').hidden = data.isComplete
  }

  /** The case, its revision, and whether anything is unsaved. */
  saved() {
    const { data, isDirty } = this.saving
    dataset.case = data?.about.id ?? ''
    dataset.revision = data ? String(data.about.revision) : ''
    dataset.dirty = isDirty ? '1' : '0'
    const line = find('#saved')
    line.classList.toggle('dirty', isDirty)
    line.textContent = isDirty ? 'not saved yet' : data?.about.revision ? `revision ${data.about.revision}` : ''
    document.title = `${isDirty ? '• ' : ''}${data?.about.id ?? ''} – medseg review`
  }

  /** The crosshair: file index, world, value and class. */
  moved() {
    const { data, at } = this.planes
    if (!data?.image) return
    const voxel = data.order.toFile(at)
    dataset.voxel = String(voxel)
    const index = at[0] + data.dims[0] * (at[1] + data.dims[1] * at[2])
    const world = toWorld(data.header.affine, at)
    const pen = data.labels?.pens[index] ?? 0
    const name = pen ? data.about.classes[pen - 1].name : 'background'
    const value = data.loaded[at[2]] ? Number(data.value(index).toPrecision(5)) : '…'
    const line = find('#position')
    line.textContent = [
      `voxel ${voxel.join(' ')}`, !data.about.is2d && `${sided(world)} mm`, `value ${value}`, name,
    ].filter(Boolean).join(' · ')
    line.title = data.about.is2d ? line.textContent : `${line.textContent}\nmm to the patient’s right or left (R, L), front or back (A, P), head or feet (S, I) from the scan’s origin; ${world.map((mm) => mm.toFixed(1)).join(' ')} as NIfTI counts (RAS+).`
    for (const plane of this.planes.planes) {
      const label = `${plane.name} plane, slice ${at[plane.k] + 1} of ${data.dims[plane.k]}, ${name}`
      if (plane.canvas.ariaLabel !== label) plane.canvas.ariaLabel = label
    }
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.address(), 250)
  }

  /** The address leads back here, and never adds to the browser's history. */
  address() {
    const { data, at, look } = this.planes
    if (data?.image) history.replaceState(null, '', writeLink(data.about.id, data.order.toFile(at), look.window))
  }
}
