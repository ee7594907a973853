// Clicks: what belongs to the class and what does not is marked, and the server suggests its voxels around the marks.

import { footprint } from '../brush.js'
import { Edit } from '../history.js'
import { line } from './pen.js'
import { applyAnswer, applySuggestion, boxAround, presentRuns } from './suggestion.js'

const INSIDE = '#7CFC00'
const OUTSIDE = '#ff5c5c'
const MOST_MARKS = 20000 // of one kind, as the server takes them

/** What a stroke marks: the voxels under the brush along its way. */
class MarkStroke {
  constructor(clicks, plane, isOutside) {
    const { labels, brush, spacing } = clicks.editor
    Object.assign(this, { clicks, labels, plane, isOutside, last: null, marked: new Set(), first: null })
    this.offsets = footprint(brush, spacing, plane)
  }

  to(voxel) {
    const { plane, labels, clicks, isOutside } = this
    for (const center of this.last ? line(this.last, voxel, plane) : [voxel]) {
      for (const [du, dv, dk] of this.offsets) {
        const at = [0, 0, 0]
        at[plane.u] = center[plane.u] + du
        at[plane.v] = center[plane.v] + dv
        at[plane.k] = center[plane.k] + dk
        if (!at.every((index, axis) => index >= 0 && index < labels.dims[axis])) continue
        clicks.mark(labels.index(at), isOutside)
        this.marked.add(labels.index(at))
      }
    }
    this.isScribble = this.first !== null && (this.isScribble || voxel.some((at, axis) => at !== this.first[axis]))
    this.first ??= voxel
    this.last = voxel
  }

  end() {
    if (!this.last) return
    const { labels, isOutside, first } = this
    this.clicks.aim(labels, first, isOutside, this.marked)
    const scribbled = () => [...this.marked].slice(0, MOST_MARKS).map((index) => labels.voxel(index))
    this.clicks.strokes.push({ outside: isOutside, voxels: this.isScribble ? scribbled() : [first] })
    this.clicks.ask()
  }
}

/** The marks of one class, kept until something else is drawn; each new one asks for a suggestion that replaces the last. */
export class Clicks {
  /** `suggest({value, inside, outside}, signal)`: what the server answers. */
  constructor(editor, suggest) {
    Object.assign(this, { editor, suggest })
    this.clear()
  }

  clear() {
    this.abort?.abort()
    this.inside = new Set()
    this.outside = new Set()
    this.strokes = [] // clicks and scribbles, the oldest first
    this.object = 0 // that the clicks are about, where there are objects
    this.box = null
    this.change = null // the suggestion that is drawn, which the next one replaces
    this.changes = -1
  }

  /** Whether the marks are still about what is on the screen. */
  get isCurrent() {
    const { labels, pen, changes } = this.editor
    return this.labels === labels && this.pen === pen && this.changes === changes
  }

  begin(plane, isOutside) {
    if (!this.isCurrent) {
      this.clear()
      const { labels, pen, changes } = this.editor
      Object.assign(this, { labels, pen, changes })
    }
    this.abort?.abort() // an answer to fewer marks is no longer wanted
    return new MarkStroke(this, plane, isOutside)
  }

  mark(index, isOutside) {
    const [to, from] = isOutside ? [this.outside, this.inside] : [this.inside, this.outside]
    from.delete(index)
    if (to.size < MOST_MARKS) to.add(index)
  }

  async ask() {
    const { editor, labels } = this
    const { clicks: model, classes } = editor.data.about
    if (!this.inside.size && !model) {
      editor.on.say(`Now mark what does belong to ${editor.penName}, with the left button.`)
      return
    }
    const { signal } = (this.abort = new AbortController())
    const voxels = (set) => [...set].map((index) => labels.voxel(index))
    editor.on.say(model ? `${model.model} is at work…` : 'The random walker is at work…')
    const { value } = classes[this.pen - 1]
    const marks = { value, inside: voxels(this.inside), outside: voxels(this.outside) }
    if (model) Object.assign(marks, this.forModel(model))
    try {
      const answer = await this.suggest(marks, signal)
      if (signal.aborted || editor.stroke) return
      if (this.isCurrent) answer.byModel ? this.drawAnswer(answer) : this.draw(answer)
      else editor.on.say('You drew meanwhile, so the suggestion was not used. Mark again.')
    } catch (error) {
      if (!signal.aborted) editor.on.say(error.message, true)
    }
  }

  /**
   * Of a class of objects, a model's clicks are about one: that under the stroke's first voxel, or a new one where a
   * stroke inside begins on the background. Marks of another object are let go.
   */
  aim(labels, voxel, isOutside, marked) {
    const { editor, pen } = this
    const { clicks: model, things, classes } = editor.data.about
    if (!model || !labels.ids || !things.has(classes[pen - 1].value)) return
    const index = labels.index(voxel)
    const object = labels.pens[index] === pen ? labels.ids[index] : 0
    if (object ? object === this.object : isOutside) return
    this.strokes = []
    this.inside = new Set(isOutside ? [] : marked)
    this.outside = new Set(isOutside ? marked : [])
    this.object = object || labels.newId()
  }

  /** What a model needs besides: the strokes in turn, and what is drawn around the newest. */
  forModel({ reach }) {
    const { labels, editor, strokes } = this
    this.object ||= editor.objectFor(this.pen, strokes[0].voxels[0])
    const box = boxAround(strokes.at(-1).voxels[0], reach, labels.dims)
    return { strokes, present: presentRuns(labels, box, (index) => this.belongs(index)) }
  }

  /** Whether a voxel is of what the clicks are about: the class, or of several objects the one. */
  belongs(index) {
    const { labels, pen, object } = this
    return labels.pens[index] === pen && (!labels.ids || labels.ids[index] === object)
  }

  /** Draw what a model answers: one step, after which the marks stay for the next click. */
  drawAnswer(answer) {
    const { editor, labels } = this
    const edit = new Edit(labels, editor.rules, this.object)
    const { added, removed } = applyAnswer(edit, labels, answer, this.pen, editor.rules.over ?? 0, (index) => this.belongs(index))
    editor.finish(edit)
    this.changes = editor.changes
    this.box = answer.box
    const { model } = editor.data.about.clicks
    const by = answer.fault ? `only what you marked: ${model} ${answer.fault}` : model
    editor.on.say(`${editor.penName}: +${added} −${removed} voxels (${by}).`, Boolean(answer.fault))
  }

  /** Draw an answer as the one step that undo takes back, in place of the one before. */
  draw(answer) {
    const { editor, labels } = this
    const { history, rules } = editor
    if (this.change && history.past.at(-1) === this.change) {
      history.undo()
      history.future.pop()
      editor.touch()
    }
    const [first] = this.inside
    const edit = new Edit(labels, rules, labels.ids ? editor.objectFor(this.pen, labels.voxel(first)) : 0)
    const { added, removed } = applySuggestion(edit, labels, answer, this.pen, this.outside, rules.over ?? 0)
    this.change = editor.finish(edit)
    this.changes = editor.changes
    this.box = answer.box
    const by = answer.usesProbabilities ? 'scan and probabilities' : 'scan'
    const instead = answer.fault ? `; ${editor.data.about.clicks.model} ${answer.fault}` : ''
    editor.on.say(`${editor.penName}: +${added} −${removed} voxels (random walker, ${by}${instead}).`, Boolean(answer.fault))
  }

  /** Marks in the slice that is shown, and the box that was looked at. */
  paint(plane, context, at) {
    if (!this.isCurrent) return
    const { a, b } = plane.frame()
    for (const [set, color] of [[this.inside, INSIDE], [this.outside, OUTSIDE]]) {
      context.fillStyle = color
      for (const index of set) {
        const voxel = this.labels.voxel(index)
        if (voxel[plane.k] !== at[plane.k]) continue
        const [x, y] = plane.center(voxel)
        context.fillRect(x - a / 4, y - b / 4, a / 2, b / 2)
      }
    }
    if (!this.box) return
    const { low, size } = this.box
    if (at[plane.k] < low[plane.k] || at[plane.k] >= low[plane.k] + size[plane.k]) return
    const last = low.map((value, axis) => value + size[axis] - 1)
    const [x0, y0] = plane.center(last)
    const [x1, y1] = plane.center(low)
    context.setLineDash([4 * plane.ratio, 4 * plane.ratio])
    context.strokeRect(Math.min(x0, x1) - a / 2, Math.min(y0, y1) - b / 2, Math.abs(x1 - x0) + a, Math.abs(y1 - y0) + b)
    context.setLineDash([])
  }
}
