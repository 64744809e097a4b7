import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { GoodFilm } from '../films.ts'
import { aUniqueFilm } from './sender.ts'
import { Unanswered, type Visitor } from './visitor.ts'

/** More than is sent at once: it goes to the bucket in parts. */
const LARGE_BYTES = 9 * 1024 * 1024

export function formOf(bytes: Buffer, fields: Record<string, string> = {}): FormData {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  form.append('video_file', new Blob([new Uint8Array(bytes)]), 'film.mp4')
  return form
}

/** A film that is large for its length: with bytes that players skip. */
export async function aLargeFilm(film: GoodFilm): Promise<Buffer> {
  const header = Buffer.alloc(LARGE_BYTES)
  header.writeUInt32BE(LARGE_BYTES)
  header.write('free', 4)
  return Buffer.concat([await aUniqueFilm(film), header])
}

export const factsOf = (bytes: Buffer): { sizeBytes: number; sha256: string } => ({
  sizeBytes: bytes.length,
  sha256: createHash('sha256').update(bytes).digest('hex'),
})

/** Sends a form until it is answered for good, and counts how often it was not. */
export async function insistOn(
  visitor: Visitor,
  path: string,
  init: RequestInit,
): Promise<{ reply: Response; refusals: number }> {
  for (let refusals = 0; refusals < 1000; refusals += 1) {
    const reply = await visitor.once(path, init).catch((error: unknown) => {
      if (error instanceof Unanswered) return null
      throw error
    })
    if (reply?.status === 401) await visitor.signIn()
    else if (reply && reply.status < 500) return { reply, refusals }
    await pause(50)
  }
  throw new Error(`${path} is never answered`)
}
