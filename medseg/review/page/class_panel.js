// The classes: which one is drawn, what is shown, what is locked, and live volumes with their change.

import { button, colored, element } from './dom.js'

export class ClassPanel {
  /** `on`: {chosen(pen), shown()}. */
  constructor(host, editor, planes, on) {
    Object.assign(this, { host, editor, planes, on })
  }

  load(data) {
    this.data = data
    this.rows = data.about.classes.map((one, n) => this.row(one, n + 1))
    const head = element('tr', {},
      element('td'), ...['Class', 'Volume', 'Show', 'Lock'].map((text) => element('th', { scope: 'col' }, text)))
    head.children[2].title = "And its change against the model's labels"
    this.host.replaceChildren(element('table', {}, element('thead', {}, head),
      element('tbody', {}, ...this.rows.map(({ row }) => row))))
    this.choose()
    this.update()
  }

  row(one, pen) {
    const key = pen <= 6 ? String(pen + 3) : ''
    const name = button(one.name, '', () => this.on.chosen(pen), { className: 'name', title: one.name })
    if (key) name.setAttribute('aria-keyshortcuts', key)
    const objects = element('span', { className: 'objects quiet' })
    const volume = element('span')
    const change = element('span', { className: 'change' })
    const show = element('input', { type: 'checkbox', checked: true, 'aria-label': `Show ${one.name}`, onchange: () => {
      this.planes.hidden[show.checked ? 'delete' : 'add'](pen)
      this.planes.recolor()
    } })
    const lock = element('input', { type: 'checkbox', 'aria-label': `Lock ${one.name}`, onchange: () => {
      this.editor.rules.locked[lock.checked ? 'add' : 'delete'](pen)
    } })
    const swatch = colored(element('i', { className: 'swatch', 'aria-hidden': 'true' }), one.color)
    const row = element('tr', {}, element('td', {}, element('kbd', { 'aria-hidden': 'true' }, key), swatch),
      element('td', { className: 'name' }, name, objects),
      element('td', { className: 'number' }, volume, change), element('td', {}, show), element('td', {}, lock))
    return { row, name, objects, volume, change, value: one.value }
  }

  choose() {
    this.rows?.forEach(({ row, name }, n) => {
      const chosen = n + 1 === this.editor.pen
      row.classList.toggle('chosen', chosen)
      name.setAttribute('aria-pressed', String(chosen))
      if (chosen) row.scrollIntoView({ block: 'nearest' })
    })
  }

  /** Volumes as they are now; only what changed is written. */
  update() {
    const { data } = this
    if (!data?.labels || !this.rows) return
    const ml = data.about.voxelMl
    this.rows.forEach(({ objects, volume, change, value }, n) => {
      if (data.about.things.has(value)) write(objects, countObjects(data.labels.objectCounts[n + 1], data.about.modelObjects.get(value)))
      const now = data.labels.counts[n + 1]
      write(volume, format(now, ml))
      const more = now - data.modelCounts[n + 1]
      write(change, more ? (more > 0 ? '+' : '−') + format(Math.abs(more), ml, '') : '')
    })
  }
}

/** How many objects there are, and how many more or fewer than the model's. */
export const countObjects = (now, before) =>
  `${now} ${now === 1 ? 'object' : 'objects'}${now === before ? '' : ` (${now > before ? '+' : '−'}${Math.abs(now - before)})`}`

const write = (cell, text) => {
  if (cell.textContent !== text) cell.textContent = text
}

/** mL with three digits, two of what is a few voxels; voxels where the size of one is not known. */
export function format(voxels, ml, unit = ml ? ' ml' : ' vx') {
  if (!ml) return voxels + unit
  const value = voxels * ml
  return written(value) + unit
}

function written(value) {
  if (value === 0) return '0'
  if (value >= 100) return value.toFixed(0)
  if (value >= 0.1) return value.toPrecision(3)
  return value >= 1e-5 ? value.toPrecision(2) : value.toExponential(1)
}
