import { mkdir, rm } from 'node:fs/promises'
import { run } from '../media/ffmpeg.ts'
import { MediaFailure } from '../media/failure.ts'
import type { MediaTools } from '../media/tools.ts'
import { HARDENED_INPUT } from '../media/whitelist.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'

const MINUTE = 60_000
/** Of the length of a film: a slow core may take longer than the film lasts. */
const PATIENCE = 4

/** Null: every picture and every sound decodes. Otherwise why not. */
export type DecodeFilm = (
  store: ObjectStore,
  key: string,
  durationMs: number,
) => Promise<string | null>

/** On one core. A remote file is fetched for it. */
export function filmDecoder(needs: {
  tools: MediaTools
  workDir: string
  signal: AbortSignal
}): DecodeFilm {
  const { tools, workDir, signal } = needs
  return async (store, key, durationMs) => {
    await mkdir(workDir, { recursive: true })
    const path = await store.asLocalFile(key, workDir, signal)
    try {
      const { exitCode, stderr } = await run({
        bin: tools.ffmpegBin,
        args: decodeArgs(path),
        signal,
        limitMs: 5 * MINUTE + PATIENCE * durationMs,
      })
      if (exitCode === 0 && stderr.trim() === '') return null
      return `it does not decode: ${stderr.trim().split('\n').at(-1) ?? ''}`
    } catch (error) {
      if (error instanceof MediaFailure && error.permanent) return error.sentence
      throw error
    } finally {
      if (path.startsWith(`${workDir}/`)) await rm(path, { force: true })
    }
  }
}

/** It ends at the first fault. */
function decodeArgs(path: string): string[] {
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin', '-xerror'],
    ...[...HARDENED_INPUT, '-threads', '1', '-i', `file:${path}`],
    ...['-map', '0:v:0?', '-map', '0:a:0?', '-f', 'null', '-'],
  ]
}
