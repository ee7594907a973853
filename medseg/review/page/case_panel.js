// What a reader must know of a case: why it was flagged, what the model is for, its limits, and the trail so far.

import { button, element } from './dom.js'

const TRAIL = 8

const list = (texts, className = '') =>
  element('ul', { className }, ...texts.map((text) => element('li', {}, text)))

export class CasePanel {
  /** `dialog`: where all of it is shown at once, however much it is. */
  constructor(host, dialog) {
    Object.assign(this, { host, dialog })
  }

  load({ about }) {
    const open = button('all', '', () => this.dialog.showModal(), { title: 'Why it was flagged, the model and its limits, and the trail, on one screen' })
    this.host.replaceChildren(...why(about, open), ...model(about.card), ...folded('note', about.notes, list(about.notes, 'quiet')),
      ...folded('event', about.trail, trail(about.trail), 'Trail: '))
    const close = button('Close', 'Escape', () => this.dialog.close())
    const column = (...parts) => element('div', {}, ...parts)
    this.dialog.replaceChildren(element('h2', { id: 'card-title' }, about.id),
      element('div', { className: 'columns' },
        column(...why(about), ...(about.notes.length ? [element('h3', {}, 'Notes'), list(about.notes, 'quiet')] : [])),
        column(...model(about.card), ...(about.trail.length ? [element('h2', {}, 'Trail'), trail(about.trail)] : []))), close)
  }
}

function why({ warnings, priority }, ...more) {
  const title = element('h2', {}, 'Why flagged', element('span', { className: 'aside' },
    priority === null ? '' : `review priority ${priority.toFixed(2)}`), ...more)
  return [
    title,
    warnings.length ? list(warnings, 'warnings') : element('p', { className: 'quiet' }, 'No warning. The checks found nothing unusual.'),
  ]
}

function model(card) {
  if (!card) return []
  const parts = [element('h2', {}, 'Model'), element('p', {}, element('strong', {}, card.name), ` ${card.title}`)]
  if (card.dice.length) {
    parts.push(element('p', {}, 'Dice when it was measured: ',
      card.dice.map(({ name, dice }) => `${name} ${dice.toFixed(3)}`).join(', '), card.cases ? ` (${card.cases} cases)` : ''))
  } else parts.push(element('p', { className: 'quiet' }, 'Its card states no measured Dice.'))
  if (card.limits.length) parts.push(element('h3', {}, 'Limits'), list(card.limits))
  if (card.notice) parts.push(element('p', { className: 'quiet' }, card.notice))
  return parts
}

/** What is good to know, behind a line that says how much it is. */
const folded = (what, all, content, before = '') => all.length
  ? [element('details', {}, element('summary', {}, `${before}${all.length} ${what}${all.length === 1 ? '' : 's'}`), content)] : []

const trail = (events) => element('ol', { className: 'trail', reversed: true },
  ...events.slice(-TRAIL).reverse().map(({ time, who, text }) => element('li', {},
    element('time', { dateTime: time }, time.slice(0, 16).replace('T', ' ')), ` ${who} ${text}`)))
