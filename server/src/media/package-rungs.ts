import { join } from 'node:path'
import type { MediaJob } from './media-job.ts'
import type { FragmentIndex } from './mp4/fragment-index.ts'
import { packageFile, type PackagedFile } from './mp4/package-file.ts'
import type { SourcePlan } from './plan.ts'
import { soundPath, type Locate, type RungInput } from './rung-input.ts'
import { refuseTruncated } from './truncation.ts'
import { verify } from './verify.ts'

export interface Rendition {
  /** Quality it is asked for by: `720p`. Its size may be smaller. */
  rung: string
  path: string
  width: number
  height: number
  sizeBytes: number
  durationMs: number
  bitrateBps: number
  peakBps: number
  /** Frames per second, `24000/1001`. */
  frameRate: string
  /** RFC 6381, such as `avc1.640028`. */
  videoCodec: string
  hasAudio: boolean
  index: FragmentIndex
}

export interface PackagedAudio {
  /** Among the plan's tracks of sound. */
  position: number
  path: string
  sizeBytes: number
  bitrateBps: number
  peakBps: number
  channels: number
  /** RFC 6381: `mp4a.40.2`. */
  codec: string
  index: FragmentIndex
}

export interface PackagedRungs {
  /** In the order of the inputs. */
  renditions: Rendition[]
  /** The main sound inside of them; null for a silent film. */
  audio: Omit<PackagedAudio, 'position' | 'path' | 'sizeBytes' | 'index'> | null
  /** Where the segments begin, in seconds; the same in every rung. */
  cuts: number[]
}

/** Writes each rung as one file for every player, `720p.mp4`, and looks at it again. */
export async function packageRungs(
  job: MediaJob,
  plan: SourcePlan,
  inputs: RungInput[],
): Promise<PackagedRungs> {
  const packaged: PackagedFile[] = []
  for (const [done, input] of inputs.entries()) {
    packaged.push(await packageOne(job, plan, input))
    job.onProgress?.({ share: (0.8 * (done + 1)) / inputs.length, speed: null, etaSeconds: null })
  }
  const [first] = packaged
  if (first === undefined) throw new Error('there is nothing to package')
  refuseTruncated(plan.durationMs, first.durationMs)
  const renditions = await verified(job, plan, inputs, packaged)
  return { renditions, audio: soundOf(first), cuts: first.cuts }
}

async function packageOne(
  job: MediaJob,
  plan: SourcePlan,
  { rung, video, audioPath }: RungInput,
): Promise<PackagedFile> {
  return await packageFile({
    video,
    audioPath,
    outputPath: join(job.workDir, fileOf(rung)),
    ...(plan.cuts === null ? {} : { cuts: plan.cuts }),
    signal: job.signal,
  })
}

/** Sound in each further language as a file of its own, `audio-1.mp4`, in the same segments as the picture. */
export async function packageOtherAudio(
  job: MediaJob,
  plan: SourcePlan,
  cuts: number[],
  locate: Locate,
): Promise<PackagedAudio[]> {
  const packaged: PackagedAudio[] = []
  for (const [position, { file }] of plan.audio.entries()) {
    const audioPath = position === 0 ? null : soundPath(plan, position, locate)
    if (audioPath === null) continue
    const path = join(job.workDir, file)
    packaged.push({ position, ...(await packageAudio(job, { audioPath, path, cuts })) })
  }
  return packaged
}

async function packageAudio(
  job: MediaJob,
  { audioPath, path, cuts }: { audioPath: string; path: string; cuts: number[] },
): Promise<Omit<PackagedAudio, 'position'>> {
  const packaged = await packageFile({
    video: [],
    audioPath,
    outputPath: path,
    cuts,
    signal: job.signal,
  })
  const sound = soundOf(packaged)
  if (sound === null) throw new Error('a track of sound without sound')
  return { ...sound, path, sizeBytes: packaged.index.sizeBytes, index: packaged.index }
}

function soundOf({ audio, index }: PackagedFile): PackagedRungs['audio'] {
  if (audio === null || index.audio === null) return null
  const { averageBps, peakBps, channels } = audio
  return { bitrateBps: averageBps, peakBps, channels, codec: index.audio.codec }
}

async function verified(
  job: MediaJob,
  plan: SourcePlan,
  inputs: RungInput[],
  packaged: PackagedFile[],
): Promise<Rendition[]> {
  const { tools, workDir, signal } = job
  const rungs = inputs.map(({ rung: name }) => ({
    name,
    file: fileOf(name),
    ...sizeOf(plan, name),
  }))
  const hasAudio = plan.audio.length > 0
  const encodedMs = packaged[0]?.durationMs ?? 0
  const files = await verify({ tools, workDir, rungs, hasAudio, encodedMs, signal })
  return rungs.flatMap(({ name, file, width, height }, at) => {
    const [known, made] = [files[at], packaged[at]]
    if (known === undefined || !made?.video || made.index.video === null) return []
    const { averageBps: bitrateBps, peakBps, video, index } = made
    const { sizeBytes, durationMs } = known
    return {
      ...{ rung: name, path: join(workDir, file), width, height, sizeBytes, durationMs, hasAudio },
      ...{ bitrateBps, peakBps, frameRate: video.frameRate, index },
      videoCodec: made.index.video.codec,
    }
  })
}

function sizeOf(plan: SourcePlan, name: string): { width: number; height: number } {
  const known = [...plan.rungs, ...(plan.copied === null ? [] : [plan.copied])]
  const rung = known.find((each) => each.name === name)
  if (rung === undefined) throw new Error(`the plan has no rung ${name}`)
  return { width: rung.width, height: rung.height }
}

function fileOf(rung: string): string {
  return `${rung}.mp4`
}
