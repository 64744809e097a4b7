import { open, type FileHandle } from 'node:fs/promises'
import { MediaFailure } from '../failure.ts'
import { lengthOf, type Fragment } from './fragment.ts'
import type { Layout } from './layout.ts'
import { openSource, readInto, type SourceFile } from './read/source-file.ts'
import { partOf, type Track } from './track.ts'
import { u32 } from './write/boxes.ts'
import { fragmentHeader } from './write/fragment-boxes.ts'

/** Some bytes of the file to be, or where to copy them from. */
type Piece = Buffer | Copied

interface Copied {
  track: Track
  part: number
  offset: number
  length: number
}

/**
 * Writes a planned file in one pass: while one buffer is written, the next is filled. Throws the
 * signal's reason when aborted, and MediaFailure `disk_full`; what was written until then stays.
 */
export async function writeFile(path: string, layout: Layout, signal: AbortSignal): Promise<void> {
  await using sources = new Sources()
  await using target = new Target(await open(path, 'w'))
  for (const piece of pieces(layout)) {
    signal.throwIfAborted()
    if (Buffer.isBuffer(piece)) await target.write(piece)
    else await copy(piece, await sources.open(piece), target, signal)
  }
  await target.finish()
}

async function copy(
  piece: Copied,
  source: SourceFile,
  target: Target,
  signal: AbortSignal,
): Promise<void> {
  let { offset } = piece
  const end = offset + piece.length
  while (offset < end) {
    signal.throwIfAborted()
    const room = await target.room(end - offset)
    await readInto(source, room, offset)
    offset += room.length
  }
}

function* pieces({ head, tracks }: Layout): Generator<Piece> {
  yield head
  let sequence = 0
  for (const segment of tracks[0]?.fragments.keys() ?? []) {
    for (const { track, fragments } of tracks) {
      const fragment = fragments[segment]
      if (fragment === undefined || lengthOf(fragment) === 0) continue
      sequence += 1
      yield fragmentHeader(track, fragment, sequence)
      yield Buffer.concat([u32(fragment.dataLength + 8), Buffer.from('mdat', 'latin1')])
      yield* samplesOf(track, fragment)
    }
  }
}

/** Samples that lie one after the other are copied at once. */
function* samplesOf(track: Track, { from, to }: Fragment): Generator<Copied> {
  const { offsets, sizes } = track.samples
  let run: Copied | undefined
  let part = partOf(track, from)
  for (let index = from; index < to; index += 1) {
    while ((track.parts[part + 1]?.firstSample ?? Infinity) <= index) part += 1
    const offset = offsets[index] ?? 0
    const length = sizes[index] ?? 0
    if (run !== undefined && run.part === part && run.offset + run.length === offset) {
      run.length += length
    } else {
      if (run !== undefined) yield run
      run = { track, part, offset, length }
    }
  }
  if (run !== undefined) yield run
}

/** One open file a track: there may be hundreds of parts. */
class Sources implements AsyncDisposable {
  readonly #open = new Map<Track, { part: number; file: SourceFile }>()

  async open({ track, part }: Copied): Promise<SourceFile> {
    const current = this.#open.get(track)
    if (current?.part === part) return current.file
    await current?.file[Symbol.asyncDispose]()
    this.#open.delete(track)
    const file = await openSource(track.parts[part]?.path ?? '')
    this.#open.set(track, { part, file })
    return file
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { file } of this.#open.values()) await file[Symbol.asyncDispose]()
  }
}

/** Of 64 KB to 2 MB, the one whose slow runs are fastest: larger ones at times take three times as long. */
const BUFFER_LENGTH = 256 * 1024

/** A file that is written in order through two buffers. */
class Target implements AsyncDisposable {
  readonly #handle: FileHandle
  #filling = Buffer.allocUnsafe(BUFFER_LENGTH)
  #other = Buffer.allocUnsafe(BUFFER_LENGTH)
  #filled = 0
  #writing: Promise<unknown> = Promise.resolve()

  constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /** Up to `wanted` bytes, at least one, that the caller fills before anything else. */
  async room(wanted: number): Promise<Buffer> {
    if (this.#filled === BUFFER_LENGTH) await this.#flush()
    const room = this.#filling.subarray(this.#filled, this.#filled + wanted)
    this.#filled += room.length
    return room
  }

  async write(bytes: Buffer): Promise<void> {
    let rest = bytes
    while (rest.length > 0) {
      const room = await this.room(rest.length)
      rest.copy(room)
      rest = rest.subarray(room.length)
    }
  }

  async finish(): Promise<void> {
    await this.#flush()
    await this.#written()
  }

  async #flush(): Promise<void> {
    await this.#written()
    this.#writing = writeAll(this.#handle, this.#filling.subarray(0, this.#filled))
    // Awaited by the next flush: until then, a failure is not unhandled.
    this.#writing.catch(() => {})
    ;[this.#filling, this.#other] = [this.#other, this.#filling]
    this.#filled = 0
  }

  async #written(): Promise<void> {
    try {
      await this.#writing
    } catch (error) {
      throw isDiskFull(error) ? diskFull(error) : error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The buffer must not be read from, nor the handle be used, after this.
    await this.#writing.catch(() => {})
    await this.#handle.close()
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer): Promise<void> {
  let rest = bytes
  while (rest.length > 0) {
    const { bytesWritten } = await handle.write(rest)
    rest = rest.subarray(bytesWritten)
  }
}

function isDiskFull(error: unknown): error is NodeJS.ErrnoException {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function diskFull(cause: Error): MediaFailure {
  const sentence = 'The disk became full while processing. Free some space, then try again.'
  return new MediaFailure('disk_full', sentence, cause.message)
}
