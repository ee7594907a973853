// The page as a whole: opens cases, and leads from one to the next.

import { FileOrder } from './anatomy.js'
import { CaseData } from './case_data.js'
import { CasePanel } from './case_panel.js'
import { ClassPanel } from './class_panel.js'
import { commands } from './commands.js'
import { find } from './dom.js'
import { Editor } from './editor.js'
import { listenToKeys } from './keys.js'
import { readLink } from './link.js'
import { middleOf } from './middle.js'
import { Notices } from './notices.js'
import { Planes } from './planes.js'
import { listen } from './pointer.js'
import { Presence } from './presence.js'
import { ReadingsPanel } from './readings.js'
import { Saving } from './saving.js'
import { Status } from './status.js'
import { Toolbar } from './toolbar.js'
import { VerdictPanel } from './verdict_panel.js'
import { presets } from './window_presets.js'
import { Worklist } from './worklist.js'

export class App {
  constructor(api) {
    this.api = api
    this.planes = new Planes(find('#planes'), { moved: () => this.status.moved() })
    this.editor = new Editor(this.planes, {
      changed: () => {
        this.status.outdate()
        this.saving.changed()
      },
      tool: () => this.chosen(),
      say: (text, bad) => this.say(text, bad),
      suggest: (marks, signal) => this.api.suggest(this.data.about.id, marks, signal),
      windowed: () => this.toolbar.setPresets(Object.keys(this.presets), 'custom'),
    })
    this.saving = new Saving(api, this.editor, {
      state: () => this.status.saved(),
      saved: (data) => this.afterSave(data),
      conflict: (error) => this.notices.conflict(error),
      failed: (error) => this.say(error.message, true),
    })
    this.status = new Status(this.planes, this.editor, this.saving)
    this.notices = new Notices(this)
    this.presence = new Presence(api, {
      elsewhere: () => this.notices.show('This case is open in another window too. Whoever saves second is asked what to keep.'),
      saved: (revision) => this.notices.newer(revision),
      modelChanged: () => this.notices.modelChanged(),
    })
    this.act = commands(this)
    this.toolbar = new Toolbar(this.editor, this.planes, this.act)
    this.classes = new ClassPanel(find('#classes'), this.editor, this.planes, { chosen: (pen) => this.act.pen(pen) })
    this.about = new CasePanel(find('#about'), find('#card'))
    this.readings = new ReadingsPanel(find('#readings'), (n) => this.takeReading(n))
    this.worklist = new Worklist((id) => this.open(id))
    // Volumes follow the pen while it draws, one reckoning a frame.
    this.planes.painted = () => this.classes.update()
    this.opening = 0
  }

  say(text, bad = false) {
    this.status.say(text, bad)
  }

  async start() {
    listen(this.planes, this.editor)
    listenToKeys(this.act)
    addEventListener('beforeunload', (event) => {
      if (this.saving.isDirty) event.preventDefault()
    })
    const list = await this.api.worklist()
    this.verdict = new VerdictPanel(find('#verdict'), list.reasons, {
      accept: () => this.judge('accept'),
      reject: (reason) => this.judge('reject', reason),
      takeBack: () => this.judge('take_back'),
    })
    this.worklist.load(list)
    addEventListener('hashchange', () => this.follow())
    if (readLink(location.hash).id) await this.follow()
    else if (list.rows.length) await this.open((list.rows.find((row) => !row.isJudged) ?? list.rows[0]).id)
    else this.say((this.toolbar.unopened = 'No case has labels to review.'))
  }

  /** Go where the address points. */
  async follow() {
    const { id, voxel, window } = readLink(location.hash)
    if (!id) return
    if (id !== this.data?.about.id) await this.open(id, { voxel, window })
    else {
      if (window) this.planes.setWindow(...window)
      if (voxel) this.planes.go(this.data.order.fromFile(voxel))
    }
  }

  /** Leave the open case, its drawing saved, and open another. */
  async open(id, { voxel = null, window = null } = {}) {
    const turn = ++this.opening
    if (!(await this.leave())) return
    if (turn !== this.opening) return
    const before = this.data
    this.status.busy()
    try {
      const data = await this.take(id)
      if (turn !== this.opening) {
        data.release()
        return
      }
      await this.show(data, turn, voxel, window)
    } catch (error) {
      if (error.name === 'AbortError' || turn !== this.opening) return
      this.toolbar.unopened = error.message
      this.toolbar.hint()
      this.say(error.message, true)
      if (this.data && this.data === before && this.editor.labels) this.stay()
    }
  }

  /** What could not be opened leaves the case that is open as it was, to be worked on. */
  stay() {
    this.status.address()
    this.status.ready()
  }

  async leave() {
    if (this.editor.clicks.isWaiting) {
      this.say('The answer to your mark is on its way. Look at it first, or press z to take the mark back.', true)
      if (this.data) this.status.address()
      return false
    }
    if (this.saving.isDirty) {
      if (this.saving.conflict) {
        this.say('First decide which labels to keep.', true)
        return false
      }
      try {
        await this.saving.save()
      } catch {
        return false // said by whoever saved; the drawing stays in this window
      }
    }
    return true
  }

  /** The case as it was prefetched, or from the beginning. */
  async take(id) {
    const kept = this.next?.id === id ? this.next : null
    if (this.next && !kept) this.next.data.then((data) => data.release(), () => {})
    this.next = null
    const fresh = this.api.describe(id)
    fresh.catch(() => {}) // waited for below, or before the case can be worked on
    const data = (kept && (await kept.data.catch(() => null))) ?? new CaseData(await fresh, this.api)
    data.fresh = fresh
    return data
  }

  async show(data, turn, voxel, window) {
    this.editor.unload()
    this.data?.release()
    this.data = data
    this.notices.show('')
    this.say('')
    const { about } = data
    const order = () => (data.order ??= new FileOrder(data.dims, about.axes, about.flipped))
    let placed = false
    const slab = () => {
      if (turn !== this.opening) return
      if (!placed && data.loaded.some(Boolean)) {
        placed = true
        this.first(data, order(), voxel, window)
      }
      this.status.loading(data)
      this.planes.draw(true)
    }
    this.worklist.show(about.id)
    this.about.load(data)
    this.readings.load(data)
    this.verdict.load(data)
    await data.open(slab, voxel && (() => order().fromFile(voxel)[2]))
    if (!(await this.isAsPrefetched(data, turn)) || turn !== this.opening) return
    if (!about.hasObjects && this.editor.tool in { merge: 0, split: 0 }) this.editor.setTool('crosshair')
    this.editor.load(data)
    this.classes.load(data)
    this.toolbar.load(data)
    this.saving.load(data)
    this.presence.open(about)
    this.notices.onOpening(about)
    this.say(`${about.id}: ${about.state}.`)
    if (!window) this.measureWindow(data)
    if (!voxel) this.center()
    this.status.moved()
    this.planes.draw(true)
    // Ready once it is seen; a window in the background draws nothing, and is ready all the same.
    await Promise.race([new Promise(requestAnimationFrame), new Promise((done) => setTimeout(done, 200))])
    if (turn !== this.opening) return
    this.stay()
    await data.complete
    if (turn === this.opening) this.prefetch()
  }

  /** Whether nobody has saved since a case was prefetched; it is opened again where somebody has. */
  async isAsPrefetched(data, turn) {
    const about = await data.fresh
    if (turn !== this.opening) return false
    if (about.revision !== data.about.revision || about.modelHash !== data.about.modelHash) {
      await this.open(about.id)
      return false
    }
    Object.assign(data.about, about)
    this.about.load(data)
    this.verdict.load(data)
    return true
  }

  /** The first slices are here: show them. */
  first(data, order, voxel, window) {
    this.planes.load(data, [null, ...data.about.classes.map(({ color }) => color)])
    this.layOut(data.dims)
    this.measureWindow(data)
    if (window) {
      this.planes.setWindow(...window)
      this.toolbar.setPresets(Object.keys(this.presets), 'custom')
    }
    this.planes.go(voxel ? order.fromFile(voxel) : data.dims.map((size) => size >> 1))
  }

  /** A 2D image, one voxel thick, is shown in its own plane; what comes after it in all three again. */
  layOut(dims) {
    const flat = this.planes.planes.findIndex((plane) => dims[plane.k] === 1 && dims[plane.u] > 1 && dims[plane.v] > 1)
    if (flat >= 0) this.act.layout(flat + 1)
    else if (this.wasFlat) this.act.layout(0)
    this.wasFlat = flat >= 0
  }

  /** Presets of this case; the first is used. */
  measureWindow(data) {
    this.presets = presets(data)
    this.usePreset(Object.keys(this.presets)[0])
  }

  usePreset(name) {
    if (!(name in this.presets)) return
    this.toolbar.setPresets(Object.keys(this.presets), name)
    this.planes.setWindow(...this.presets[name])
    this.status.address()
  }

  nextPreset() {
    const names = Object.keys(this.presets ?? {})
    if (!names.length) return
    const name = names[(names.indexOf(this.toolbar.window.value) + 1) % names.length]
    this.usePreset(name)
    this.say(`Window: ${name}.`)
  }

  /** Put the crosshair into the middle of a class, or of all classes. */
  center(pen = 0) {
    const voxel = middleOf(this.data, pen)
    if (voxel) this.planes.go(voxel)
  }

  setLimits(low, high) {
    const [from, to] = [low, high].map((field) => (field.value === '' ? null : Number(field.value)))
    if (!this.data.isComplete) this.say('The scan is still being loaded; limits hold where it is seen already.')
    this.editor.rules.limits = from === null && to === null ? null : [from ?? -Infinity, to ?? Infinity]
  }

  /** Make one of two readings the labels, as one edit that can be undone; whether there is one. */
  takeReading(n) {
    const reading = this.data?.readings?.[n]
    if (!reading || !this.editor.labels) return false
    if (this.data.about.readings[n].verdict === 'rejected') {
      this.say(`Reading ${reading.name} rejected the case and has no labels to take. Press x to reject it too.`, true)
      return true
    }
    this.editor.replace(reading.slices)
    this.say(`The labels are those of reading ${reading.name} now. Undo brings yours back.`)
    return true
  }

  chosen() {
    this.toolbar.update()
    this.classes.choose()
  }

  /** Load the next case in the background. */
  prefetch() {
    const { id, isJudged } = this.data.about
    // After an open case the next open one comes, by its verdict; who looks through judged ones goes from row to row.
    const row = (!isJudged && this.worklist.nextOpen(id)) || this.worklist.neighbor(id, 1)
    if (!row || this.next?.id === row.id) return
    const load = async () => {
      const data = new CaseData(await this.api.describe(row.id, true), this.api)
      await data.prefetch()
      return data
    }
    this.next = { id: row.id, data: load() }
    this.next.data.catch(() => {}) // asked for again, and told of, when the case is opened
  }

  async saveNow() {
    if (!this.saving.isDirty) {
      this.say('Nothing has changed since the last save.')
      return
    }
    await this.saving.save().catch(() => {})
  }

  afterSave(data) {
    this.presence.saved(data.about.revision)
    this.say(`Saved as revision ${data.about.revision}.`)
    this.refresh(data).catch(() => {}) // said by what asks the server next
  }

  /** Ask what the labels saved now make of a case: whether they differ from the model's, and whether its verdict counts. */
  async refresh({ about }) {
    const { state, isJudged, isCorrected, revision } = await this.api.describe(about.id, true)
    if (revision !== about.revision) return // asked again by the save after
    for (const one of [about, this.worklist.row(about.id)]) Object.assign(one ?? {}, { state, isJudged, isCorrected })
    this.worklist.show()
    if (this.data.about === about) this.verdict.show(about)
  }

  /** Give a verdict on what is on the screen: drawings are saved first, and waited for. */
  async judge(kind, reason = null) {
    const { data } = this
    if (!data?.labels || document.body.dataset.ready !== '1') return
    const { opening, verdict: { comment: { value: comment } }, saving: { seconds } } = this
    if (!(await this.leave())) return
    await this.saving.chain.catch(() => {})
    try {
      await this.api.judge(data.about.id, { kind, revision: data.about.revision, reason, comment, seconds, model_sha256: data.about.modelHash })
    } catch (error) {
      if (error.status === 409) this.notices.newer(null)
      this.say(error.message, true)
      return
    }
    const list = await this.api.worklist()
    this.worklist.load(list)
    // Whoever has gone to another case meanwhile stays there.
    if (opening === this.opening) await this.afterVerdict(kind)
  }

  async afterVerdict(kind) {
    const { id } = this.data.about
    if (kind !== 'take_back') {
      const next = this.worklist.nextOpen(id)
      if (next) {
        await this.open(next.id)
        return
      }
    }
    const about = await this.api.describe(id)
    if (about.modelHash !== this.data.about.modelHash) {
      await this.open(id)
      return
    }
    this.data.about = { ...this.data.about, ...about }
    this.presence.about = this.data.about
    this.verdict.load(this.data)
    this.about.load(this.data)
    this.status.saved()
    this.say(kind === 'take_back' ? 'The verdict was taken back.' : this.worklist.whatIsLeft())
  }

  async step(by) {
    const row = this.worklist.neighbor(this.data?.about.id, by)
    if (row) await this.open(row.id)
    else this.say(this.worklist.isEmpty ? this.worklist.nothingShown() : by > 0 ? 'This is the last case of the list.' : 'This is the first case of the list.')
  }
}
