// Tools, commands and the look of the planes, each with its key.

import { button, element, find } from './dom.js'
import { OBJECT_TOOLS, TOOLS } from './editor.js'

const MODEL = "model's"
const KEYS = { crosshair: 'q', pen: 'w', eraser: 'e', lasso: 'r', click: 't', merge: 'j', split: 'f' }

export class Toolbar {
  /** `act`: commands by name, as `keys.js` calls them too. */
  constructor(editor, planes, act) {
    Object.assign(this, { editor, planes, act, unopened: '' }) // why there is no case, if so
    this.tools = TOOLS.map((tool) => button(tool, KEYS[tool], () => act.tool(tool), { dataset: { tool } }))
    this.objectTools = OBJECT_TOOLS.map((tool) => button(tool, KEYS[tool], () => act.tool(tool), {
      dataset: { tool }, title: `${tool} objects by a stroke`, hidden: true }))
    this.tools.push(...this.objectTools)
    this.outline = button('outline', 'o', act.outline)
    this.visible = button('labels', 'space', act.visible)
    this.layouts = ['all', 'axial', 'coronal', 'sagittal'].map((name, n) => button(name, String(n), () => act.layout(n)))
    find('#tools').append(
      group('Tool', ...this.tools),
      group('History', button('undo', 'z', act.undo), button('redo', 'y', act.redo)),
      group('Planes', ...this.layouts),
      group('Labels', this.outline, this.visible),
    )
    find('#page').append(button('save', 's', act.save))
    find('h1').append(button('keys', '?', act.help))
    find('#change').append(
      button('fill between', 'i', act.between, { title: 'Fill the gap between drawn slices' }), button('grow', 'g', act.grow), button('shrink', 'h', act.shrink),
      button('keep island', 'k', act.keepIsland), button('remove island', 'd', act.removeIsland),
      this.revert = button(MODEL, 'm', act.revert, { title: "Back to the model's labels" }))
    this.buildOptions()
  }

  buildOptions() {
    this.size = element('input', { type: 'number', min: 0, step: 'any', className: 'short', 'aria-keyshortcuts': '[ ]',
      onchange: () => {
        this.editor.brush?.set(this.size.valueAsNumber)
        this.update()
      } })
    this.ball = element('input', { type: 'checkbox', onchange: () => this.act.ball(this.ball.checked) })
    this.low = limit('Lowest value drawn on', () => this.act.limits(this.low, this.high))
    this.high = limit('Highest value drawn on', () => this.act.limits(this.low, this.high))
    this.over = element('select', { onchange: () => this.act.over(this.over.value) })
    this.window = element('select', { 'aria-keyshortcuts': 'v', onchange: () => this.act.preset(this.window.value) })
    this.opacity = element('input', { type: 'range', min: 0, max: 1, step: 0.05, value: this.planes.look.opacity,
      oninput: () => {
        this.planes.look.opacity = Number(this.opacity.value)
        this.planes.recolor()
      } })
    this.unit = element('span', { className: 'unit' })
    find('#options').append(
      label('brush', this.size, this.unit), label('ball', this.ball),
      element('span', { className: 'field' }, 'values ', this.low, '–', this.high),
      label('draw over', this.over), label('window', this.window), label('opacity', this.opacity))
  }

  load(data) {
    this.over.replaceChildren(element('option', { value: '' }, 'anything'), element('option', { value: '0' }, 'background'),
      ...data.about.classes.map(({ name }, n) => element('option', { value: String(n + 1) }, name)))
    this.low.value = this.high.value = ''
    for (const made of this.objectTools) made.hidden = !data.about.hasObjects
    this.revert.firstChild.data = data.about.readings.length ? 'what both have' : MODEL
    this.revert.title = data.about.readings.length ? 'Back to what both readings have in common' : "Back to the model's labels"
    this.update()
  }

  setPresets(names, chosen) {
    this.window.replaceChildren(...[...names, 'custom'].map((name) => element('option', { value: name }, name)))
    this.window.value = chosen
  }

  /** Who answers clicks, and what they do, while they are the tool. */
  hint() {
    const hint = find('#hint')
    hint.hidden = this.editor.tool !== 'click'
    const { labels, data } = this.editor
    if (!labels) {
      hint.textContent = `No case is open, so nothing can be marked. ${this.unopened}`
      return
    }
    const model = data.about.clicks?.model
    const by = model ? `The interactive model ${model} answers.` : 'No interactive model: a random walker answers.'
    hint.textContent = `${by} Left: belongs to the class, only adds. Right, or Ctrl and left: does not, only takes away.`
  }

  update() {
    const { editor, planes } = this
    const press = (made, on) => made.setAttribute('aria-pressed', String(on))
    for (const made of this.tools) press(made, made.dataset.tool === editor.tool)
    this.hint()
    press(this.outline, planes.look.outline)
    press(this.visible, planes.look.visible)
    this.layouts.forEach((made, n) => press(made, (planes.host.dataset.only === 'all' ? 'all' : planes.host.dataset.only) === ['all', 'axial', 'coronal', 'sagittal'][n]))
    if (!editor.brush) return
    this.over.value = String(editor.over ?? '')
    this.size.value = Number(editor.brush.diameter.toPrecision(3))
    this.unit.textContent = editor.data.about.is2d ? 'px' : 'mm' // no longer for one voxel: the planes would move
    this.size.title = editor.brush.isVoxel ? 'Diameter: one voxel' : 'Diameter'
    this.ball.checked = editor.brush.ball
  }
}

const group = (name, ...buttons) => element('div', { role: 'group', 'aria-label': name, className: 'group' }, ...buttons)
const label = (text, ...fields) => element('label', { className: 'field' }, `${text} `, ...fields)
const limit = (name, onchange) =>
  element('input', { type: 'number', step: 'any', className: 'short', 'aria-label': name, title: name, onchange })
