/** One resumable upload through the server, protocol tus 1.0.0 (https://tus.io/protocols/resumable-upload). */
import { ApiError, withSession } from './admin-api.js'
import { memory } from './admin-memory.js'
import { isTemporary, untilDone } from './admin-patience.js'
import { send } from './admin-xhr.js'

const UPLOADS = '/admin/api/uploads/'
const CHUNK_BYTES = 8 * 1024 * 1024

export class TusUpload {
  #file
  #metadata
  #told
  #url
  #controller = new AbortController()

  /** `told.progress(bytes)` and `told.waiting(seconds)` hear what happens. */
  constructor(file, metadata, told) {
    this.#file = file
    this.#metadata = encodeMetadata({ filename: file.name, ...metadata })
    this.#told = told
    this.#url = memory.get(this.#key)
  }

  /** Whether some of it may have arrived, perhaps before the page was loaded. */
  get isBegun() {
    return this.#url !== null
  }

  /** The new video's id. May be called again after it failed: goes on where it was. */
  async run() {
    const videoId = await untilDone((moved) => this.#transfer(moved), {
      signal: this.#controller.signal,
      onWait: (seconds) => this.#told.waiting(seconds),
      // Where the upload is was not what it seemed: asking again tells.
      isWorth: (error) => isTemporary(error) || error.status === 409,
    })
    memory.delete(this.#key)
    return Number(videoId)
  }

  /** Ends it and removes what has arrived. Without a connection the server does that by itself later. */
  async cancel() {
    this.#controller.abort()
    memory.delete(this.#key)
    if (!this.#url) return
    const end = () => send('DELETE', this.#url, { headers: { 'tus-resumable': '1.0.0' } })
    await withSession(end).catch(() => undefined)
  }

  async #transfer(moved) {
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
      moved()
      if (!videoId && offset <= start) throw new ApiError(reply.status, null)
    }
    return videoId
  }

  /** Asks how far it is, or makes a new one. */
  async #begin() {
    if (this.#url) {
      try {
        const reply = await this.#send('HEAD', this.#url)
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

  async #send(method, url, { headers, ...options } = {}) {
    const { signal } = this.#controller
    const withVersion = { ...headers, 'tus-resumable': '1.0.0' }
    const reply = await withSession(() =>
      send(method, url, { ...options, headers: withVersion, signal }),
    )
    if (reply.status >= 200 && reply.status < 300) return reply
    throw new ApiError(reply.status, reply.json())
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
