// Two windows on one case: each is told of the other. Windows of one browser talk; for others the server is asked.

const EVERY = 20000 // ms

export class Presence {
  /** `on`: {elsewhere(), saved(revision), modelChanged()}. */
  constructor(api, on) {
    this.on = on
    this.api = api
    this.me = crypto.randomUUID()
    this.channel = new BroadcastChannel('medseg-review')
    this.channel.onmessage = ({ data }) => this.hear(data)
    setInterval(() => this.ask(), EVERY)
    addEventListener('focus', () => this.ask())
    addEventListener('pagehide', () => this.about && api.left(this.about.id))
  }

  open(about) {
    this.about = about
    this.post('open')
  }

  saved(revision) {
    this.post('saved', { revision })
  }

  post(what, more = {}) {
    this.channel.postMessage({ what, from: this.me, case: this.about.id, ...more })
  }

  hear({ what, from, revision, ...message }) {
    if (from === this.me || message.case !== this.about?.id) return
    if (what === 'saved') {
      if (revision > this.about.revision) this.on.saved(revision)
      return
    }
    if (what === 'open') this.post('here')
    this.on.elsewhere()
  }

  /** Ask the server whether somebody saved this case meanwhile. */
  async ask() {
    const { about } = this
    if (!about || document.hidden) return
    try {
      const { revision, modelHash, elsewhere } = await this.api.describe(about.id)
      if (about !== this.about) return
      if (modelHash !== about.modelHash) this.on.modelChanged()
      else if (revision > about.revision) this.on.saved(revision)
      else if (elsewhere && !about.elsewhere) this.on.elsewhere()
      about.elsewhere = elsewhere
    } catch {
      // A server that does not answer is told of when something is to be saved.
    }
  }
}
