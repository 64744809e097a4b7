import { createHash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { AdminVideo, DirectUpload } from '@videoflix/contract'
import { film, type GoodFilm } from '../films.ts'
import type { ServerMember } from './site.ts'
import { Unanswered, type Visitor } from './visitor.ts'

/** A film that was acknowledged as a video. */
export interface Sent {
  title: string
  film: GoodFilm
  videoId: number
  sizeBytes: number
  sha256: string
  /** How often the store failed with all of it at hand: then it may have it nevertheless, until the daily sweep. */
  refusals?: number
}

/** Where an upload may be resumed anywhere, each request of `tus anywhere` goes to another server. */
export type Way = 'tus' | 'tus anywhere' | 'direct'

const TUS = { 'tus-resumable': '1.0.0' }
const JSON_TYPE = { 'content-type': 'application/json' }
const PIECES = 5

/** No two uploads have the same bytes: a box that players skip has a number that is used once. */
export async function aUniqueFilm(name: GoodFilm): Promise<Buffer> {
  const nonce = randomBytes(24)
  const header = Buffer.alloc(8)
  header.writeUInt32BE(header.length + nonce.length)
  header.write('free', 4)
  return Buffer.concat([await readFile(await film(name)), header, nonce])
}

/** Sends a film however long it takes and whatever happens; gives what the site acknowledged in the end. */
export async function send(
  visitor: Visitor,
  wish: { title: string; film: GoodFilm; way: Way },
): Promise<Sent> {
  const bytes = await aUniqueFilm(wish.film)
  const sendIt = (): Promise<number | null> => {
    if (wish.way === 'direct') return sendDirectly(visitor, wish.title, bytes)
    const server = wish.way === 'tus' ? visitor.anyServer() : undefined
    return sendByTus(visitor, wish.title, bytes, server)
  }
  let videoId: number | null = null
  while (videoId === null) videoId = await sendIt()
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  return { title: wish.title, film: wish.film, videoId, sizeBytes: bytes.length, sha256 }
}

/** Resumable, at one server if one is given. Null when it has expired. */
async function sendByTus(
  visitor: Visitor,
  title: string,
  bytes: Buffer,
  server?: ServerMember,
): Promise<number | null> {
  const metadata = Object.entries({ title, filename: 'film.mp4', category: 'Drama' })
    .map(([name, value]) => `${name} ${Buffer.from(value).toString('base64')}`)
    .join(',')
  const headers = { ...TUS, 'upload-length': `${bytes.length}`, 'upload-metadata': metadata }
  const created = await visitor.ask('/admin/api/uploads/', { method: 'POST', headers }, server)
  if (created.status !== 201) throw new Error(`creation: ${await created.text()}`)
  const { pathname: path } = new URL(created.headers.get('location') ?? '', visitor.anyServer().url)
  let acknowledged = 0
  for (;;) {
    const head = await visitor.ask(path, { method: 'HEAD', headers: TUS }, server)
    if (head.status === 404 || head.status === 410) return null
    const offset = Number(head.headers.get('upload-offset'))
    if (offset < acknowledged) {
      visitor.complaints.push(
        `${path}: ${acknowledged} bytes were acknowledged, ${offset} are left`,
      )
    }
    acknowledged = offset
    const videoId = Number(head.headers.get('x-video-id'))
    if (videoId) return videoId
    acknowledged = await patch(visitor, server, path, bytes, offset)
  }
}

/** What is acknowledged then. */
async function patch(
  visitor: Visitor,
  server: ServerMember | undefined,
  path: string,
  bytes: Buffer,
  offset: number,
): Promise<number> {
  try {
    const size = Math.ceil(bytes.length / PIECES)
    const reply = await visitor.once(
      path,
      {
        method: 'PATCH',
        headers: {
          ...TUS,
          'upload-offset': `${offset}`,
          'content-type': 'application/offset+octet-stream',
        },
        body: ReadableStream.from(slowly(bytes.subarray(offset, offset + size))),
        duplex: 'half',
      },
      server,
    )
    if (reply.status === 401) await visitor.signIn()
    if (reply.status === 204) return Number(reply.headers.get('upload-offset'))
  } catch (error) {
    if (!(error instanceof Unanswered)) throw error
  }
  await pause(50)
  return offset
}

/** The line is slow: an upload is to last long enough to be hit. */
async function* slowly(bytes: Buffer): AsyncIterable<Uint8Array> {
  const size = Math.ceil(bytes.length / 4) || 1
  for (let at = 0; at < bytes.length; at += size) {
    yield bytes.subarray(at, at + size)
    await pause(20)
  }
}

/** Straight to the bucket, by whatever server answers. Null when it has expired. */
async function sendDirectly(
  visitor: Visitor,
  title: string,
  bytes: Buffer,
): Promise<number | null> {
  const path = '/admin/api/direct-uploads/'
  const post = (to: string, body: unknown): Promise<Response> =>
    visitor.ask(to, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) })
  const begun = await post(path, { file_name: 'film.mp4', size: bytes.length })
  if (begun.status !== 201) throw new Error(`creation: ${begun.status} ${await begun.text()}`)
  const upload = (await begun.json()) as DirectUpload
  for (let number = 1; number <= upload.part_count; number += 1) {
    const asked = await post(`${path}${upload.id}/parts/`, { numbers: [number] })
    if (asked.status === 404) return null
    const { parts } = (await asked.json()) as { parts: { url: string }[] }
    const start = (number - 1) * upload.part_size
    const body = bytes.subarray(start, start + upload.part_size)
    if (!(await putPart(parts[0]?.url ?? '', body))) return null
  }
  const completed = await post(`${path}${upload.id}/complete/`, { title, category: 'Drama' })
  if (completed.status === 404) return null
  if (completed.status !== 201) {
    throw new Error(`completion: ${completed.status} ${await completed.text()}`)
  }
  return ((await completed.json()) as AdminVideo).id
}

/** As a browser does it: again, until it is there. False: the upload has expired. */
async function putPart(url: string, body: Buffer): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const stored = await fetch(url, { method: 'PUT', body, signal: AbortSignal.timeout(30_000) })
      const text = await stored.text()
      if (stored.ok) return true
      if (stored.status === 404) return false
      if (attempt === 100) throw new Error(`the bucket: ${stored.status} ${text}`)
    } catch (error) {
      // A connection that breaks, or says nothing.
      if (!(error instanceof TypeError || error instanceof DOMException)) throw error
    }
    await pause(100)
  }
}
