// The keys and the mouse, on one screen.

import { button, element, find } from './dom.js'
import { KEYS } from './keys.js'

const NAMES = { ' ': 'Space', ArrowUp: '↑', ArrowDown: '↓' }
const MOUSE = [
  ['left', 'the tool'], ['right', 'window: width sideways, level up and down; with the click tool (or Ctrl and left): does not belong'], ['middle, or Shift and left', 'pan'],
  ['wheel', 'slices'], ['Ctrl and wheel', 'zoom'],
]

const table = (rows) => element('dl', {}, ...rows.map(([key, meaning]) =>
  element('div', {}, element('dt', {}, element('kbd', {}, NAMES[key] ?? key)), element('dd', {}, meaning))))

export function showHelp() {
  const dialog = find('#help')
  if (!dialog.childElementCount) {
    dialog.append(element('h2', { id: 'help-title' }, 'Keys'), table(KEYS.map(([key, , meaning]) => [key, meaning])),
      element('h2', {}, 'Mouse'), table(MOUSE), button('Close', 'Escape', () => dialog.close()))
  }
  dialog.showModal()
}
