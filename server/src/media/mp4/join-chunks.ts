import { concatenated, lastDuration, type SampleTable } from './sample-table.ts'
import { presentationTicks, type Track } from './track.ts'
import { unpackable } from './unpackable.ts'

/** A track, and where its own time 0 lies in the film. */
export interface Chunk {
  track: Track
  startSeconds: number
}

/**
 * The chunks of one film, encoded apart, as one track. All must have been encoded alike. One alone is only moved; of
 * several, decode times are made anew from presentation times, so that the last sample of each
 * lasts until the next begins. Throws MediaFailure where they differ, overlap or repeat a time.
 */
export function joinChunks(chunks: Chunk[]): Track {
  const moved = chunks.map(moveToStart)
  const [first, ...others] = moved
  if (first === undefined) throw unpackable('it has no pictures')
  if (others.length === 0) return first
  for (const other of others) refuseDifference(first, other)
  const samples = concatenated(moved.map((track) => track.samples))
  return { ...first, ...retimed(samples, shownTimes(moved)), parts: partsOf(moved) }
}

function moveToStart({ track, startSeconds }: Chunk): Track {
  const ticks = Math.round(startSeconds * track.timescale)
  return { ...track, startTicks: track.startTicks + ticks }
}

function refuseDifference(first: Track, other: Track): void {
  const isEqual = first.timescale === other.timescale && first.entry.bytes.equals(other.entry.bytes)
  if (!isEqual) throw unpackable('its parts were encoded differently')
}

function partsOf(tracks: Track[]): Track['parts'] {
  let firstSample = 0
  return tracks.flatMap((track) => {
    const parts = track.parts.map(({ path }) => ({ path, firstSample }))
    firstSample += track.samples.count
    return parts
  })
}

/** The presentation times of all samples: a list for each chunk, in decode order. */
function shownTimes(tracks: Track[]): Float64Array[] {
  return tracks.map((track) => {
    return new Float64Array(track.samples.count).map((_, index) => presentationTicks(track, index))
  })
}

/**
 * Each sample is decoded when the one that many places earlier is shown, as encoders do it: `depth`
 * is the least by which every sample is decoded no later than it is shown. Decode times count from
 * the first, which is `delay` before the first picture.
 */
function retimed(
  samples: SampleTable,
  shownByChunk: Float64Array[],
): Pick<Track, 'samples' | 'mediaTime' | 'startTicks'> {
  const shown = joined(shownByChunk)
  const sorted = joined(shownByChunk.map((times) => times.toSorted()))
  refuseRepetition(sorted)
  const depth = reorderDepth(shown, sorted)
  const at = (index: number): number => (sorted[index] ?? 0) - (sorted[0] ?? 0)
  const delay = at(depth)
  const { times, compositionOffsets } = samples
  const tail = lastDuration(samples)
  for (const [index, time] of shown.entries()) {
    const decoded = index < depth ? at(index) : at(index - depth) + delay
    const ahead = time - (sorted[0] ?? 0) + delay - decoded
    if (ahead >= 2 ** 31) throw unpackable('its pictures are days apart')
    times[index] = decoded
    compositionOffsets[index] = ahead
  }
  times[samples.count] = (times[samples.count - 1] ?? 0) + tail
  return { samples, mediaTime: delay, startTicks: sorted[0] ?? 0 }
}

function joined(lists: Float64Array[]): Float64Array {
  const all = new Float64Array(lists.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const list of lists) {
    all.set(list, at)
    at += list.length
  }
  return all
}

/** Each chunk is sorted by itself: a chunk that reaches into the next shows here. */
function refuseRepetition(sorted: Float64Array): void {
  for (let index = 1; index < sorted.length; index += 1) {
    if ((sorted[index] ?? 0) <= (sorted[index - 1] ?? 0)) {
      throw unpackable('its parts overlap', `at tick ${sorted[index]}`)
    }
  }
}

/** How far the order of decoding runs ahead of the order of presentation. */
function reorderDepth(shown: Float64Array, sorted: Float64Array): number {
  let depth = 0
  for (const [index, time] of shown.entries()) {
    depth = Math.max(depth, index - rankOf(time, sorted))
  }
  return depth
}

function rankOf(time: number, sorted: Float64Array): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < time) low = middle + 1
    else high = middle
  }
  return low
}
