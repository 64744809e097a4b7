/** One resumable upload, protocol tus 1.0.0 (https://tus.io/protocols/resumable-upload). */
import { ApiError, withSession } from './admin-api.js'
import { send } from './admin-xhr.js'

const UPLOADS = '/admin/api/uploads/'
const CHUNK_BYTES = 8 * 1024 * 1024
const MOST_FAILURES = 10
/** Worth another try: no connection, a lost reply, a server that is busy or starts again. */
const TEMPORARY = new Set([0, 408, 409, 423, 425, 429, 500, 502, 503, 504])

export class Upload {
  #file
  #metadata
  #told
  #url
  #controller = new AbortController()
  #isMoving = false

  /** `told.progress(bytes)` and `told.waiting(seconds)` hear what happens. */
  constructor(file, metadata, told) {
    this.#file = file
    this.#metadata = encodeMetadata({ filename: file.name, ...metadata })
    this.#told = told
    this.#url = memory.get(this.#key)
  }

  /** The new video's id. May be called again after it failed: goes on where it was. */
  async run() {
    for (let failures = 1; ; failures += 1) {
      this.#isMoving = false
      try {
        const videoId = await this.#transfer()
        memory.delete(this.#key)
        return Number(videoId)
      } catch (error) {
        if (this.#isMoving) failures = 1
        if (!TEMPORARY.has(error.status) || failures > MOST_FAILURES) throw error
        await this.#wait(Math.min(30, 2 ** (failures - 1)))
      }
    }
  }

  /** Ends it and removes what has arrived. Without a connection the server does that by itself later. */
  async cancel() {
    this.#controller.abort()
    memory.delete(this.#key)
    if (!this.#url) return
    const end = () => send('DELETE', this.#url, { headers: {} })
    await withSession(end).catch(() => undefined)
  }

  async #transfer() {
    let { offset, videoId } = await this.#begin()
    while (!videoId) {
      this.#told.progress(offset)
      const start = offset
      const reply = await this.#send('PATCH', this.#url, {
        headers: {
          'content-type': 'application/offset+octet-stream',
          'upload-offset': String(start),
        },
        body: this.#file.slice(start, start + CHUNK_BYTES),
        onProgress: (sent) => this.#told.progress(start + sent),
      })
      offset = Number(reply.header('upload-offset'))
      videoId = reply.header('x-video-id')
      this.#isMoving = true
      if (!videoId && offset <= start) throw new ApiError(reply.status, null)
    }
    return videoId
  }

  /** Asks how far it is, or makes a new one. */
  async #begin() {
    if (this.#url) {
      try {
        const reply = await this.#send('HEAD', this.#url, { headers: {} })
        const offset = Number(reply.header('upload-offset'))
        return { offset, videoId: reply.header('x-video-id') }
      } catch (error) {
        if (error.status !== 404 && error.status !== 410) throw error
      }
    }
    const reply = await this.#send('POST', UPLOADS, {
      headers: { 'upload-length': String(this.#file.size), 'upload-metadata': this.#metadata },
    })
    this.#url = new URL(reply.header('location'), new URL(UPLOADS, location.href)).pathname
    memory.set(this.#key, this.#url)
    return { offset: 0, videoId: null }
  }

  async #send(method, url, options) {
    const { signal } = this.#controller
    const reply = await withSession(() => send(method, url, { ...options, signal }))
    if (reply.status >= 200 && reply.status < 300) return reply
    throw new ApiError(reply.status, reply.json())
  }

  /** Until the time has passed, the connection is back, or it is cancelled. */
  async #wait(seconds) {
    this.#told.waiting(seconds)
    const { signal } = this.#controller
    await new Promise((resolve) => {
      setTimeout(resolve, seconds * 1000)
      addEventListener('online', resolve, { once: true, signal })
      signal.addEventListener('abort', resolve, { once: true })
    })
    signal.throwIfAborted()
  }

  /** The same file with the same words: after a reload of the page it goes on. */
  get #key() {
    const { size, lastModified } = this.#file
    return `videoflix-upload:${size}:${lastModified}:${this.#metadata}`
  }
}

/** `name base64, name base64`, the values in UTF-8. */
function encodeMetadata(values) {
  return Object.entries(values)
    .filter(([, value]) => value !== '')
    .map(([name, value]) => {
      const bytes = new TextEncoder().encode(value)
      return `${name} ${btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))}`
    })
    .join(',')
}

/** Where each unfinished upload is; a browser may refuse to remember. */
const memory = {
  get: (key) => attempt(() => localStorage.getItem(key)) ?? null,
  set: (key, url) => attempt(() => localStorage.setItem(key, url)),
  delete: (key) => attempt(() => localStorage.removeItem(key)),
}

function attempt(work) {
  try {
    return work()
  } catch {
    return null
  }
}
