/** One upload straight to the bucket: parts, several at once, each by a PUT to a URL that the server has signed. */
import {
  ApiError,
  beginUpload,
  completeUpload,
  describeUpload,
  endUpload,
  urlOfPart,
} from './admin-api.js'
import { memory } from './admin-memory.js'
import { isTemporary, untilDone } from './admin-patience.js'
import { send } from './admin-xhr.js'

const PARTS_AT_ONCE = 3
const ANSWER_MS = 5 * 60_000
/** How often all is looked at again when the upload is not what it seemed. */
const MOST_ROUNDS = 3

/** What the bucket said to a part. */
export class BucketError extends ApiError {
  /** `isShut`: it takes nothing from this page, so that trying for longer is of no use. */
  constructor(status, isShut) {
    const detail =
      status === 0
        ? 'The bucket cannot be reached. Please check your connection, then try again.'
        : `The bucket replied with an error (${status}). Please try again.`
    super(status, { detail })
    this.isShut = isShut
  }
}

export class BucketUpload {
  #file
  #end
  #told
  #id = null
  #begun = Promise.resolve()
  #controller = new AbortController()
  /** Whether every part has arrived, and only its end is missing. */
  #isWhole = false
  /** Whether bytes got on their way to the bucket, and whether a part has arrived. */
  #hasMoved = false
  #hasArrived = false

  /** `told.progress(bytes)` and `told.waiting(seconds)` hear what happens. */
  constructor(file, metadata, told) {
    this.#file = file
    this.#end = Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== ''))
    this.#told = told
  }

  /** The new video's id. May be called again after it failed: goes on where it was. Throws a BucketError that is shut. */
  async run() {
    for (let round = 1; ; round += 1) {
      try {
        if (!this.#isWhole) await this.#sendMissing(await this.#patiently(() => this.#open()))
        this.#isWhole = true
        this.#told.progress(this.#file.size)
        const video = await this.#patiently((signal) => completeUpload(this.#id, this.#end, signal))
        this.#forget()
        return video.id
      } catch (error) {
        const isMistaken = this.#id !== null && [404, 409].includes(error.status)
        if (!isMistaken || round === MOST_ROUNDS) throw error
        // An upload that takes no more parts may be whole, which its completion tells; and one that cannot be completed
        // lacks parts, or is gone.
        if (this.#isWhole && error.status === 404) this.#forget()
        this.#isWhole = !this.#isWhole
      }
    }
  }

  /** Ends it and removes what has arrived. Without a connection the server does that by itself later. */
  async cancel() {
    this.#controller.abort()
    await this.#begun.catch(() => undefined)
    const id = this.#id
    if (id === null) return
    this.#forget()
    await endUpload(id).catch(() => undefined)
  }

  #patiently(work, { signal = this.#controller.signal, isWorth } = {}) {
    const onWait = (seconds) => this.#told.waiting(seconds)
    return untilDone(() => work(signal), { signal, onWait, isWorth })
  }

  /** What the server knows of it; a new one, if that is nothing. */
  async #open() {
    const id = this.#id ?? memory.get(this.#key)
    if (id !== null) {
      try {
        const upload = await describeUpload(id, this.#controller.signal)
        // Else the same file became another video meanwhile.
        if (upload.video === null) {
          this.#id = id
          return upload
        }
      } catch (error) {
        if (error.status !== 404) throw error
      }
    }
    this.#begun = this.#begin()
    return await this.#begun
  }

  /** Not to be cancelled half-way: nobody would know what to end. */
  async #begin() {
    const { name, size } = this.#file
    const upload = await beginUpload({ file_name: name, size })
    this.#id = upload.id
    memory.set(this.#key, upload.id)
    return upload
  }

  async #sendMissing({ id, part_size: partBytes, part_count: count, parts }) {
    this.#hasArrived ||= parts.length > 0
    const sent = new Map(parts.map(({ number, size }) => [number, size]))
    const progress = this.#progressOf(sent)
    const all = Array.from({ length: count }, (_, index) => index + 1)
    const missing = all.filter((number) => !sent.has(number))
    const failing = new AbortController()
    const signal = AbortSignal.any([this.#controller.signal, failing.signal])
    const sendNext = async () => {
      for (let number = missing.shift(); number; number = missing.shift()) {
        const start = (number - 1) * partBytes
        const body = this.#file.slice(start, start + partBytes)
        await this.#sendPart({ id, number, body, signal, progress })
      }
    }
    try {
      await Promise.all(Array.from({ length: PARTS_AT_ONCE }, sendNext))
    } finally {
      failing.abort()
    }
  }

  /** Adds up what has been sent of each part. */
  #progressOf(sent) {
    let total = [...sent.values()].reduce((sum, bytes) => sum + bytes, 0)
    return (number, bytes) => {
      total += bytes - (sent.get(number) ?? 0)
      sent.set(number, bytes)
      this.#told.progress(total)
    }
  }

  /** Each try has a URL of its own: so none is too old, and the upload is known to be alive. */
  async #sendPart({ id, number, body, signal, progress }) {
    const put = async () => {
      progress(number, 0)
      const url = await urlOfPart(id, number, signal)
      const onProgress = (bytes) => {
        this.#hasMoved ||= bytes > 0
        progress(number, bytes)
      }
      const { status } = await send('PUT', url, { body, signal, onProgress, answerMs: ANSWER_MS })
      if (status !== 200) throw new BucketError(status, this.#seemsShut(status))
    }
    const isWorth = (error, failures) =>
      error instanceof BucketError
        ? error.status !== 404 && (!error.isShut || failures === 1)
        : isTemporary(error)
    await this.#patiently(put, { signal, isWorth })
    progress(number, body.size)
    this.#hasArrived = true
  }

  /** A browser does not say whether CORS or the network was in the way, but what CORS refuses never gets on its way. */
  #seemsShut(status) {
    if (this.#hasArrived) return false
    return status === 0 ? !this.#hasMoved : status < 500 && !isTemporary({ status })
  }

  #forget() {
    if (memory.get(this.#key) === this.#id) memory.delete(this.#key)
    this.#id = null
  }

  /** The same file, whatever it is to be called: after a reload of the page it goes on. */
  get #key() {
    const { name, size, lastModified } = this.#file
    return `videoflix-parts:${size}:${lastModified}:${name}`
  }
}
