// Two readings that a third person settles: their outlines over the scan, and buttons that take one of them whole.

import { button, element } from './dom.js'

// Apart in color and in dash, for whoever sees colors otherwise.
export const LOOKS = [
  { color: '#56b4e9', dash: [], name: 'solid' },
  { color: '#ff9f1c', dash: [5, 4], name: 'dashed' },
]
const KEYS = ['f', 'j']

export class ReadingsPanel {
  /** `take(n)` makes the n-th reading the labels. */
  constructor(host, take) {
    Object.assign(this, { host, take })
  }

  load({ about }) {
    const { readings, dispute } = about
    this.host.hidden = !readings.length
    if (!readings.length) return
    this.host.replaceChildren(
      element('h2', {}, 'Two readings', element('span', { className: 'aside' }, dispute ? summary(dispute) : '')),
      ...readings.map(({ name, verdict }, n) => element('div', { className: 'reading' }, mark(n),
        element('span', {}, `${name}: ${LOOKS[n].name}, ${verdict ?? 'not judged'}`),
        button(`Take ${name}`, KEYS[n], () => this.take(n)))))
  }
}

const summary = ({ class: name, dice, verdicts_differ: differ }) =>
  [name && `${name}: Dice ${dice.toFixed(2)}`, differ && 'different verdicts'].filter(Boolean).join(', ')

function mark(n) {
  const made = element('span', { className: 'reading-mark', 'aria-hidden': 'true' })
  made.style.borderTop = `3px ${LOOKS[n].dash.length ? 'dashed' : 'solid'} ${LOOKS[n].color}`
  return made
}
