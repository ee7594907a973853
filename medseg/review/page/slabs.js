// A volume in slabs of whole axial slices, the one nearest the crosshair first: a scan is seen long before all of it came.

import { sentence } from './api.js'
import { HEADER_BYTES, readHeader } from './nifti.js'

const SLAB_BYTES = 2 << 20 // of the first slabs, so that something is seen at once
const LATER_BYTES = 24 << 20 // of those that follow, so that a volume takes few requests
const AT_ONCE = 3
const CHUNK_BYTES = 1 << 20

/** The bytes of an answer as they come, in memory that is used again: each chunk is gone when the next is asked for. */
async function* chunks(body) {
  let reader
  try {
    reader = body.getReader({ mode: 'byob' })
  } catch {
    yield* body // a browser whose answers cannot be read into memory of ours
    return
  }
  let memory = new ArrayBuffer(CHUNK_BYTES)
  for (;;) {
    const { done, value } = await reader.read(new Uint8Array(memory))
    if (done) return
    yield value
    memory = value.buffer
  }
}

/**
 * Read part of a file into `bytes`, whose length says how much; a server that cannot send parts sends the whole.
 * Read as a stream, so that the browser never holds a second copy of a slab.
 */
async function readPart(address, from, bytes, signal, came = () => {}) {
  const to = from + bytes.length
  const answer = await fetch(address, { headers: { Range: `bytes=${from}-${to - 1}` }, signal })
  if (!answer.ok) throw new Error(sentence(await answer.text()) || `The server answered ${answer.status}.`)
  let at = answer.status === 206 ? from : 0
  for await (const value of chunks(answer.body)) {
    signal?.throwIfAborted() // the memory may be another case's by now
    const wanted = value.subarray(Math.max(0, from - at), Math.max(0, to - at))
    if (wanted.length) bytes.set(wanted, Math.max(at, from) - from)
    at += value.length
    came(Math.min(at, to) - from)
  }
  if (at < to) throw new Error('The file ended early; reload the page.')
}

/** Read only the header of a volume. */
export async function fetchHeader(address, signal) {
  const bytes = new Uint8Array(HEADER_BYTES)
  await readPart(address, 0, bytes, signal)
  return readHeader(bytes.buffer)
}

/** Cut a number of slices into slabs of about equal size: [first, last + 1] each. */
export function cut(slices, sliceBytes, slabBytes = SLAB_BYTES) {
  const thick = Math.max(1, Math.min(slices, Math.floor(slabBytes / sliceBytes)))
  return Array.from({ length: Math.ceil(slices / thick) }, (_, n) => [n * thick, Math.min(slices, (n + 1) * thick)])
}

/** Take the slab nearest a slice out of the list, with its neighbors up to so many slices. */
export function takeNearest(slabs, slice, most = 0) {
  const distance = ([first, end]) => Math.max(first - slice, slice - end + 1, 0)
  const nearest = (fits) => slabs.reduce(
    (best, slab, n) => (fits(slab) && (best < 0 || distance(slab) < distance(slabs[best])) ? n : best), -1)
  const taken = slabs.splice(nearest(() => true), 1)[0]
  const joins = ([first, end]) =>
    (end === taken[0] || first === taken[1]) && end - first + taken[1] - taken[0] <= most
  for (let n = nearest(joins); n >= 0; n = nearest(joins)) {
    const [[first, end]] = slabs.splice(n, 1)
    taken[0] = Math.min(taken[0], first)
    taken[1] = Math.max(taken[1], end)
  }
  return taken
}

/**
 * Read the slabs of a volume that are still missing. `target(first, end)` gives the voxels of those slices to fill,
 * `came(first, end)` hears of slices as they come, and `place(first, values)` when all of a slab are here. `near()` is
 * asked before each slab, so reading follows the crosshair. Large slabs wait for `onScreen()`: nothing delays the
 * first slices. Ends early when `enough()` says so.
 */
export async function readSlabs(address, header, missing, options) {
  const { target, place, came, near, onScreen = () => null, signal, enough = () => false } = options
  const sliceBytes = header.dims[0] * header.dims[1] * header.Values.BYTES_PER_ELEMENT
  const later = Math.floor(LATER_BYTES / sliceBytes)
  let taken = 0
  const worker = async () => {
    for (;;) {
      const isFirst = taken++ < AT_ONCE
      if (!isFirst) await onScreen()
      if (!missing.length || enough()) return
      const slab = takeNearest(missing, near(), isFirst ? 0 : later)
      try {
        const values = target(...slab)
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        await readPart(address, header.offset + slab[0] * sliceBytes, bytes, signal,
          (filled) => came?.(slab[0], slab[0] + Math.floor(filled / sliceBytes)))
        place(slab[0], values)
      } catch (error) {
        missing.push(slab)
        throw error
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}
