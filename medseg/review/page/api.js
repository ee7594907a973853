// The server's answers, and the one place that knows their names.

const WRITE = { 'X-Medseg': '1' }

async function ask(path, options = {}) {
  let answer
  try {
    answer = await fetch(path, options)
  } catch (error) {
    if (error.name === 'AbortError') throw error
    throw new Error('The server does not answer. Is `medseg review` still running? What you drew is kept in this window.')
  }
  if (!answer.ok) throw Object.assign(new Error(await explain(answer)), { status: answer.status })
  return answer
}

/** With a capital letter, where it begins with a word and not with a name such as a file's. */
export const sentence = (text) => (/^[a-z]+[ ,']/.test(text) ? text[0].toUpperCase() + text.slice(1) : text)

async function explain(answer) {
  const text = await answer.text()
  try {
    const { error, detail, message, fix } = JSON.parse(text)
    return sentence([error ?? detail ?? message, fix].filter(Boolean).join(' ') || text)
  } catch {
    return sentence(text) || `The server answered ${answer.status}.`
  }
}

// Which of a reader's windows this is; the same after it is loaded again.
const WINDOW = sessionStorage.medsegWindow ??= crypto.randomUUID()

const at = (id, rest = '') => `/api/case/${encodeURIComponent(id)}${rest}`

export const imageAddress = (id) => at(id, '/image')
/** `of`: 'model', or 'A' or 'B' of two readings to settle; the newest labels without. */
export const labelsAddress = (id, of) => at(id, '/labels') + (of ? `?of=${of}` : '')

export const instancesAddress = (id, of) => at(id, '/instances') + (of === 'model' ? '?of=model' : '')

/** The cases in order of review priority, and who reviews them. */
export async function worklist() {
  const { cases, reasons, reviewer, blind, missing, without_labels: bare } = await (await ask('/api/worklist')).json()
  return { rows: cases.map(row), reasons, reviewer, blind: Boolean(blind), missing: missing ?? [], withoutLabels: Object.values(bare ?? {}) }
}

const row = (one) => ({
  id: one.case_id,
  state: one.state,
  isJudged: one.state === 'accepted' || one.state === 'rejected',
  isCorrected: Boolean(one.is_corrected),
  priority: one.review_priority ?? null,
  warnings: one.warnings ?? [],
  thumbnail: one.thumbnail ?? null,
})

/** One case; `ahead` when nobody has opened it yet. */
export async function describe(id, ahead = false) {
  const headers = { 'X-Window': WINDOW }
  const one = await (await ask(at(id) + (ahead ? '?prefetch=1' : ''), { headers })).json()
  return {
    ...row(one),
    revision: one.revision,
    modelHash: one.model_sha256,
    isOfEarlierModel: Boolean(one.is_of_earlier_model),
    axes: one.axes,
    flipped: one.flipped,
    modality: one.modality,
    is2d: Boolean(one.is_2d), // an image without a patient around it: no letters, no mL
    voxelMl: one.is_2d ? null : one.voxel_ml,
    hasObjects: Boolean(one.instances?.length),
    things: new Set((one.instances ?? []).filter((object) => object.is_thing).map((object) => object.class_value)),
    modelObjects: counted((one.instances ?? []).map((object) => object.class_value)), // by class
    classes: one.classes,
    readings: one.readings ?? [],
    dispute: one.dispute ?? null,
    notes: one.notes ?? [],
    verdict: one.verdict,
    clicks: one.clicks ?? null, // the model that answers them, and how far it looks; null: a random walker does
    elsewhere: one.elsewhere ?? null,
    card: one.card ? card(one.card) : null,
    trail: (one.events ?? []).filter(isShown).map(entry),
  }
}

/** This window has the case open no more; also said while it closes. */
export const left = (id) => fetch(`${at(id)}?left=1`, { headers: { 'X-Window': WINDOW }, keepalive: true }).catch(() => {})

const card = ({ name, title, notice, dice, n_cases: cases, limits }) => ({
  name, title, notice, cases, limits: limits ?? [],
  dice: Object.entries(dice ?? {}).map(([of, value]) => ({ name: of, dice: value })),
})

const counted = (values) => values.reduce((counts, value) => counts.set(value, (counts.get(value) ?? 0) + 1), new Map())

const KINDS = { taken_back: 'took the verdict back' }
const asked = ({ method, refused }) => {
  if (refused) return 'marked without an answer'
  return method === 'interactive model' ? 'clicked with a model' : 'asked the random walker'
}
// Of suggestions one after the other, each with more marks, the last stands for all, and so of those refused.
const isShown = ({ kind, body }, n, all) => {
  const next = all[n + 1]
  return kind !== 'suggested' || next?.kind !== 'suggested' || Boolean(body.refused) !== Boolean(next.body.refused)
}

const objects = ({ n_objects: now, n_model_objects: before }) => Number.isFinite(now)
  ? `, ${now} ${now === 1 ? 'object' : 'objects'}${Number.isFinite(before) ? ` of the model's ${before}` : ''}` : ''

const entry = ({ t, who, kind, body }) => ({
  time: t,
  who,
  text: [
    kind === 'suggested' ? asked(body) : KINDS[kind] ?? kind.replace('_', ' '),
    body.reason && `(${body.reason})`,
    kind === 'suggested' && `for ${body.class}: ${body.inside} voxels marked inside, ${body.outside} outside`,
    Number.isFinite(body.changed_voxels) && `revision ${body.revision}, ${body.changed_voxels} voxels from the model's${objects(body)}`,
    body.comment && `“${body.comment}”`,
  ].filter(Boolean).join(' '),
})

/** Save labels over a revision, and the model's labels that were shown; returns the number of the new one. */
export async function save({ id, revision, modelHash }, body, seconds) {
  const headers = {
    ...WRITE, 'If-Match': String(revision), 'X-Model': modelHash, 'Content-Type': 'application/octet-stream', 'Content-Encoding': 'gzip',
    'X-Seconds': seconds.toFixed(1),
  }
  return (await (await ask(at(id, '/labels'), { method: 'PUT', headers, body })).json()).revision
}

/** Ask for the voxels of a class around marks. */
export async function suggest(id, { value, ...marks }, signal) {
  const body = JSON.stringify({ class: value, ...marks })
  const headers = { ...WRITE, 'Content-Type': 'application/json' }
  const { box, runs, method, fault, uses_probabilities: usesProbabilities } = await (await ask(at(id, '/suggest'), { method: 'POST', headers, body, signal })).json()
  return { box, runs, byModel: method === 'interactive model', fault: fault ?? null, usesProbabilities }
}

/** Give a verdict on a revision. */
export async function judge(id, verdict) {
  const headers = { ...WRITE, 'Content-Type': 'application/json' }
  return (await ask(at(id, '/verdict'), { method: 'POST', headers, body: JSON.stringify(verdict) })).json()
}
