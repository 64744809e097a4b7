import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { AppError } from '../../errors.ts'
import { OBJECTS_FILE, type Manifest } from './manifest.ts'

/** Throws `invalid` where a file of the snapshot is not what was written. */
export async function verifySnapshot(folder: string, { tables, objects }: Manifest): Promise<void> {
  const files = [
    ...tables.map(({ name, sha256 }) => ({ file: `${name}.jsonl`, sha256 })),
    { file: OBJECTS_FILE, sha256: objects.sha256 },
  ]
  for (const { file, sha256 } of files) {
    const actual = await sha256OfFile(join(folder, file)).catch(() => null)
    if (actual === sha256) continue
    throw new AppError(
      'invalid',
      `${join(folder, file)} is ${actual === null ? 'missing' : 'damaged'}: take another snapshot (--snapshot).`,
    )
  }
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest('hex')
}
