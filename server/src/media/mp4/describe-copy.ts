import { MediaFailure } from '../failure.ts'
import { bitsPerSecond } from './rates.ts'
import { keyframeKind, readAvcConfig } from './read/keyframes.ts'
import { readTrack } from './read/read-track.ts'
import { openSource } from './read/source-file.ts'
import { bytesOf, type SampleTable } from './sample-table.ts'
import { endTicks, presentationTicks, type Track } from './track.ts'

/** What an MP4's picture is like that was not encoded by us. */
export interface CopyDescription {
  /** Presentation times of all IDR pictures, in seconds, ascending. */
  syncTimes: number[]
  /**
   * There is one set of parameters, no picture brings others, and every sync sample is an IDR picture: it can be cut
   * into segments. False too where the index cannot be read.
   */
  isStitchable: boolean
  durationSeconds: number
  frames: number
  /** Bits a second of the picture. */
  averageBps: number
  /** The most within four seconds. */
  peakBps4s: number
}

const UNREADABLE: CopyDescription = {
  ...{ syncTimes: [], isStitchable: false, durationSeconds: 0, frames: 0 },
  ...{ averageBps: 0, peakBps4s: 0 },
}

/**
 * Reads the tables of the first video track and the beginnings of its sync samples. Throws what the
 * file system throws and the signal's reason, and never MediaFailure: what is damaged or not H.264
 * is not stitchable.
 */
export async function describeCopy(path: string, signal: AbortSignal): Promise<CopyDescription> {
  try {
    return await described(path, await readTrack(path, 'video', signal), signal)
  } catch (error) {
    if (error instanceof MediaFailure) return UNREADABLE
    throw error
  }
}

async function described(
  path: string,
  video: Track,
  signal: AbortSignal,
): Promise<CopyDescription> {
  const { samples, timescale } = video
  const durationSeconds = endTicks(video) / timescale
  const bytes = bytesOf(samples, 0, samples.count)
  const { idrSamples, isStitchable } = await lookAtSyncs(path, video, signal)
  return {
    syncTimes: idrSamples.map((index) => presentationTicks(video, index) / timescale),
    isStitchable,
    durationSeconds,
    frames: samples.count,
    averageBps: bitsPerSecond(bytes, durationSeconds),
    peakBps4s: bitsPerSecond(mostBytesWithin(samples, 4 * timescale), Math.min(4, durationSeconds)),
  }
}

async function lookAtSyncs(
  path: string,
  { entry, samples }: Track,
  signal: AbortSignal,
): Promise<{ idrSamples: number[]; isStitchable: boolean }> {
  if (entry.kind !== 'video') return { idrSamples: [], isStitchable: false }
  const config = readAvcConfig(entry.avcC)
  const idrSamples: number[] = []
  let isStitchable = samples.syncs[0] === 1
  await using file = await openSource(path)
  for (let index = 0; index < samples.count; index += 1) {
    if (samples.syncs[index] !== 1) continue
    signal.throwIfAborted()
    const sample = { offset: samples.offsets[index] ?? 0, size: samples.sizes[index] ?? 0 }
    const kind = await keyframeKind(file, sample, config)
    if (kind === 'idr') idrSamples.push(index)
    else isStitchable = false
  }
  return { idrSamples, isStitchable }
}

/** The most that is decoded within so many ticks. */
function mostBytesWithin({ count, sizes, times }: SampleTable, ticks: number): number {
  let most = 0
  let bytes = 0
  let first = 0
  for (let index = 0; index < count; index += 1) {
    bytes += sizes[index] ?? 0
    while ((times[index + 1] ?? 0) - (times[first] ?? 0) > ticks && first < index) {
      bytes -= sizes[first] ?? 0
      first += 1
    }
    most = Math.max(most, bytes)
  }
  return most
}
