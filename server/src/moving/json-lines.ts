import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { createInterface } from 'node:readline'

/** A file of JSON values, one a line: written and read without ever being held in memory. */

export interface WrittenLines {
  lines: number
  sizeBytes: number
  sha256: string
}

export interface LinesWriter extends AsyncDisposable {
  write(value: unknown): Promise<void>
  /** Puts everything on the disk. Call it, or the file is not whole. */
  end(): Promise<WrittenLines>
}

const BUFFERED_CHARS = 256 * 1024

/** A new file that nobody else may read: what moves holds hashes of passwords. */
export async function writeJsonLines(path: string): Promise<LinesWriter> {
  const handle = await open(path, 'wx', 0o600)
  const hash = createHash('sha256')
  let waiting = ''
  let lines = 0
  let sizeBytes = 0

  async function flush(): Promise<void> {
    const bytes = Buffer.from(waiting)
    waiting = ''
    hash.update(bytes)
    sizeBytes += bytes.length
    await writeWhole(handle, bytes)
  }

  return {
    async write(value) {
      waiting += `${JSON.stringify(value)}\n`
      lines += 1
      if (waiting.length > BUFFERED_CHARS) await flush()
    },

    async end() {
      await flush()
      await handle.sync()
      return { lines, sizeBytes, sha256: hash.digest('hex') }
    },

    [Symbol.asyncDispose]: () => handle.close(),
  }
}

async function writeWhole(handle: FileHandle, bytes: Buffer): Promise<void> {
  let at = 0
  while (at < bytes.length) at += (await handle.write(bytes, at)).bytesWritten
}

/** Throws a SyntaxError at a line that is no JSON. */
export async function* readJsonLines(path: string): AsyncGenerator {
  const input = createReadStream(path, { encoding: 'utf8', highWaterMark: 256 * 1024 })
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (line !== '') yield JSON.parse(line)
  }
}
