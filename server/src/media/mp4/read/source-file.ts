import { open, type FileHandle } from 'node:fs/promises'
import { unpackable } from '../unpackable.ts'

/** A file that is read from; the caller disposes of it. */
export interface SourceFile extends AsyncDisposable {
  handle: FileHandle
  sizeBytes: number
}

export async function openSource(path: string): Promise<SourceFile> {
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    return { handle, sizeBytes: size, [Symbol.asyncDispose]: () => handle.close() }
  } catch (error) {
    await handle.close()
    throw error
  }
}

export async function readBytes(file: SourceFile, offset: number, length: number): Promise<Buffer> {
  // Before anything is allocated.
  if (offset + length > file.sizeBytes) throw endsEarly()
  const bytes = Buffer.allocUnsafe(length)
  await readInto(file, bytes, offset)
  return bytes
}

/** Fills all of `target`; a file that became shorter meanwhile fails. */
export async function readInto(file: SourceFile, target: Buffer, offset: number): Promise<void> {
  let filled = 0
  while (filled < target.length) {
    const { bytesRead } = await file.handle.read(
      target,
      filled,
      target.length - filled,
      offset + filled,
    )
    if (bytesRead === 0) throw endsEarly()
    filled += bytesRead
  }
}

function endsEarly(): Error {
  return unpackable('it ends before its index says')
}
