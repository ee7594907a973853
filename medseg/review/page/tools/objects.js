// Objects of a model that makes them: delete one, merge several, split one, the last two by a stroke.

import { line } from './pen.js'

/** All voxels of an object, in rising order of index. */
export function voxelsOf(labels, id) {
  const found = []
  for (let i = labels.ids.indexOf(id); i >= 0; i = labels.ids.indexOf(id, i + 1)) found.push(i)
  return found
}

/** The id of the object under a voxel; 0 for none. */
export const objectAt = (labels, voxel) => (labels.ids ? labels.ids[labels.index(voxel)] : 0)

/** Delete an object. */
export function remove(edit, labels, id) {
  for (const index of voxelsOf(labels, id)) edit.put(index, 0)
}

/** What a stroke passes through. `end()` says what was done, or why nothing was. */
class Stroke {
  constructor(edit, labels, plane) {
    Object.assign(this, { edit, labels, plane, passed: [], points: [] })
  }

  to(voxel) {
    this.passed.push(...(this.passed.length ? line(this.passed.at(-1), voxel, this.plane) : [voxel]))
    this.points.push([voxel[this.plane.u], voxel[this.plane.v]])
    this.slice = voxel[this.plane.k]
  }
}

/** Merge: all objects of one class that a stroke passes become the first of them. */
export class Merge extends Stroke {
  end() {
    const { labels, edit } = this
    const passed = this.passed.map((voxel) => labels.index(voxel)).filter((index) => labels.ids[index])
    const pen = labels.pens[passed[0]]
    const [kept, ...others] = new Set(passed.filter((index) => labels.pens[index] === pen).map((i) => labels.ids[i]))
    if (!others.length) return { nothing: 'Nothing was merged: draw through two objects of one class or more.' }
    for (const id of others) for (const index of voxelsOf(labels, id)) edit.put(index, pen, kept)
    return { done: `${others.length + 1} objects merged into one.` }
  }
}

/** The fewest voxels that make an object of their own when one is split; fewer stay with the part they lie next to. */
export const FEWEST = 5

/** Split: the object a stroke passes most is cut along it, through all slices; the largest part keeps its id. */
export class Split extends Stroke {
  end() {
    const { labels, edit, plane } = this
    const amounts = new Map()
    for (const voxel of this.passed) {
      const id = objectAt(labels, voxel)
      if (id) amounts.set(id, (amounts.get(id) ?? 0) + 1)
    }
    const [id] = [...amounts].sort((a, b) => b[1] - a[1])[0] ?? []
    if (!id) return { nothing: 'Nothing was split: the stroke passes no object.' }
    const cut = new Set(this.passed.map((voxel) => `${voxel[plane.u]},${voxel[plane.v]}`))
    const isCut = (index) => {
      const voxel = labels.voxel(index)
      return cut.has(`${voxel[plane.u]},${voxel[plane.v]}`)
    }
    const voxels = voxelsOf(labels, id)
    const { parts, few } = divide(labels, voxels, isCut)
    const [largest, ...others] = parts
    if (!others.length) {
      return { nothing: few ? `Nothing was split: one side would have fewer than ${FEWEST} voxels. The eraser takes those away.`
        : 'Nothing was split: the stroke does not cut the object in two. Draw it all the way through.' }
    }
    for (const part of others) {
      const newId = labels.newId()
      for (const index of part) edit.put(index, labels.pens[index], newId)
    }
    const sizes = parts.map((part) => part.length).join(' and ')
    const rest = few ? `; parts of fewer than ${FEWEST} stayed with what they lie next to` : ''
    return { done: `The object was split into parts of ${sizes} voxels${rest}.` }
  }
}

/**
 * The parts that voxels fall into without those that are cut, the largest first; what is cut joins the part it lies next
 * to, and so do parts of too few voxels. `few`: whether there were such.
 */
function divide(labels, voxels, isCut) {
  const inside = new Set(voxels)
  const part = new Map()
  let parts = 0
  for (const start of voxels) {
    if (part.has(start) || isCut(start)) continue
    part.set(start, ++parts)
    spread(labels, [start], inside, part, isCut)
  }
  spread(labels, [...part.keys()], inside, part, () => false)
  const byPart = () => {
    const found = new Map()
    for (const index of voxels) {
      const n = part.get(index)
      if (n) found.has(n) ? found.get(n).push(index) : found.set(n, [index])
    }
    return [...found.values()].sort((a, b) => b.length - a.length)
  }
  const all = byPart()
  const small = all.filter((one) => one.length < FEWEST)
  for (const index of small.flat()) part.delete(index)
  if (small.length) spread(labels, all.filter((one) => !small.includes(one)).flat(), inside, part, () => false)
  return { parts: byPart(), few: small.length > 0 }
}

/** Give neighbors the part of the voxels they touch, nearest first. */
function spread(labels, from, inside, part, isClosed) {
  const { dims, steps } = labels
  let front = from
  while (front.length) {
    const next = []
    for (const index of front) {
      const voxel = labels.voxel(index)
      for (let axis = 0; axis < 3; axis++) {
        for (const step of [-1, 1]) {
          const at = voxel[axis] + step
          const neighbor = index + step * steps[axis]
          if (at < 0 || at >= dims[axis] || !inside.has(neighbor) || part.has(neighbor) || isClosed(neighbor)) continue
          part.set(neighbor, part.get(index))
          next.push(neighbor)
        }
      }
    }
    front = next
  }
}
