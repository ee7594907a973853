// Clicks: each mark is answered by the server, one after the other, and each answer is one step for undo.

import { Edit } from '../history.js'
import { Mark, marked, Round } from './marks.js'
import { applyAnswer, boxAround, presentRuns } from './suggestion.js'

const INSIDE = '#7CFC00'
const OUTSIDE = '#ff5c5c'
const WALKER_REACH = 48 // voxels around all marks: no less than the random walker looks at
const NOTHING = new Set()

export class Clicks {
  /** `suggest(asked, signal)`: what the server answers. */
  constructor(editor, suggest) {
    Object.assign(this, { editor, suggest })
    this.waiting = [] // marks without an answer, the oldest first
    this.round = null // whose marks are shown, and which the next mark joins
    this.changes = -1 // of the editor, as the marks know them
  }

  /** The case is being left: nothing of it is waited for. */
  clear() {
    this.abort?.abort()
    this.waiting = []
    this.round = null
  }

  /** The tool is put aside: marks are hidden; what was asked for is still drawn. */
  hide() {
    this.round = null
  }

  get isWaiting() {
    return this.waiting.length > 0
  }

  /** Whether an answer to these marks fits what is on the screen. */
  fits(round) {
    const { labels, changes, stroke } = this.editor
    return round.labels === labels && this.changes === changes && (!stroke || stroke.tool instanceof Mark)
  }

  begin(plane, isOutside) {
    const { editor } = this
    const { labels, pen, changes } = editor
    if (this.changes !== changes) this.giveUp()
    if (!this.round || this.round.labels !== labels || this.round.pen !== pen || this.changes !== changes) {
      this.round = new Round(labels, pen, editor.data.about.classes[pen - 1])
    }
    this.changes = changes
    return new Mark(this.round, editor, plane, isOutside, (mark) => this.add(mark))
  }

  add(mark) {
    this.aim(mark)
    mark.round.marks.push(mark)
    this.waiting.push(mark)
    this.work()
  }

  /**
   * Of a class of objects, a model's clicks are about one: that under the mark's first voxel, or a new one where a mark
   * that belongs begins on the background. Marks of another object are let go.
   */
  aim(mark) {
    const { round, first, isOutside } = mark
    const { labels, pen } = round
    const { clicks: model, things } = this.editor.data.about
    if (!model || !labels.ids || !things.has(round.value)) return
    const index = labels.index(first)
    const object = labels.pens[index] === pen ? labels.ids[index] : 0
    if (object ? object === round.object : isOutside) return
    mark.round = this.round = new Round(labels, pen, round, object || labels.newId())
  }

  /** Have what waits answered, one mark after the other. */
  async work() {
    if (this.isBusy) return
    this.isBusy = true
    while (this.isWaiting) {
      const [mark] = this.waiting
      await this.answer(mark)
      if (this.waiting[0] === mark) this.waiting.shift()
    }
    this.isBusy = false
  }

  async answer(mark) {
    const { editor } = this
    if (!this.fits(mark.round)) return this.giveUp()
    const asked = this.question(mark)
    if (asked.isFromNothing && !asked.inside.length) {
      return this.settle(mark, `Now mark what does belong to ${mark.round.name}, with the left button.`)
    }
    // A random walker that draws from nothing hears all marks at once, so only the newest that waits is asked.
    if (asked.isFromNothing && this.waiting.some((one) => one !== mark && one.round === mark.round)) return this.settle(mark)
    const { signal } = (this.abort = new AbortController())
    const { clicks: model } = editor.data.about
    editor.on.say(model ? `${model.model} is at work…` : 'The random walker is at work…')
    try {
      const answer = await this.suggest(asked, signal)
      if (signal.aborted) return
      if (this.fits(mark.round)) this.draw(mark, answer, asked)
      else this.giveUp()
    } catch (error) {
      if (signal.aborted) return
      if (this.fits(mark.round)) this.settle(mark, error.message, true)
      else editor.on.say(error.message, true)
    }
  }

  /** What the server is asked: all marks up to one, and what is drawn around them. */
  question(mark) {
    const { round } = mark
    const { labels, value, pen } = round
    const { clicks: model } = this.editor.data.about
    const marks = round.upTo(mark)
    const places = marks.map((one) => one.voxels)
    round.object ||= this.editor.objectFor(pen, marks[0].first)
    const box = model ? boxAround([mark.first], model.reach, labels.dims)
      : boxAround(places.flat(), [WALKER_REACH, WALKER_REACH, WALKER_REACH], labels.dims)
    let present = presentRuns(labels, box, (index) => round.belongs(index))
    const drawn = marks.at(-2)?.drawn ?? NOTHING
    if (!model && drawn.size) {
      // What these marks drew from nothing is drawn anew, by all of them, while nothing else of the class is here.
      const others = presentRuns(labels, box, (index) => round.belongs(index) && !drawn.has(index))
      if (others.runs.length === 1) present = others
    }
    const isFromNothing = !model && present.runs.length === 1
    const [inside, outside] = marked(marks).map((indices) => indices.map((index) => labels.voxel(index)))
    const strokes = marks.map(({ isOutside }, n) => ({ outside: isOutside, voxels: places[n] }))
    return { value, inside, outside, strokes, present, isFromNothing, drawn }
  }

  /** Draw an answer, and say what it did. */
  draw(mark, answer, { isFromNothing, drawn }) {
    const { editor } = this
    const { round } = mark
    const { labels, pen, name } = round
    const { rules } = editor
    const edit = new Edit(labels, rules.ofAnswers(), round.object)
    const made = isFromNothing ? new Set(drawn) : null
    const belongs = (index) => round.belongs(index)
    const { added, removed, taken, held } = applyAnswer(edit, labels, answer, pen, belongs, made)
    round.box = answer.box
    mark.drawn = made
    const others = labels.ids ? 'other classes or objects' : 'other classes'
    const parts = [
      added + removed ? `${name}: +${added} −${removed} voxels` : `${name}: nothing changed`,
      taken && `${taken} of them taken from ${others}`,
      ...Object.entries(held).map(([rule, count]) => `${count} ${rule === 'others' ? `left to ${others}` : `held back by ${rule}`}`),
    ].filter(Boolean).join(', ')
    this.step(mark, edit)
    editor.on.say(`${parts} (${this.answeredBy(answer)}).`, Boolean(answer.fault))
  }

  answeredBy({ byModel, fault, usesProbabilities }) {
    const model = this.editor.data.about.clicks?.model
    if (byModel) return fault ? `only what you marked: ${model} ${fault}` : model
    return `random walker, ${usesProbabilities ? 'scan and probabilities' : 'scan'}${fault ? `; ${model} ${fault}` : ''}`
  }

  /** A mark that changes nothing is a step, too, so that undo takes it back and nothing before it. */
  settle(mark, text = '', isBad = false) {
    const { labels } = mark.round
    mark.drawn = mark.round.upTo(mark).at(-2)?.drawn
    this.step(mark, new Edit(labels, this.editor.rules))
    if (text) this.editor.on.say(text, isBad)
  }

  step(mark, edit) {
    this.editor.finish(edit, mark)
    this.changes = this.editor.changes
  }

  /** Undo takes a mark that waits back; whether there was one. */
  cancel() {
    const mark = this.waiting.pop()
    if (!mark) return false
    if (!this.waiting.length) this.abort?.abort()
    mark.round.remove(mark)
    this.editor.on.say('The mark was taken back before its answer came.')
    return true
  }

  /** A step was undone or done again, `changes` before: its mark goes or comes with it. */
  stepped(mark, isBack, changes) {
    mark.round.remove(mark)
    if (!isBack) mark.round.marks.push(mark)
    if (this.changes === changes) this.changes = this.editor.changes
  }

  /** Something else was drawn: what waits is not about that. */
  giveUp() {
    if (!this.isWaiting) return
    this.abort?.abort()
    for (const mark of this.waiting) mark.round.remove(mark)
    this.waiting = []
    this.editor.on.say('You drew meanwhile, so the answer was not used. Mark again.')
  }

  /** Marks in the slice that is shown, and the box that was looked at. */
  paint(plane, context, at) {
    const { round } = this
    const { labels, pen, changes, stroke } = this.editor
    if (!round || round.labels !== labels || round.pen !== pen || this.changes !== changes) return
    const { a, b } = plane.frame()
    const marks = stroke?.tool instanceof Mark ? [...round.marks, stroke.tool] : round.marks
    marked(marks).forEach((indices, kind) => {
      context.fillStyle = kind ? OUTSIDE : INSIDE
      for (const index of indices) {
        const voxel = labels.voxel(index)
        if (voxel[plane.k] !== at[plane.k]) continue
        const [x, y] = plane.center(voxel)
        context.fillRect(x - a / 4, y - b / 4, a / 2, b / 2)
      }
    })
    if (!round.box) return
    const { low, size } = round.box
    if (at[plane.k] < low[plane.k] || at[plane.k] >= low[plane.k] + size[plane.k]) return
    const last = low.map((value, axis) => value + size[axis] - 1)
    const [x0, y0] = plane.center(last)
    const [x1, y1] = plane.center(low)
    context.setLineDash([4 * plane.ratio, 4 * plane.ratio])
    context.strokeRect(Math.min(x0, x1) - a / 2, Math.min(y0, y1) - b / 2, Math.abs(x1 - x0) + a, Math.abs(y1 - y0) + b)
    context.setLineDash([])
  }
}
