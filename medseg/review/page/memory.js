// Memory that is given back or used again at once, instead of at the browser's next collection: volumes are large.

const WASTE = 1.5 // times what is needed that memory used again may be

/** Free the memory of an array now, where the browser can. The array is empty afterwards. */
export function free(values) {
  if (values?.buffer?.transfer) values.buffer.transfer(0)
}

const kept = new Map() // what for -> the memory of the case before

/** Give memory back for the next case; what it holds must not be read any more. */
export function recycle(what, values) {
  if (!values?.byteLength) return
  free(kept.get(what))
  kept.set(what, new Uint8Array(values.buffer))
}

/** Memory for an array of so many values, that of the case before where it fits; it may hold anything. */
export function allocate(what, Values, length) {
  const old = kept.get(what)
  kept.delete(what)
  const bytes = length * Values.BYTES_PER_ELEMENT
  if (old && old.byteLength >= bytes && old.byteLength <= WASTE * bytes) return new Values(old.buffer, 0, length)
  free(old)
  return new Values(length)
}
