// Everything a button or a key can do, by name.

import { find } from './dom.js'
import { showHelp } from './help.js'

const ZOOM = 1.25

export function commands(app) {
  const { editor, planes, saving } = app
  const tool = (name) => {
    editor.setTool(name)
    app.toolbar.update()
  }
  const objects = (name) => {
    if (editor.labels?.ids) tool(name)
    else app.say('The model of this case makes no objects.')
  }
  const look = (change) => {
    change(planes.look)
    app.toolbar.update()
    planes.draw()
  }
  const brush = (change) => {
    if (!editor.brush) return
    change(editor.brush)
    app.toolbar.update()
    app.say(editor.brush.isVoxel ? 'Brush: one voxel.' : `Brush: ${Number(editor.brush.diameter.toPrecision(3))} ${editor.data.about.is2d ? 'px' : 'mm'}.`)
    planes.draw()
  }
  const layout = (only) => {
    planes.layout(only)
    app.toolbar.update()
  }
  const zoom = (factor) => {
    const { active } = planes
    if (!planes.data) return
    active.zoomAt(factor, active.center(planes.at))
    planes.draw()
  }
  const pen = (n) => {
    if (!editor.labels || n < 1 || n > editor.data.about.classes.length) return
    editor.setPen(n)
    if (!editor.draws || editor.tool === 'eraser') tool('pen') // a lasso stays
    app.say(`Class: ${editor.penName}.`)
  }
  return {
    tool,
    crosshair: () => tool('crosshair'), pen: (n) => (n ? pen(n) : tool('pen')),
    eraser: () => tool('eraser'), lasso: () => tool('lasso'), click: () => tool('click'),
    // Where two readings are settled there are no objects, and the same keys take a reading.
    merge: () => app.takeReading(1) || objects('merge'), split: () => app.takeReading(0) || objects('split'),
    previousClass: () => pen(editor.pen - 1), nextClass: () => pen(editor.pen + 1),
    smaller: () => brush((b) => b.smaller()), larger: () => brush((b) => b.larger()),
    ball: (on) => brush((b) => (b.ball = on)), toggleBall: () => brush((b) => (b.ball = !b.ball)),
    dab: () => editor.dab(), dabOutside: () => editor.dab(true),
    undo: () => editor.undo(), redo: () => editor.redo(),
    between: () => editor.between(), grow: () => editor.grow(), shrink: () => editor.shrink(),
    keepIsland: () => editor.island(true), removeIsland: () => editor.island(false), revert: () => editor.revert(),
    layout, all: () => layout(0), axial: () => layout(1), coronal: () => layout(2), sagittal: () => layout(3),
    outline: () => look((l) => (l.outline = !l.outline)), visible: () => look((l) => (l.visible = !l.visible)),
    sliceUp: () => planes.scroll(planes.active, 1), sliceDown: () => planes.scroll(planes.active, -1),
    nudge: (key) => {
      const { u, v, against } = planes.active
      const voxel = [...planes.at]
      if (key === 'ArrowLeft' || key === 'ArrowRight') voxel[u] += (key === 'ArrowLeft') === against[0] ? 1 : -1
      else voxel[v] += (key === 'ArrowUp') === against[1] ? 1 : -1
      planes.go(voxel)
    },
    zoomIn: () => zoom(ZOOM), zoomOut: () => zoom(1 / ZOOM),
    resetView: () => {
      for (const plane of planes.planes) plane.reset()
      planes.draw()
    },
    center: () => app.center(editor.pen),
    preset: (name) => app.usePreset(name), nextPreset: () => app.nextPreset(),
    over: (value) => editor.setOver(value === '' ? null : Number(value)),
    limits: (low, high) => app.setLimits(low, high),
    save: () => app.saveNow(),
    accept: () => app.judge('accept'), reject: () => app.verdict?.askReason(), takeBack: () => app.judge('take_back'),
    next: () => app.step(1), previous: () => app.step(-1),
    worklist: () => document.body.classList.toggle('no-worklist'),
    search: () => {
      document.body.classList.remove('no-worklist')
      find('#search').focus()
    },
    help: showHelp,
    keepMine: () => saving.keepMine(), loadOther: () => saving.loadOther(),
  }
}
