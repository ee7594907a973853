// Small pieces of the document. Text always goes in as text, never as HTML.

/** The first element that matches. */
export const find = (selector) => document.querySelector(selector)

/** A new element; names with a dash become attributes, all others properties. */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'dataset') Object.assign(made.dataset, value)
    else if (name.includes('-') || name === 'role' || name === 'for') made.setAttribute(name, value)
    else made[name] = value
  }
  made.append(...children.filter((child) => child !== null && child !== undefined))
  return made
}

/** Set a color through the object model: the policy of the page forbids style attributes. */
export function colored(made, [red, green, blue]) {
  made.style.backgroundColor = `rgb(${red}, ${green}, ${blue})`
  return made
}

/** A button that names its key to the eye and to a screen reader. */
export function button(label, key, act, properties = {}) {
  const made = element('button', { type: 'button', onclick: act, ...properties }, label)
  if (key) {
    made.setAttribute('aria-keyshortcuts', key)
    made.append(element('kbd', { 'aria-hidden': 'true' }, key))
  }
  return made
}

/**
 * When what was drawn has been on the screen for a frame. A window in the background draws nothing: it waits no longer
 * than a moment.
 */
export function onScreen() {
  const frames = new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))
  return Promise.race([frames, new Promise((done) => setTimeout(done, 200))])
}
