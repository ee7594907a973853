// One key for everything. Letters typed into a field stay there.

/** What each key does, for the page and for its help: [key, command, meaning]. */
export const KEYS = [
  ['q', 'crosshair', 'crosshair'], ['w', 'pen', 'pen'], ['e', 'eraser', 'eraser'], ['r', 'lasso', 'lasso'],
  ['t', 'click', 'click: mark what belongs to the class (left) and what does not (right), and have it filled'],
  ['[', 'smaller', 'smaller brush, down to one voxel'], [']', 'larger', 'larger brush'],
  ['b', 'toggleBall', 'brush as a ball, through slices'],
  ['Enter', 'dab', 'draw once at the crosshair'],
  ['Shift+Enter', '', 'click: what is at the crosshair does not belong'],
  ['4 to 9', '', 'class'], [',', 'previousClass', 'previous class'], ['.', 'nextClass', 'next class'],
  ['z', 'undo', 'undo'], ['y', 'redo', 'redo'],
  ['i', 'between', 'fill the gap between drawn slices'], ['g', 'grow', 'grow the class'], ['h', 'shrink', 'shrink the class'],
  ['k', 'keepIsland', 'keep only the island under the crosshair'], ['d', 'removeIsland', 'remove that island, or object'],
  ['j', 'merge', 'merge objects that a stroke passes; of two readings, take B'], ['f', 'split', 'split an object along a stroke; of two readings, take A'],
  ['m', 'revert', 'back to the model’s labels'],
  ['1', 'axial', 'axial plane only'], ['2', 'coronal', 'coronal plane only'], ['3', 'sagittal', 'sagittal plane only'],
  ['0', 'all', 'all three planes'],
  ['ArrowUp', 'sliceUp', 'next slice'], ['ArrowDown', 'sliceDown', 'previous slice'],
  ['Shift+arrows', '', 'move the crosshair within the plane'],
  ['Tab', '', 'to the next plane or field'],
  ['+', 'zoomIn', 'zoom in'], ['-', 'zoomOut', 'zoom out'], ['Home', 'resetView', 'the whole slice again'],
  ['v', 'nextPreset', 'next window'], ['o', 'outline', 'outlines or filled'], [' ', 'visible', 'hide or show labels'],
  ['c', 'center', 'crosshair to the middle of the class'],
  ['s', 'save', 'save now'], ['a', 'accept', 'accept, and go to the next case'],
  ['x', 'reject', 'reject; then a digit for the reason, or c for a comment'], ['u', 'takeBack', 'take the verdict back'],
  ['n', 'next', 'next case'], ['p', 'previous', 'previous case'],
  ['l', 'worklist', 'hide or show the worklist'], ['/', 'search', 'search the worklist'], ['?', 'help', 'this help'],
]

const COMMANDS = new Map(KEYS.filter(([, command]) => command).map(([key, command]) => [key, command]))
const TYPED = /^(text|search|number)$/

const takesText = (target) =>
  target.tagName === 'TEXTAREA' || target.tagName === 'SELECT' || (target.tagName === 'INPUT' && TYPED.test(target.type))

/** `act`: commands by name. */
export function listenToKeys(act) {
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && takesText(event.target)) event.target.blur()
    // On many keyboards [ and ] are typed with AltGr, which counts as Ctrl and Alt.
    const typed = event.getModifierState('AltGraph')
    if (takesText(event.target) || (event.altKey && !typed) || event.metaKey || document.querySelector('dialog[open]')) return
    const run = event.ctrlKey && !typed ? withControl(event, act) : plain(event, act)
    if (!run) return
    event.preventDefault()
    event.stopPropagation()
    run()
  }, true)
}

function withControl({ key, shiftKey }, act) {
  return { z: shiftKey ? act.redo : act.undo, Z: act.redo, y: act.redo, s: act.save }[key]
}

function plain(event, act) {
  const { key, shiftKey, target } = event
  // Space and Enter press the button that has the focus; arrows set a slider and walk through the worklist.
  const onCanvas = target.tagName === 'CANVAS' || target === document.body
  if (!onCanvas && (key === 'Enter' || (key === ' ' && target.tagName !== 'BUTTON' && target.type))) return null
  if (key === ' ' && target.tagName === 'BUTTON' && event.isTrusted && target.matches(':focus-visible')) return null
  if (key.startsWith('Arrow')) {
    if (target.type === 'range' || target.closest?.('#cases')) return null
    if (shiftKey) return () => act.nudge(key)
    if (key === 'ArrowLeft' || key === 'ArrowRight') return null
  }
  if (key === 'Enter' && shiftKey) return () => act.dabOutside()
  if (/^[4-9]$/.test(key)) return () => act.pen(Number(key) - 3)
  const command = COMMANDS.get(key) ?? COMMANDS.get(key.toLowerCase())
  return command ? act[command] : null
}
