// Addresses of a place in a case: #case=ID&voxel=i,j,k&window=lo,hi, the voxel in the scan file's own order of indices.

const numbers = (text, count) => {
  const found = (text ?? '').split(',').map(Number)
  return text && found.length === count && found.every(Number.isFinite) ? found : null
}

/** What an address names; null for what it does not. */
export function readLink(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ''))
  return { id: given.get('case'), voxel: numbers(given.get('voxel'), 3), window: numbers(given.get('window'), 2) }
}

/** The address of a place. */
export function writeLink(id, voxel, window) {
  const short = window.map((value) => Number(value.toPrecision(6)))
  return `#case=${encodeURIComponent(id)}&voxel=${voxel}&window=${short}`
}
