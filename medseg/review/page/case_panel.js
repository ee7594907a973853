// What a reader must know of a case: why it was flagged, what the model is for, its limits, and the trail so far.

import { element } from './dom.js'

const TRAIL = 8
// More than this is folded away, so that the card stays on one screen.
const NOTES = 1

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
    ...(notes.length > NOTES ? [folded(`${notes.length} notes`, list(notes, 'quiet'))] : notes.length ? [list(notes, 'quiet')] : []),
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

/** What is good to know, behind a line that opens it. */
const folded = (title, content) => element('details', {}, element('summary', {}, title), content)

function trail(events) {
  if (!events.length) return []
  const line = ({ time, who, text }) => [element('time', { dateTime: time }, time.slice(0, 16).replace('T', ' ')), ` ${who} ${text}`]
  const all = element('ol', { className: 'trail', reversed: true }, ...events.slice(-TRAIL).reverse().map((one) => element('li', {}, ...line(one))))
  const [last] = events.slice(-1)
  return [element('h2', {}, 'Trail'), events.length > 1
    ? element('details', { className: 'trail' }, element('summary', {}, ...line(last), `, and ${events.length - 1} before`), all)
    : all]
}
