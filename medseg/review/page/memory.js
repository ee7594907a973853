// Memory that is given back at once instead of at the browser's next collection: volumes are large.

/** Free the memory of an array now, where the browser can. The array is empty afterwards. */
export function free(values) {
  if (values?.buffer?.transfer) values.buffer.transfer(0)
}
