import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo } from '@videoflix/contract'
import { Client } from '../harness/client.ts'

export const SUPERUSER = { email: 'admin@example.com', password: 'correct horse battery' }

/** What the server has told about an upload; nothing of it may ever be taken back. */
export interface Upload {
  title: string
  /** Path on the server. Its last segment is the upload's id. */
  path: string
  acknowledged: number
  film: Buffer
}

interface Page {
  results: AdminVideo[]
  next: string | null
}

const TUS = { 'tus-resumable': '1.0.0' }
const PIECES_PER_PATCH = 5
const PATCHES = 8

/** A client on a slow line, which sees its server vanish at any moment and goes on where it was. */
export class Uploader {
  readonly uploads: Upload[] = []
  /** Creations whose answer never came: what they left belongs to nobody, and goes with UPLOAD_TTL. */
  lostCreations = 0
  readonly #films: Buffer[]
  readonly #origin: string
  #client: Client

  /** Each upload is the next one of the films. */
  constructor(origin: string, films: Buffer[]) {
    this.#origin = origin
    this.#client = new Client(origin)
    this.#films = films
  }

  async logIn(): Promise<void> {
    this.#client = new Client(this.#origin)
    const reply = await this.#client.post('/users/login/', SUPERUSER)
    if (reply.status !== 200) throw new Error(`login: ${reply.status} ${await reply.text()}`)
  }

  /** Begins one more upload; throws when the server goes away. */
  async begin(title: string): Promise<Upload> {
    const metadata = Object.entries({ title, filename: 'film.mp4', category: 'Drama' })
      .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
      .join(',')
    const film = this.#films[this.uploads.length % this.#films.length]!
    this.lostCreations += 1
    const reply = await this.#client.request('/admin/api/uploads/', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': `${film.length}`, 'upload-metadata': metadata },
    })
    const path = reply.headers.get('location')
    if (reply.status !== 201 || path === null) {
      throw new Error(`creation: ${reply.status} ${await reply.text()}`)
    }
    this.lostCreations -= 1
    const upload = { title, path: new URL(path, this.#origin).pathname, acknowledged: 0, film }
    this.uploads.push(upload)
    return upload
  }

  /** Sends the rest of an upload; throws when the server goes away. */
  async goOn(upload: Upload): Promise<void> {
    const head = await this.#client.request(upload.path, { method: 'HEAD', headers: TUS })
    const offset = Number(head.headers.get('upload-offset'))
    if (head.status !== 200) throw new Error(`${upload.path} is gone: ${head.status}`)
    if (offset < upload.acknowledged) {
      throw new Error(`bytes lost: told ${upload.acknowledged}, has ${offset}`)
    }
    upload.acknowledged = offset
    const { film } = upload
    const size = Math.ceil(film.length / PATCHES)
    while (upload.acknowledged < film.length) {
      const chunk = film.subarray(upload.acknowledged, upload.acknowledged + size)
      const reply = await this.#client.request(upload.path, {
        method: 'PATCH',
        headers: {
          ...TUS,
          'upload-offset': `${upload.acknowledged}`,
          'content-type': 'application/offset+octet-stream',
        },
        body: ReadableStream.from(slowly(chunk)),
        duplex: 'half',
      })
      if (reply.status !== 204) throw new Error(`PATCH: ${reply.status} ${await reply.text()}`)
      upload.acknowledged = Number(reply.headers.get('upload-offset'))
    }
  }

  get client(): Client {
    return this.#client
  }

  async videos(): Promise<AdminVideo[]> {
    const videos: AdminVideo[] = []
    for (let page = 1; ; page += 1) {
      const reply = await this.#client.get(`/admin/api/videos/?page=${page}&page_size=100`)
      if (reply.status !== 200) throw new Error(`videos: ${reply.status}`)
      const { results, next } = (await reply.json()) as Page
      videos.push(...results)
      if (next === null) return videos
    }
  }

  async find(upload: Upload): Promise<AdminVideo | undefined> {
    return (await this.videos()).find(({ title }) => title === upload.title)
  }
}

/** The line is slow: an upload is to last long enough to be hit. */
async function* slowly(chunk: Buffer): AsyncIterable<Uint8Array> {
  const size = Math.ceil(chunk.length / PIECES_PER_PATCH)
  for (let at = 0; at < chunk.length; at += size) {
    yield chunk.subarray(at, at + size)
    await pause(25)
  }
}
