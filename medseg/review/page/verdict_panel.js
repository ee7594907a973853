// Accept, reject with a reason, take back. A verdict is about the revision on the screen, and is refused when it is not.

import { button, element, find } from './dom.js'

// Before a verdict that does not count any more.
const CHANGED = {
  'open, model changed': 'The model’s labels changed since this verdict: ',
  'open, labels changed': 'Not judged yet: the labels were changed after this verdict: ',
}

export class VerdictPanel {
  /** `on`: {accept(comment), reject(reason, comment), takeBack()}. */
  constructor(host, reasons, on) {
    this.on = on
    this.dialog = find('#reject')
    this.reasons = reasons
    this.state = element('p', { className: 'verdict-state' })
    this.comment = field(1)
    this.dialogComment = field(2) // the same comment, in the dialog
    this.dialogComment.oninput = () => (this.comment.value = this.dialogComment.value)
    this.back = button('Take back', 'u', () => on.takeBack())
    host.replaceChildren(element('h2', {}, 'Verdict'), this.state, this.comment,
      element('div', { className: 'pair' },
        button('Accept', 'a', () => on.accept(this.comment.value), { className: 'accept' }),
        button('Reject', 'x', () => this.askReason(), { className: 'reject' }), this.back))
    this.build()
  }

  build() {
    const answers = this.reasons.map((reason, n) => button(reason, n < 9 ? String(n + 1) : '', () => this.answer(n)))
    this.dialog.replaceChildren(element('h2', { id: 'reject-title' }, 'Why is it rejected?'),
      element('div', { className: 'reasons' }, ...answers), this.dialogComment,
      element('p', { className: 'quiet' }, 'c goes to the comment, Enter back to the reasons; a reason rejects at once.'),
      button('Cancel', 'Escape', () => this.dialog.close()))
    this.dialog.onkeydown = (event) => {
      const types = event.target === this.dialogComment
      if (types ? event.key === 'Enter' && !event.shiftKey : event.key === 'c') {
        event.preventDefault()
        ;(types ? answers[0] : this.dialogComment).focus()
      }
      if (types) return
      const n = Number(event.key) - 1
      if (n >= 0 && n < this.reasons.length) {
        event.preventDefault()
        this.answer(n)
      }
    }
  }

  load({ about }) {
    this.comment.value = ''
    this.show(about)
  }

  show({ verdict, state }) {
    this.back.disabled = !verdict
    this.state.textContent = !verdict ? 'Not judged yet.'
      : `${CHANGED[state] ?? ''}` +
        `${verdict.kind === 'accept' ? 'accepted' : `rejected (${verdict.reason})`}` +
        `${verdict.who ? ` by ${verdict.who}` : ''}${verdict.comment ? `: ${verdict.comment}` : ''}`
  }

  askReason() {
    if (this.dialog.open) return
    this.dialogComment.value = this.comment.value
    this.dialog.showModal()
  }

  answer(n) {
    this.dialog.close()
    this.on.reject(this.reasons[n], this.comment.value)
  }
}

const field = (rows) => element('textarea', { rows, maxLength: 2000, placeholder: 'Comment. No patient data.', 'aria-label': 'Comment' })
