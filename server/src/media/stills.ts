import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { MediaJob } from './media-job.ts'
import type { SourcePlan } from './plan.ts'
import { keepBestPoster, POSTER_FILE } from './poster.ts'
import { makeSheets, type Storyboard } from './storyboard.ts'
import { thumbHash } from './thumb-hash.ts'
import { verifyPoster } from './verify.ts'

/** Files are names in the working directory. */
export interface Stills {
  posterFile: string
  thumbHash: string
  /** `sheets` are paths. Null where the film is too short for one. */
  storyboard: Storyboard | null
}

/** Makes poster, ThumbHash and storyboard of what an encode with stills has left. */
export async function finishStills(job: MediaJob, plan: SourcePlan): Promise<Stills> {
  const { tools, workDir, signal } = job
  await keepBestPoster(workDir)
  await verifyPoster(workDir)
  const { width, height } = plan.poster
  const [hash, storyboard] = await Promise.all([
    thumbHash({ tools, workDir, file: POSTER_FILE, width, height, signal }),
    storyboardOf(job, plan),
  ])
  return { posterFile: POSTER_FILE, thumbHash: hash, storyboard }
}

async function storyboardOf(job: MediaJob, plan: SourcePlan): Promise<Storyboard | null> {
  const { file: framesFile, everySeconds } = plan.storyboard
  const { tools, workDir, signal } = job
  const { size } = await stat(join(workDir, framesFile))
  if (size === 0) return null
  const { paths, ...sheets } = await makeSheets({ tools, workDir, framesFile, signal })
  return { ...sheets, intervalMs: Math.round(everySeconds * 1000), sheets: paths }
}
