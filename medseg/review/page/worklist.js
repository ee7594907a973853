// The worklist: cases by review priority, filters, search, and how far the reader has come.

import { button, element, find } from './dom.js'

export const FILTERS = {
  all: () => true,
  open: (row) => !row.isJudged,
  warnings: (row) => row.warnings.length > 0,
  corrected: (row) => row.isCorrected,
  accepted: (row) => row.state === 'accepted',
  rejected: (row) => row.state === 'rejected',
}

/** Rows that pass a filter and whose id or warnings hold every word searched for. */
export function select(rows, filter, search) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return rows.filter((row) => {
    const text = [row.id, row.state, ...row.warnings].join(' ').toLowerCase()
    return FILTERS[filter](row) && words.every((word) => text.includes(word))
  })
}

/** The first case after one that is not judged, from the first again after the last; null where there is none. `shown`: rows to choose of. */
export function nextOpen(rows, shown, id) {
  const at = rows.findIndex((row) => row.id === id)
  const inTurn = [...rows.slice(at + 1), ...rows.slice(0, Math.max(0, at))]
  const toChoose = new Set(shown)
  return inTurn.find((row) => !row.isJudged && toChoose.has(row)) ?? null
}

export class Worklist {
  /** `open(id)` opens a case. */
  constructor(open) {
    this.open = open
    this.rows = []
    this.filter = find('#filter')
    this.search = find('#search')
    this.list = find('#cases')
    this.filter.append(...Object.keys(FILTERS).map((name) => element('option', { value: name }, name)))
    this.filter.onchange = this.search.oninput = () => this.show()
    this.list.addEventListener('keydown', (event) => this.move(event))
  }

  load({ rows, missing, withoutLabels = [], reviewer, blind }) {
    this.rows = rows
    find('#reviewer').textContent = reviewer + (blind ? ', blinded' : '')
    const lost = find('#missing')
    const sentences = [
      missing.length && `${missing.length} ${missing.length === 1 ? 'case has' : 'cases have'} no scan here.`,
      ...['withheld', 'failed'].map((state) => {
        const count = withoutLabels.filter((one) => one === state).length
        return count && `${count} more ${state}, without labels to review.`
      }),
    ].filter(Boolean)
    lost.hidden = !sentences.length
    lost.textContent = sentences.join(' ')
    this.show()
  }

  row(id) {
    return this.rows.find((row) => row.id === id)
  }

  get shown() {
    return select(this.rows, this.filter.value, this.search.value)
  }

  get isEmpty() {
    return !this.shown.length
  }

  /** The next case to judge among those shown. */
  nextOpen(id) {
    return nextOpen(this.rows, this.shown, id)
  }

  /** Why no case is shown. */
  nothingShown() {
    const all = `${this.rows.length} ${this.rows.length === 1 ? 'case' : 'cases'}`
    const by = [this.filter.value !== 'all' && `the filter “${this.filter.value}”`, this.search.value.trim() && `the search “${this.search.value.trim()}”`]
    return this.rows.length ? `None of ${all} passes ${by.filter(Boolean).join(' and ')}.` : 'No case has labels to review.'
  }

  /** What there is to do once no case that is shown is open. */
  whatIsLeft() {
    const open = this.rows.filter((row) => !row.isJudged).length
    if (!open) return `All ${this.rows.length} cases are judged.`
    return `${open} ${open === 1 ? 'case is' : 'cases are'} open, and hidden by the filter or the search.`
  }

  /** The case before or after one among those shown; where it is not shown itself, the first. */
  neighbor(id, step) {
    const { shown } = this
    const at = shown.findIndex((row) => row.id === id)
    if (at >= 0) return shown[at + step] ?? null
    // The filter hides the open case, for instance once it is accepted: go on in the order of the whole list.
    const order = this.rows.findIndex((row) => row.id === id)
    const later = (row) => this.rows.indexOf(row) > order
    return (step > 0 ? shown.find(later) : shown.findLast((row) => !later(row))) ?? null
  }

  show(current = this.current) {
    const opened = current !== this.current
    const focused = this.list.contains(document.activeElement) ? document.activeElement.dataset.case : null
    this.current = current
    const { shown } = this
    const judged = this.rows.filter((row) => row.isJudged).length
    find('#progress-text').textContent = `${judged} of ${this.rows.length} judged` +
      (shown.length < this.rows.length ? `, ${shown.length} shown` : '')
    Object.assign(find('#progress'), { value: judged, max: Math.max(1, this.rows.length) })
    this.list.replaceChildren(...shown.map((row) => element('li', {}, this.item(row))))
    if (!shown.length) this.list.append(element('li', { className: 'quiet' }, this.nothingShown()))
    this.list.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'nearest' })
    // Whoever walks through the list stays there; a case that is opened from it has the focus in its planes.
    const places = opened ? document.querySelectorAll('canvas[data-plane]') : this.list.querySelectorAll('button')
    if (focused) [...places].find((one) => one.checkVisibility() && (opened || one.dataset.case === focused))?.focus({ preventScroll: true })
  }

  item(row) {
    const warning = row.warnings[0] ?? ''
    const image = row.thumbnail
      ? element('img', { src: row.thumbnail, alt: '', loading: 'lazy', width: 44, height: 44 })
      : element('span', { className: 'no-image' })
    const state = row.state + (row.isCorrected ? ', corrected' : '')
    const item = button('', '', () => this.open(row.id), { title: [row.id, state, ...row.warnings].join('\n') })
    item.setAttribute('aria-current', String(row.id === this.current))
    item.dataset.case = row.id
    item.append(image, element('span', { className: 'case' },
      element('strong', {}, row.id),
      element('span', { className: `state ${row.state.split(',')[0]}` }, state),
      element('span', { className: 'warning' }, warning)))
    return item
  }

  /** Arrow keys walk through the list; Enter opens. */
  move(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (!step) return
    event.preventDefault()
    event.stopPropagation()
    const items = [...this.list.querySelectorAll('button')]
    items[items.indexOf(document.activeElement) + step]?.focus()
  }
}
