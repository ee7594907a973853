// NIfTI-1 as the server sends it: uncompressed, little-endian, axes nearest RAS, x fastest.

const HEADER = 348
const VALUES = {
  2: Uint8Array, 4: Int16Array, 8: Int32Array, 16: Float32Array, 64: Float64Array,
  256: Int8Array, 512: Uint16Array, 768: Uint32Array,
}

/** Bytes that hold the header and the four bytes of extension flags behind it. */
export const HEADER_BYTES = 352

/** Read the header; throws where the bytes are not such a file. */
export function readHeader(buffer) {
  const view = new DataView(buffer)
  if (buffer.byteLength < HEADER_BYTES || view.getInt32(0, true) !== HEADER) {
    throw new Error('The server sent something other than a NIfTI-1 file; reload the page.')
  }
  const type = view.getInt16(70, true)
  if (!(type in VALUES)) throw new Error(`This page cannot show voxels of NIfTI type ${type}.`)
  const slope = view.getFloat32(112, true)
  const scaled = Number.isFinite(slope) && slope !== 0
  return {
    dims: [1, 2, 3].map((axis) => Math.max(1, view.getInt16(40 + 2 * axis, true))),
    spacing: [1, 2, 3].map((axis) => view.getFloat32(76 + 4 * axis, true)),
    type,
    Values: VALUES[type],
    offset: view.getFloat32(108, true),
    slope: scaled ? slope : 1,
    intercept: scaled ? view.getFloat32(116, true) : 0,
    affine: [0, 1, 2].map((row) => [0, 1, 2, 3].map((column) => view.getFloat32(280 + 16 * row + 4 * column, true))),
    bytes: new Uint8Array(buffer.slice(0, HEADER_BYTES)),
  }
}

/** The header of a label file on the same grid: every bit of the affine as it came, only the type of a voxel set. */
export function labelHeader(header, largest, withIds = false) {
  const bytes = header.bytes.slice()
  const view = new DataView(bytes.buffer)
  // Ids of objects are a second volume along a fourth axis, and need four bytes.
  const [type, Values] = withIds ? [8, Int32Array] : largest > 255 ? [512, Uint16Array] : [2, Uint8Array]
  view.setInt16(40, withIds ? 4 : 3, true)
  view.setInt16(48, withIds ? 2 : 1, true)
  view.setInt16(70, type, true)
  view.setInt16(72, 8 * Values.BYTES_PER_ELEMENT, true)
  view.setFloat32(108, HEADER_BYTES, true)
  view.setFloat32(112, 1, true)
  view.setFloat32(116, 0, true)
  view.setUint32(348, 0, true) // no extensions
  return { bytes, Values }
}
