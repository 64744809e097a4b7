import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmdirSync } from 'node:fs'
import { open, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { guardAgainstLeaving } from './guard.ts'
import { temporaryFolder } from './temporary-folder.ts'

const execute = promisify(execFile)

/** A file system of its own, in memory. */
export interface SmallDisk extends AsyncDisposable {
  path: string
  freeBytes(): Promise<number>
  /** Leaves so many bytes free, rounded to pages. Takes what is free when it is called again. */
  fill(leftBytes?: number): Promise<void>
  /** Takes back what `fill` took. */
  makeRoom(): Promise<void>
}

const MIB = 1024 * 1024
const FILLER = 'filler'

/** Whether this process may mount: ask before `smallDisk`. */
export const hasSmallDisks = canMount()

export async function smallDisk(sizeBytes: number): Promise<SmallDisk> {
  const folder = await temporaryFolder()
  const { path } = folder
  await execute('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path])
  const forget = guardAgainstLeaving({ kind: 'mount', path })
  const filler = join(path, FILLER)

  async function freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  }

  return {
    path,
    freeBytes,
    async fill(leftBytes = 0) {
      await using file = await open(filler, 'a')
      const block = Buffer.alloc(MIB)
      for (;;) {
        const wanted = Math.min(MIB, (await freeBytes()) - leftBytes)
        if (wanted <= 0) return
        try {
          await file.write(block, 0, wanted)
        } catch (error) {
          // Somebody else was faster.
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
          return
        }
      }
    },
    makeRoom: () => rm(filler, { force: true }),
    async [Symbol.asyncDispose]() {
      await execute('umount', ['--lazy', path])
      forget()
      await folder.remove()
    },
  }
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  const path = mkdtempSync(join(tmpdir(), 'videoflix-mount-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4096', 'tmpfs', path], { stdio: 'ignore' })
    execFileSync('umount', [path], { stdio: 'ignore' })
    return true
  } catch {
    return false
  } finally {
    rmdirSync(path)
  }
}
