// The line above the planes: what happened to a case elsewhere, and what can be done about it.

import { button, find } from './dom.js'

const LOADED = 'The newest labels are loaded. Undo brings yours back.'

export class Notices {
  constructor(app) {
    this.app = app
  }

  /** What is to be known of a case before it is judged. */
  onOpening({ isOfEarlierModel, elsewhere }) {
    const texts = [
      isOfEarlierModel && 'These labels were drawn before the model’s labels changed. Press m for those it makes now; undo brings these back.',
      elsewhere && `This case is open elsewhere too (${elsewhere}). Whoever saves second is asked what to keep.`,
    ]
    this.show(texts.filter(Boolean).join(' '))
  }

  /** A line above the planes, with what can be done about it. */
  show(text, ...buttons) {
    const line = find('#notice')
    line.hidden = !text
    line.replaceChildren(text, ...buttons)
  }

  modelChanged() {
    this.show('The model’s labels of this case changed since it was opened.', button('Open it again', '', () => this.app.open(this.app.data.about.id)))
  }

  conflict(error) {
    const decide = (act, done) => async () => {
      try {
        this.show('')
        await act()
        if (done) this.app.say(done)
      } catch (failure) {
        if (this.app.saving.conflict && find('#notice').hidden) this.conflict(error) // it is still to be decided
        this.app.say(failure.message, true)
      }
    }
    const { id } = this.app.data.about
    const reopen = (act) => decide(async () => {
      await act()
      await this.app.open(id)
    })
    this.app.say(error.message, true)
    if (error.isModelOther) {
      this.show('The model’s labels changed while this case was open. Nothing was saved, and what you drew is kept here.',
        button('Save mine as the newest', '', reopen(this.app.act.keepMine)),
        button('Show what is there now, without mine', '', reopen(() => this.app.saving.giveUp())))
      return
    }
    this.show('Somebody saved this case meanwhile. Nothing was merged, and what you drew is kept here.',
      button('Save mine as the newest', '', decide(this.app.act.keepMine, 'What you drew is the newest revision now.')),
      button('Load theirs (undo brings mine back)', '', decide(this.app.act.loadOther, LOADED)))
  }

  newer(revision) {
    if (this.app.saving.conflict) return
    const text = revision ? `Revision ${revision} of this case was saved in another window.` : 'A newer revision of this case was saved in another window.'
    const load = async () => {
      try {
        await this.app.act.loadOther()
        this.show('')
        this.app.say(LOADED)
      } catch (error) {
        this.app.say(error.message, true)
      }
    }
    this.show(text, button('Load it (undo brings mine back)', '', load))
  }
}
