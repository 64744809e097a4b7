import { rm } from 'node:fs/promises'
import type { FragmentIndex } from './fragment-index.ts'
import { joinChunks } from './join-chunks.ts'
import { planLayout, type Layout } from './layout.ts'
import { audioRates, fileRates, frameRate } from './rates.ts'
import { readTrack } from './read/read-track.ts'
import { refuseOtherKeyframes } from './refuse-keyframes.ts'
import { planSegments, type Segments } from './segments.ts'
import { endTicks, type Track } from './track.ts'
import { writeFile } from './write-file.ts'

export interface PackageInput {
  /**
   * Absolute paths of MP4 files with one video track each, in order; more than one when the film was encoded in chunks.
   * Empty for a file of sound alone.
   */
  video: VideoPart[]
  /** Absolute path of an MP4 with one audio track (AAC), or null. */
  audioPath: string | null
  /** Written anew; removed again on failure. */
  outputPath: string
  /**
   * Seconds; no segment is shorter, but for the last: cut at the first video sync sample at least this long after the
   * last cut. Default 2. With `cuts` given it is not used.
   */
  minSegmentSeconds?: number
  /** For audio-only files (or to force a grid): start times in seconds of every segment, ascending, first 0. */
  cuts?: number[]
  signal: AbortSignal
}

export interface VideoPart {
  path: string
  /** Where its own time 0 lies in the film, in seconds. */
  startSeconds: number
}

export interface PackagedFile {
  index: FragmentIndex
  durationMs: number
  /** Start times in seconds of all segments, to be given as `cuts` to further files of the same film. */
  cuts: number[]
  /** Bits a second: of the whole file, and of the richest segment with all its tracks. */
  averageBps: number
  peakBps: number
  audio: { averageBps: number; peakBps: number; channels: number } | null
  video: {
    width: number
    height: number
    frames: number
    /** Average, as a reduced fraction: `24000/1001`, `25/1`. */
    frameRate: string
  } | null
}

/**
 * Makes of encoded tracks the file that is published, progressive and in fragments at once (see
 * `planLayout`). Nothing is decoded, and nothing but tables is held in memory. May run again. Throws
 * MediaFailure `verification_failed` where a track is not as it has to be, `disk_full`, and the
 * signal's reason.
 */
export async function packageFile(input: PackageInput): Promise<PackagedFile> {
  try {
    const video = await readVideo(input)
    const audio = await readAudio(input)
    const { cuts, minSegmentSeconds = 2 } = input
    const segments = planSegments(
      video,
      audio,
      cuts === undefined ? { minSegmentSeconds } : { cuts },
    )
    if (video !== null) await refuseOtherKeyframes(video, segments.video ?? [], input.signal)
    const layout = planLayout(video, audio, segments)
    await writeFile(input.outputPath, layout, input.signal)
    return described(layout, segments, video, audio)
  } catch (error) {
    await rm(input.outputPath, { force: true })
    throw error
  }
}

async function readVideo({ video, signal }: PackageInput): Promise<Track | null> {
  if (video.length === 0) return null
  const chunks = []
  for (const { path, startSeconds } of video) {
    chunks.push({ track: await readTrack(path, 'video', signal), startSeconds })
  }
  return joinChunks(chunks)
}

async function readAudio({ audioPath, signal }: PackageInput): Promise<Track | null> {
  return audioPath === null ? null : readTrack(audioPath, 'audio', signal)
}

function described(
  { index }: Layout,
  { cuts }: Segments,
  video: Track | null,
  audio: Track | null,
): PackagedFile {
  const ends = [video, audio].map((track) =>
    track === null ? 0 : endTicks(track) / track.timescale,
  )
  const seconds = Math.max(...ends)
  return {
    index,
    durationMs: Math.round(seconds * 1000),
    cuts,
    ...fileRates(index, cuts, seconds),
    audio:
      audio?.entry.kind === 'audio' && index.audio !== null
        ? { ...audioRates(index.audio), channels: audio.entry.channels }
        : null,
    video:
      video?.entry.kind === 'video'
        ? {
            width: video.entry.width,
            height: video.entry.height,
            frames: video.samples.count,
            frameRate: frameRate(video),
          }
        : null,
  }
}
