// The mouse on a plane. Left: the tool. Right: window, or what does not belong for clicks. Middle or Shift: pan. Wheel: slices. Ctrl and wheel: zoom.

const DRAG_WINDOW = 1 / 300 // of the width, for each pixel
const ZOOM = 1.2

export function listen(planes, editor) {
  for (const plane of planes.planes) listenTo(plane, planes, editor)
}

function listenTo(plane, planes, editor) {
  const { canvas } = plane
  let drag = null
  const begin = {
    window: (event) => ({ from: [...planes.look.window], x: event.clientX, y: event.clientY }),
    pan: (event) => ({ from: [...plane.pan], x: event.clientX, y: event.clientY }),
  }
  const follow = {
    window({ from, x, y }, event) {
      const width = from[1] - from[0]
      const level = (from[0] + from[1]) / 2 + (y - event.clientY) * width * DRAG_WINDOW
      const half = Math.max(1e-6, width / 2 + (event.clientX - x) * width * DRAG_WINDOW)
      planes.setWindow(level - half, level + half)
      editor.windowed()
    },
    pan({ from, x, y }, event) {
      plane.pan = [from[0] + (event.clientX - x) * plane.ratio, from[1] + (event.clientY - y) * plane.ratio]
      planes.draw()
    },
    crosshair(_, event) {
      planes.go(plane.voxel(event, planes.at, true))
    },
    draw(_, event) {
      const events = event.getCoalescedEvents?.() ?? []
      for (const one of events.length ? events : [event]) {
        const voxel = plane.voxel(one, planes.at, editor.tool === 'lasso')
        if (voxel) editor.strokeTo(voxel, plane.spot(one))
      }
    },
  }

  canvas.addEventListener('contextmenu', (event) => event.preventDefault())
  canvas.addEventListener('focus', () => (planes.active = plane))
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault()
    planes.active = plane
    if (event.ctrlKey) {
      plane.zoomAt(event.deltaY < 0 ? ZOOM : 1 / ZOOM, plane.point(event))
      planes.draw()
    } else if (event.deltaY) planes.scroll(plane, event.deltaY < 0 ? 1 : -1)
  }, { passive: false })

  canvas.addEventListener('pointerdown', (event) => {
    if (drag || !planes.data?.image) return
    event.preventDefault() // no selection, no scrolling by the middle button
    canvas.focus({ preventScroll: true })
    canvas.setPointerCapture(event.pointerId)
    planes.active = plane
    editor.pointer = { plane, point: plane.point(event) }
    const clicks = editor.tool === 'click'
    const isOutside = clicks && (event.button === 2 || event.ctrlKey)
    if (event.button === 2 && !clicks) drag = { does: 'window', ...begin.window(event) }
    else if (event.button === 1 || event.shiftKey) drag = { does: 'pan', ...begin.pan(event) }
    else if (!editor.draws) {
      drag = { does: 'crosshair' }
      follow.crosshair(drag, event)
    } else {
      // A lasso may begin beside the slice; it then runs along its edge.
      const voxel = plane.voxel(event, planes.at, editor.tool === 'lasso')
      if (voxel && editor.beginStroke(plane, isOutside)) {
        drag = { does: 'draw' }
        editor.strokeTo(voxel, plane.spot(event))
      }
    }
  })
  canvas.addEventListener('pointermove', (event) => {
    editor.pointer = { plane, point: plane.point(event) }
    if (drag) follow[drag.does](drag, event)
    else if (editor.draws) planes.draw()
  })
  const stop = () => {
    if (drag?.does === 'draw') editor.endStroke()
    drag = null
  }
  canvas.addEventListener('pointerup', stop)
  canvas.addEventListener('pointercancel', stop)
  canvas.addEventListener('pointerleave', () => {
    editor.pointer = null
    planes.draw()
  })
}
