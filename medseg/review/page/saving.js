// Saving: drafts by themselves, one save at a time, and nothing merged when somebody else saved meanwhile.

import { labelHeader } from './nifti.js'

const DRAFT_AFTER = 4000 // ms after the last change
const CHUNK = 1 << 20

/**
 * Labels as a gzipped NIfTI file, a few slices at a time so that no second copy of a volume is made. `idSlices`: ids of
 * objects, which follow the labels.
 */
export async function pack(slices, header, values, plane, idSlices = null) {
  const { bytes, Values } = labelHeader(header, Math.max(0, ...values), Boolean(idSlices))
  const { readable, writable } = new CompressionStream('gzip')
  const packed = new Response(readable).blob()
  const writer = writable.getWriter()
  const write = async () => {
    await writer.write(bytes)
    await writeSlices(writer, slices, Values, plane, (pen) => values[pen])
    if (idSlices) await writeSlices(writer, idSlices, Values, plane, (id) => id)
    await writer.close()
  }
  const [blob] = await Promise.all([packed, write()])
  return blob
}

async function writeSlices(writer, slices, Values, plane, translate) {
  const thick = Math.max(1, Math.floor(CHUNK / plane))
  for (let first = 0; first < slices.length; first += thick) {
    const part = slices.slice(first, first + thick)
    const out = new Values(part.length * plane)
    part.forEach((runs, z) => {
      let from = z * plane
      runs.ends.forEach((end, n) => {
        out.fill(translate(runs.values[n]), from, z * plane + end)
        from = z * plane + end
      })
    })
    await writer.write(new Uint8Array(out.buffer))
  }
}

export class Saving {
  /** `on`: {state, saved, conflict, failed}. */
  constructor(api, editor, on) {
    Object.assign(this, { api, editor, on })
    this.chain = Promise.resolve()
    this.saved = 0
    this.conflict = null
  }

  load(data) {
    this.data = data
    this.saved = this.editor.changes
    this.opened = Date.now()
    this.conflict = null
    this.on.state()
  }

  get isDirty() {
    return Boolean(this.data) && this.editor.changes !== this.saved
  }

  get seconds() {
    return (Date.now() - this.opened) / 1000
  }

  /** Something changed: keep it as a draft soon. */
  changed() {
    this.on.state()
    clearTimeout(this.timer)
    if (!this.conflict) this.timer = setTimeout(() => this.save().catch(() => {}), DRAFT_AFTER)
  }

  /** Save what is drawn; saves follow one another, so each begins at the revision the one before made. */
  save() {
    clearTimeout(this.timer)
    const run = () => this.saveNow()
    this.chain = this.chain.then(run, run)
    return this.chain
  }

  async saveNow() {
    const { data, editor } = this
    if (!this.isDirty || !data.labels.pens.length) return
    const upTo = editor.changes
    const values = [0, ...data.about.classes.map(({ value }) => value)]
    try {
      const body = await pack(data.labels.snapshot(), data.labelHeader, values, data.plane, data.labels.idSnapshot())
      const revision = await this.api.save(data.about, body, this.seconds)
      data.about.revision = revision
      if (data === this.data) this.saved = upTo
      this.on.saved(data)
    } catch (error) {
      if (error.status === 409) {
        this.conflict = error
        const now = await this.api.describe(data.about.id).catch(() => data.about)
        error.isModelOther = now.modelHash !== data.about.modelHash
        this.on.conflict(error)
      } else this.on.failed(error)
      throw error
    } finally {
      this.on.state()
    }
  }

  /** After a conflict: what is drawn here becomes the newest revision; the other stays in the trail. */
  async keepMine() {
    const { revision, modelHash } = await this.api.describe(this.data.about.id)
    Object.assign(this.data.about, { revision, modelHash })
    this.conflict = null
    await this.save()
  }

  /** After a conflict: what is drawn here is given up. */
  giveUp() {
    this.conflict = null
    this.saved = this.editor.changes
    this.on.state()
  }

  /** After a conflict: the other one's labels are loaded over what is drawn here, and undo brings that back. */
  async loadOther() {
    const { data, editor } = this
    const about = await this.api.describe(data.about.id)
    const slices = await data.readSlices(this.api.labelsAddress(about.id), data.labelHeader)
    editor.replace(slices, data.labels.ids && (await data.readIds()))
    data.about.revision = about.revision
    this.conflict = null
    this.saved = editor.changes
    this.on.state()
  }
}
