// What a reader must know of a case: why it was flagged, what the model is for, its limits, and the trail so far.

import { element } from './dom.js'

const TRAIL = 8

const list = (texts, className = '') =>
  element('ul', { className }, ...texts.map((text) => element('li', {}, text)))

export class CasePanel {
  constructor(host) {
    this.host = host
  }

  load({ about }) {
    this.host.replaceChildren(...why(about), ...model(about.card), ...trail(about.trail))
  }
}

function why({ warnings, notes, priority }) {
  const title = element('h2', {}, 'Why flagged', element('span', { className: 'aside' },
    priority === null ? '' : `review priority ${priority.toFixed(2)}`))
  return [
    title,
    warnings.length ? list(warnings, 'warnings') : element('p', { className: 'quiet' }, 'No warning. The checks found nothing unusual.'),
    ...(notes.length ? [list(notes, 'quiet')] : []),
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

function trail(events) {
  if (!events.length) return []
  return [element('h2', {}, 'Trail'), element('ol', { className: 'trail', reversed: true },
    ...events.slice(-TRAIL).reverse().map(({ time, who, text }) => element('li', {},
      element('time', { dateTime: time }, time.slice(0, 16).replace('T', ' ')), ` ${who} ${text}`)))]
}
