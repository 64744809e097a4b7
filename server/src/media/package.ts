import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { packageFile, type PackagedFile } from './mp4/package-file.ts'

export interface PackagedRung {
  workDir: string
  /** Names in `workDir`. Video alone, and sound alone if there is any; both begin at 0. */
  videoFile: string
  audioFile: string | null
  /** Name in `workDir` of what is published. */
  outputFile: string
  signal: AbortSignal
}

/**
 * Joins the picture of one rung with the sound that all rungs share into the file that is
 * published: a progressive MP4 whose index comes first, with fragments inside. Nothing is encoded.
 * The video file is removed, the sound stays for the other rungs. Safe to run side by side.
 */
export async function packageRung(rung: PackagedRung): Promise<PackagedFile> {
  const pathOf = (name: string): string => join(rung.workDir, name)
  const packaged = await packageFile({
    video: [{ path: pathOf(rung.videoFile), startSeconds: 0 }],
    audioPath: rung.audioFile === null ? null : pathOf(rung.audioFile),
    outputPath: pathOf(rung.outputFile),
    signal: rung.signal,
  })
  await rm(pathOf(rung.videoFile))
  return packaged
}
