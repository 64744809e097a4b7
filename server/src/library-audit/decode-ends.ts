import { mkdir, rm } from 'node:fs/promises'
import { run } from '../media/ffmpeg.ts'
import { MediaFailure } from '../media/failure.ts'
import type { MediaTools } from '../media/tools.ts'
import { HARDENED_INPUT } from '../media/whitelist.ts'
import type { ObjectStore } from '../ports/object-store/object-store.ts'

const MINUTE = 60_000

/** Decodes the first tenth and the last second of a film. Null, or what the decoder said. */
export function endsDecoder(needs: {
  media: ObjectStore
  tools: MediaTools
  workDir: string
  signal: AbortSignal
}): (key: string, durationMs: number) => Promise<string | null> {
  const { media, tools, workDir, signal } = needs
  return async (key, durationMs) => {
    await mkdir(workDir, { recursive: true })
    const path = await media.asLocalFile(key, workDir, signal)
    try {
      const { exitCode, stderr } = await run({
        bin: tools.ffmpegBin,
        args: decodeArgs(path, durationMs),
        signal,
        limitMs: 5 * MINUTE,
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

function decodeArgs(path: string, durationMs: number): string[] {
  const lastSecond = String(Math.max(0, durationMs / 1000 - 1))
  const input = ['-i', `file:${path}`]
  return [
    ...['-hide_banner', '-v', 'error', '-nostdin'],
    ...[...HARDENED_INPUT, '-threads', '1', '-t', '0.1', ...input],
    ...[...HARDENED_INPUT, '-threads', '1', '-ss', lastSecond, ...input],
    ...['-map', '0', '-f', 'null', '-', '-map', '1', '-f', 'null', '-'],
  ]
}
