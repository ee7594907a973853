// Correcting the labels of one case: tools, rules and history, apart from any panel.

import { Brush } from './brush.js'
import { Edit, History } from './history.js'
import { Rules } from './rules.js'
import { ChangeWriter } from './runs.js'
import { fillBetween, slicesDrawn, slicesThatDiffer } from './tools/between.js'
import { Clicks } from './tools/clicks.js'
import { keepIsland, removeIsland } from './tools/island.js'
import { Lasso } from './tools/lasso.js'
import { grow, shrink } from './tools/margin.js'
import { Merge, objectAt, remove, Split } from './tools/objects.js'
import { Pen } from './tools/pen.js'
import { revert } from './tools/revert.js'

export const TOOLS = ['crosshair', 'pen', 'eraser', 'lasso', 'click']
const DRAWING = new Set(['pen', 'eraser', 'lasso']) // what fill between goes by
const DRAWS_CLASS = new Set(['pen', 'lasso', 'click'])
export const OBJECT_TOOLS = ['merge', 'split']

export class Editor {
  /** `on`: {changed, tool, say, windowed, suggest}. */
  constructor(planes, on) {
    this.planes = planes
    this.on = on
    this.tool = 'crosshair'
    this.pen = 1
    this.pointer = null
    this.stroke = null
    this.changes = 0 // counts every change, so that saving knows what it saved
    this.clicks = new Clicks(this, (marks, signal) => on.suggest(marks, signal))
    planes.look.tool = (plane, context) => this.paintTool(plane, context)
  }

  /** Work on a case from now on. */
  load(data) {
    this.stroke = null
    this.clicks.clear()
    this.data = data
    this.labels = data.labels
    this.spacing = data.header.spacing.map((s) => s || 1)
    this.history = new History(data.labels)
    this.rules = new Rules(data)
    const kept = this.brush?.unit === Math.min(...this.spacing) ? this.brush : null
    this.brush = kept ?? new Brush(this.spacing)
    this.pen = Math.min(this.pen, data.about.classes.length) || 1
    this.changes = 0
  }

  /** The case is being left: nothing can be drawn until the next one is here. */
  unload() {
    this.stroke = null
    this.clicks.clear()
    this.labels = null
  }

  get draws() {
    return this.tool !== 'crosshair'
  }

  windowed() {
    this.on.windowed?.()
  }

  setTool(tool) {
    this.tool = tool
    if (tool !== 'click') this.clicks.hide()
    this.planes.look.crosshair = true
    this.on.tool?.()
    this.planes.draw()
  }

  /** What may be drawn over: by clicks, and by all other tools. */
  get over() {
    return this.rules[this.tool === 'click' ? 'overByClicks' : 'over']
  }

  setOver(pen) {
    this.rules[this.tool === 'click' ? 'overByClicks' : 'over'] = pen
  }

  setPen(pen) {
    if (pen < 1 || pen > this.data.about.classes.length) return
    this.pen = pen
    this.on.tool?.()
  }

  /** `isOutside`: whether clicks mark what does not belong to the class. */
  beginStroke(plane, isOutside = false) {
    if (!this.labels || this.stroke) return false
    const { labels, rules, brush, spacing } = this
    if (DRAWS_CLASS.has(this.tool) && rules.locked.has(this.pen)) {
      this.on.say(`${this.penName} is locked, so nothing is drawn. Untick Lock beside it in the list of classes.`, true)
      return false
    }
    const edit = new Edit(labels, rules)
    const pen = this.tool === 'eraser' ? 0 : this.pen
    const make = {
      lasso: () => new Lasso(edit, labels, plane, pen),
      merge: () => new Merge(edit, labels, plane),
      split: () => new Split(edit, labels, plane),
      click: () => this.clicks.begin(plane, isOutside),
    }[this.tool] ?? (() => new Pen(edit, labels, plane, brush, spacing, pen))
    const draws = this.tool === 'pen' || this.tool === 'lasso'
    this.stroke = { edit, tool: make(), plane, draws, begun: false }
    return true
  }

  /** `spot`: where the mouse is between voxels, [u, v]. */
  strokeTo(voxel, spot) {
    const { stroke } = this
    if (!stroke) return
    if (!stroke.begun && stroke.draws) stroke.edit.id = this.objectFor(this.pen, voxel)
    stroke.begun = true
    stroke.tool.to(voxel, spot)
    this.planes.draw()
  }

  endStroke() {
    if (!this.stroke) return
    const { edit, tool, plane } = this.stroke
    const outcome = tool.end()
    this.stroke = null
    const change = this.finish(edit)
    if (change && DRAWING.has(this.tool)) change.drawnAcross = plane.k
    if (outcome) this.on.say(outcome.nothing ?? (edit.length ? outcome.done : 'Nothing changed: the class is locked, or is not the one to draw over.'))
  }

  /** The object that is drawn at a voxel: the one that is there, or a new one; a class of no objects is one. */
  objectFor(pen, voxel) {
    const { labels, data } = this
    if (!labels.ids) return 0
    if (!data.about.things.has(data.about.classes[pen - 1].value)) {
      const index = labels.pens.indexOf(pen)
      if (index >= 0) return labels.ids[index]
    } else if (labels.pens[labels.index(voxel)] === pen) return objectAt(labels, voxel)
    return labels.newId()
  }

  /** Run a command as one edit; returns what the command returned. `draws`: whether it draws an object. */
  run(command, draws = false) {
    if (!this.labels || this.stroke) return undefined
    const edit = new Edit(this.labels, this.rules, draws ? this.objectFor(this.pen, this.planes.at) : 0)
    const result = command(edit)
    this.finish(edit)
    return result
  }

  /** `mark`: the click that an edit answers, which is a step also where nothing changes. */
  finish(edit, mark = null) {
    const change = edit.done() ?? (mark && new ChangeWriter().done())
    if (change) {
      this.history.record(Object.assign(change, { mark }))
      if (change.voxels) this.touch()
    }
    this.planes.draw()
    return change
  }

  /** Something changed: it is to be saved. */
  touch() {
    this.changes++
    this.on.changed()
  }

  undo() {
    if (this.labels && !this.stroke && this.clicks.cancel()) this.planes.draw()
    else this.step(true)
  }

  redo() {
    if (this.clicks.isWaiting) this.on.say('The answer to your mark is on its way. Wait for it, then redo.', true)
    else this.step(false)
  }

  step(isBack) {
    if (!this.labels || this.stroke) return
    const before = this.changes
    const change = isBack ? this.history.undo() : this.history.redo()
    if (!change) {
      this.on.say(isBack ? 'Nothing to undo.' : 'Nothing to redo.')
      return
    }
    if (change.voxels) this.touch()
    if (change.mark) this.clicks.stepped(change.mark, isBack, before)
    if (!change.voxels) this.on.say(isBack ? 'The mark that changed nothing was taken back.' : 'The mark that changes nothing is back.')
    this.planes.draw()
  }

  between() {
    const { plane, name } = { plane: this.planes.active, name: this.penName }
    const { labels, pen, data } = this
    if (!labels) return
    const at = this.planes.at[plane.k]
    const object = this.objectToFill()
    const drawn = object === null ? [] : [
      () => slicesDrawn(this.history.past, labels, plane, pen, object),
      // After the case was opened again: where what was saved differs from the model's labels.
      () => (object ? [] : slicesThatDiffer(data.newest, data.model, labels, plane.k, pen)),
    ]
    const before = this.changes
    const gaps = this.run((edit) => fillBetween(edit, labels, plane, at, pen, this.spacing, { drawn, object }), true)
    if (!gaps) return
    const slices = gaps.reduce((sum, [from, to]) => sum + to - from - 1, 0)
    const where = gaps.map(([from, to]) => `between ${from + 1} and ${to + 1}`).join(' and ')
    if (!gaps.length) this.on.say(`Nothing to fill here: first draw ${name} on two ${plane.name} slices with others between them.`)
    else this.on.say(this.changes > before ? `${name}: ${slices} ${slices === 1 ? 'slice' : 'slices'} filled in the ${plane.name} plane, ${where}.`
      : `${name}: nothing to change in the ${plane.name} plane ${where}.`)
  }

  /** What fill between redraws: the object under the crosshair, 0 for a class as a whole, null where it only adds. */
  objectToFill() {
    const { labels, pen, data, planes: { at } } = this
    if (!labels.ids || !data.about.things.has(data.about.classes[pen - 1].value)) return 0
    return labels.pens[labels.index(at)] === pen ? objectAt(labels, at) : null
  }

  grow() {
    this.run((edit) => grow(edit, this.labels, this.pen, this.spacing, this.rules.over ?? 0), true)
  }

  shrink() {
    this.run((edit) => shrink(edit, this.labels, this.pen, this.spacing), true)
  }

  island(keep) {
    const object = objectAt(this.labels ?? {}, this.planes.at)
    if (object && !keep) {
      this.run((edit) => remove(edit, this.labels, object))
      return
    }
    const pen = this.run((edit) => (keep ? keepIsland : removeIsland)(edit, this.labels, this.planes.at))
    if (pen === 0) this.on.say('Put the crosshair on a labeled island first.')
  }

  revert() {
    this.run((edit) => revert(edit, this.labels, this.data.model, this.data.modelIds))
    const to = this.data.about.readings.length ? 'what both readings have in common' : "the model's labels"
    this.on.say(`Back to ${to}. Undo brings your own back.`)
  }

  /** Replace all labels as one edit that can be undone; rules do not hold here. */
  replace(slices, idSlices) {
    const edit = new Edit(this.labels, { allows: () => true })
    revert(edit, this.labels, slices, idSlices)
    this.finish(edit)
  }

  /** Draw once at the crosshair: drawing without a mouse. */
  dab(isOutside = false) {
    if (!['pen', 'eraser', 'click'].includes(this.tool) || !this.beginStroke(this.planes.active, isOutside)) return
    this.strokeTo(this.planes.at)
    this.endStroke()
  }

  get penName() {
    return this.data.about.classes[this.pen - 1]?.name ?? ''
  }

  /** The outline of the brush under the mouse, or of the lasso. */
  paintTool(plane, context) {
    context.lineWidth = plane.ratio
    context.strokeStyle = '#fff'
    const lasso = this.stroke?.tool
    if (lasso?.points && this.stroke.plane === plane && lasso.points.length) {
      context.beginPath()
      for (const [u, v] of lasso.points) {
        const voxel = [0, 0, 0]
        voxel[plane.u] = u
        voxel[plane.v] = v
        context.lineTo(...plane.center(voxel))
      }
      context.stroke()
    }
    if (this.tool === 'click') this.clicks.paint(plane, context, this.planes.at)
    const brushed = this.tool === 'pen' || this.tool === 'eraser' || this.tool === 'click'
    if (!brushed || this.pointer?.plane !== plane) return
    const { a, b } = plane.frame()
    const radius = (axis) => (this.brush.isVoxel ? 0.5 : this.brush.diameter / 2 / this.spacing[axis])
    context.beginPath()
    context.ellipse(...this.pointer.point, radius(plane.u) * a, radius(plane.v) * b, 0, 0, 2 * Math.PI)
    context.stroke()
  }
}
